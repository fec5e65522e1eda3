/** @file How often a value of a score changes: never, from head to head, from row to row, from key to key, or from pair to pair. */
import { type Expression } from "../../../score/index.ts";

export type Rate = "constant" | "head" | "row" | "key" | "pair";

const isInner = (name: string): boolean => /^s(_\d+)?$/.test(name);
const isQueryNorm = (name: string): boolean => /^q2(_\d+)?$/.test(name);
const isKeyNorm = (name: string): boolean => /^k2(_\d+)?$/.test(name);

export function rateOfVariable(name: string): Rate {
  if (isInner(name)) return "pair";
  if (isQueryNorm(name)) return "row";
  return isKeyNorm(name) ? "key" : "head";
}

/** The rate of what is computed from values of these rates: a row's and a key's together change with the pair. */
export function joinRates(rates: readonly Rate[]): Rate {
  const has = (rate: Rate): boolean => rates.includes(rate);
  if (has("pair") || (has("row") && has("key"))) return "pair";
  return (["row", "key", "head"] as const).find(has) ?? "constant";
}

const known = new WeakMap<Expression, Rate>();

export function rateOf(expression: Expression): Rate {
  let rate = known.get(expression);
  if (rate === undefined) {
    const { operation, operands, leaf } = expression;
    rate = operation === "variable" ? rateOfVariable(leaf as string) : joinRates(operands.map(rateOf));
    known.set(expression, rate);
  }
  return rate;
}
