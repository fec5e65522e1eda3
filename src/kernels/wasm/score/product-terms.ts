/**
 * @file Products of numbered factors, sorted by how often the factors change: numbers of the head, of the row, of the key,
 * of the pair. Factors are numbers here, so that equal products are equal lists.
 */
import { type Rate } from "./rates.ts";

export type Slow = Exclude<Rate, "constant">;
export const rates = ["head", "row", "key", "pair"] as const;

/** Numbers of expressions in products, in ascending order, so that equal products are equal lists. */
export interface Factors {
  readonly above: readonly number[];
  readonly below: readonly number[];
}

/** number · Π factors */
export interface Term {
  readonly number: number;
  readonly factors: Readonly<Record<Slow, Factors>>;
}

export const none: Factors = { above: [], below: [] };
export const noFactors: Term["factors"] = { head: none, row: none, key: none, pair: none };

/** Whether a sum has numbers of rows and of keys, as ‖q‖² + ‖k‖² − 2s: multiplied out, it would not be exactly 0 at q = k. */
export const cancels = (terms: readonly Term[]): boolean =>
  (["row", "key"] as const).every((rate) =>
    terms.some(({ factors }) => factors.pair === none && factors[rate] !== none),
  );

/** Whether a product with the term rounds nothing. */
export const isPowerOfTwo = ({ number, factors }: Term): boolean =>
  rates.every((rate) => factors[rate] === none) && Number.isInteger(Math.log2(Math.abs(number)));

/** What equal lists of factors have in common. */
export const nameOf = ({ above, below }: Factors): string => `${above.join()}/${below.join()}`;

export const scaled = (term: Term, by: number): Term => ({ ...term, number: term.number * by });

function mapFactors(map: (rate: Slow) => Factors): Term["factors"] {
  return Object.fromEntries(rates.map((rate) => [rate, map(rate)])) as Record<Slow, Factors>;
}

/** 1/t */
export function inverse({ number, factors }: Term): Term {
  return {
    number: 1 / number,
    factors: mapFactors((rate) => {
      const { above, below } = factors[rate];
      return factors[rate] === none ? none : { above: below, below: above };
    }),
  };
}

/** a·b; what stands above and below goes. */
export function times(left: Term, right: Term): Term {
  const merge = (a: readonly number[], b: readonly number[]): readonly number[] =>
    [...a, ...b].toSorted((x, y) => x - y);
  return {
    number: left.number * right.number,
    factors: mapFactors((rate) => {
      const [a, b] = [left.factors[rate], right.factors[rate]];
      if (a === none) return b;
      if (b === none) return a;
      return cancelled(merge(a.above, b.above), merge(a.below, b.below));
    }),
  };
}

/** What stands above and below goes. */
function cancelled(above: readonly number[], below: readonly number[]): Factors {
  const [numerator, denominator] = [[...above], [...below]];
  for (const place of below) {
    const at = numerator.indexOf(place);
    if (at === -1) continue;
    numerator.splice(at, 1);
    denominator.splice(denominator.indexOf(place), 1);
  }
  return numerator.length + denominator.length === 0 ? none : { above: numerator, below: denominator };
}

/** Equal products are added up. */
export function collected(terms: readonly Term[]): readonly Term[] {
  const byName = new Map<string, Term>();
  for (const term of terms) {
    const name = rates.map((rate) => nameOf(term.factors[rate])).join(" ");
    const before = byName.get(name);
    byName.set(name, before === undefined ? term : { ...term, number: before.number + term.number });
  }
  const kept = [...byName.values()].filter(({ number }) => number !== 0);
  return kept.length > 0 ? kept : [{ number: 0, factors: noFactors }];
}
