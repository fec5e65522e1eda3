/** @file GELU in f64: GPT-2's approximation, and h·Φ(h) by series of the error function. */

/** Where the series around 0 has lost six digits, and the continued fraction has them all. */
const largestForSeries = 3;

/** erf(x) = 2/√π·Σ_n (−1)ⁿ x^{2n+1}/(n!·(2n+1)), and 1 − e^{−x²}/√π·1/(x + ½/(x + 1/(x + …))) for large x; ≤ 1e-12 off. */
export function errorFunction(x: number): number {
  if (x < 0) return -errorFunction(-x);
  if (x > largestForSeries) {
    let fraction = x;
    for (let n = 60; n >= 1; n--) fraction = x + n / 2 / fraction;
    return 1 - Math.exp(-x * x) / (Math.sqrt(Math.PI) * fraction);
  }
  let [sum, power] = [x, x];
  for (let n = 1; n < 80; n++) {
    power *= (-x * x) / n;
    sum += power / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

/** h·Φ(h) = h·(1 + erf(h/√2))/2 (Hendrycks & Gimpel 2016). */
export function exactGelu(h: number): number {
  return 0.5 * h * (1 + errorFunction(h * Math.SQRT1_2));
}

/** h·(1 + tanh u)/2, u = √(2/π)·(h + 0.044715 h³): GPT-2's approximation. */
export function tanhGelu(h: number): number {
  return 0.5 * h * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (h + 0.044715 * h ** 3)));
}
