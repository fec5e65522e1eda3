/** @file Random calls of rules, for tests. */
import { initialValues } from "../attention/parameters.ts";
import { random } from "../base/random.ts";
import { sizeOf, type Tensor64, tensor64 } from "../base/tensor.ts";
import { type RecurrenceInputs } from "./check-call.ts";
import { type RecurrenceComposition } from "./composition.ts";
import { type InputName, type RuleSizes } from "./rule.ts";

/** One selector of every kind of rule. */
export const ruleSelectors: readonly string[] = [
  "linear",
  "linear:map=relu",
  "linear:map=exp",
  "linear:map=taylor2",
  "linear:map=hedgehog",
  "linear:map=taylor2,normaliser=none",
  "linear:map=identity,normaliser=none",
  "performer:features=7,seed=3",
  "retnet",
  "retnet+rope:theta=9,dims=2",
  "linear:map=hedgehog+rope:theta=9,dims=2",
  "gla",
  "deltanet",
  "gated-deltanet",
  "rwkv4",
  "rwkv5",
  "rwkv6",
  "rwkv7",
];

/** Extents of a random call. */
export interface CallSizes {
  readonly tokens: number;
  readonly batch?: number;
  readonly heads?: number;
  /** G; H when absent. */
  readonly keyHeads?: number;
  readonly queries?: number;
  readonly width?: number;
  readonly valueWidth?: number;
}

/**
 * Every input of a rule, the state among them; decays within (0.02, 0.99), strengths within (0.02, 0.98). States of rules that
 * divide by their sums are positive in the sums.
 */
export function randomInputs(
  { rule }: RecurrenceComposition,
  seed: string,
  given: CallSizes,
  without: readonly InputName[] = [],
): RecurrenceInputs<Tensor64> {
  const {
    tokens,
    batch = 1,
    heads = 2,
    keyHeads = heads,
    queries = tokens,
    width = 3,
    valueWidth = 2,
  } = given;
  const takesQueries = rule.inputs.some(({ name }) => name === "q");
  const sizes: RuleSizes = {
    batch,
    heads: takesQueries ? heads : keyHeads,
    keyHeads,
    queries,
    tokens,
    width,
    valueWidth: takesQueries ? valueWidth : width,
  };
  const stream = random("rule-fixtures", rule.name, seed);
  const draws = {
    real: () => stream.normal(),
    "open unit": () => 0.02 + 0.97 * stream.uniform(),
    unit: () => 0.02 + 0.96 * stream.uniform(),
    "not positive": () => -3 * stream.uniform(),
  };
  const draw = (shape: readonly number[], value: () => number): Tensor64 =>
    tensor64(Float64Array.from({ length: sizeOf(shape) }, value), shape);
  const tensors = rule.inputs
    .filter(({ name }) => name !== "logDecay" && !without.includes(name))
    .map(({ name, shape, domain }) => {
      const value = name === "state" ? () => 0.5 + stream.uniform() : draws[domain];
      return [name, draw(shape(sizes), value)] as const;
    });
  const parameters = Object.entries(initialValues(rule.parameters, sizes)).map(
    ([name, { shape }]) => [name, draw(shape, draws.real)] as const,
  );
  return {
    ...(Object.fromEntries(tensors) as unknown as RecurrenceInputs<Tensor64>),
    parameters: Object.fromEntries(parameters),
  };
}

/** Tokens [start, stop) of every input that has tokens, [B, heads, N, …]. */
export function tokensOfInputs(
  { rule }: RecurrenceComposition,
  inputs: RecurrenceInputs<Tensor64>,
  start: number,
  stop: number,
): RecurrenceInputs<Tensor64> {
  const { parameters, ...tensors } = inputs;
  const cut = (Object.entries(tensors) as [InputName, Tensor64][]).map(([name, tensor]) => {
    const { extents } = rule.inputs.find((input) => input.name === name)!;
    return [name, extents.includes("N") ? sliceTokens(tensor, start, stop) : tensor];
  });
  return {
    ...(Object.fromEntries(cut) as RecurrenceInputs<Tensor64>),
    ...(parameters === undefined ? {} : { parameters }),
  };
}

/** Tokens [start, stop) of [B, heads, N, …]. */
export function sliceTokens({ data, shape }: Tensor64, start: number, stop: number): Tensor64 {
  const row = sizeOf(shape.slice(3));
  const rows = Array.from({ length: shape[0] * shape[1] }, (_, head) => {
    const from = head * shape[2];
    return [...data.subarray((from + start) * row, (from + stop) * row)];
  });
  return tensor64(rows.flat(), [shape[0], shape[1], stop - start, ...shape.slice(3)]);
}
