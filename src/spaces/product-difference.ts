/** @file a·b − c·d with all its digits, also where the products agree in most of theirs. Dekker 1971; Kahan's 2×2 determinant. */

/**
 * a·b − c·d, right to two roundings of itself, 0 exactly where it is 0. Products are below 2^996 in magnitude, and what
 * rounding took from them is above 2^−1074.
 */
export function productDifference(a: number, b: number, c: number, d: number): number {
  const [first, second] = [a * b, c * d];
  return first - second + (productError(a, b, first) - productError(c, d, second));
}

/** Veltkamp's constant: multiplying by it parts the 53 bits of a number into 26 and 26. */
const SPLITTER = 2 ** 27 + 1;

/** What rounding took from the product: a·b = product + productError(a, b, product) exactly. */
function productError(a: number, b: number, product: number): number {
  const aHigh = SPLITTER * a - (SPLITTER * a - a);
  const bHigh = SPLITTER * b - (SPLITTER * b - b);
  const [aLow, bLow] = [a - aHigh, b - bHigh];
  return aLow * bLow - (product - aHigh * bHigh - aLow * bHigh - aHigh * bLow);
}
