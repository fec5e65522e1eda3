/**
 * @file Parameters of an attention: numbers of a formula (β, c, τ, a sink, a small network) that are fixed, learned, or
 * calibrated on the first batch and then learned. They are held as their own values; training learns the logarithm of
 * those that must stay positive.
 */
import { type Random } from "./random.ts";

/** `auto`: calibrated so that rows of scores have unit standard deviation, then learned. */
export type ParameterMode = "fixed" | "learned" | "auto";

/** The sizes that a parameter's shape and first value may depend on. */
export interface ParameterSizes {
  /** H, the number of query heads. */
  readonly heads: number;
  /** D, the width of queries and keys. */
  readonly width: number;
}

/** One parameter of an attention. */
export interface Parameter {
  readonly name: string;
  readonly mode: ParameterMode;
  readonly domain: "positive" | "real";
  /** Upper bound that learning keeps (cosine: β ≤ 100), in the parameter's own units. */
  readonly maximum?: number;
  readonly shape: (sizes: ParameterSizes) => readonly number[];
  /** The value before training, flat in `shape`. */
  readonly initial: (sizes: ParameterSizes, random: Random) => Float64Array;
}

/** What a formula declares about one of its numbers. */
export interface ParameterRule {
  readonly domain: "positive" | "real";
  readonly maximum?: number;
  /** The default, which may depend on D. */
  readonly value: (width: number) => number;
}

/** A parameter that must stay above zero; learned as its logarithm. */
export function positive(value: number | ((width: number) => number), maximum?: number): ParameterRule {
  return { domain: "positive", value: toFunction(value), ...(maximum === undefined ? {} : { maximum }) };
}

/** A parameter of any sign. */
export function real(value: number | ((width: number) => number)): ParameterRule {
  return { domain: "real", value: toFunction(value) };
}

const toFunction = (value: number | ((width: number) => number)): ((width: number) => number) =>
  typeof value === "number" ? () => value : value;

/**
 * One number per query head.
 *
 * @param name - the parameter's name
 * @param rule - domain and default
 * @param option - what was asked for: a number fixes it, `learned` and `auto` start from the default
 */
export function headParameter(name: string, rule: ParameterRule, option?: number | string): Parameter {
  return {
    name,
    mode: option === "learned" || option === "auto" ? option : "fixed",
    domain: rule.domain,
    ...(rule.maximum === undefined ? {} : { maximum: rule.maximum }),
    shape: ({ heads }) => [heads],
    initial: ({ heads, width }) =>
      new Float64Array(heads).fill(typeof option === "number" ? option : rule.value(width)),
  };
}
