/** @file The score of one query and one key by the reference's own code, without tensors. */
import { type Parameter, type Similarity } from "../src/index.ts";
import { pairScore } from "../src/attention/pair-score.ts";

/** What to score a pair with. */
export interface PairOptions {
  /** Values of parameters by name; the others take their initial value. */
  readonly parameters?: Readonly<Record<string, number>>;
  /** The smallest square under a root (default 0: formulas as textbooks write them). */
  readonly guard?: number;
}

/** s_ij of a similarity whose parameters are numbers; a metric counts as 1. */
export function scorePair(
  similarity: Similarity,
  q: ArrayLike<number>,
  k: ArrayLike<number>,
  { parameters = {}, guard = 0 }: PairOptions = {},
): number {
  const width = q.length;
  const pairs = pairScore(similarity, width, guard);
  const initial = (name: string): number => {
    const parameter = similarity.parameters.find((each) => each.name === name) as Parameter;
    return parameter.initial({ heads: 1, width }, undefined as never)[0];
  };
  const values = Float64Array.from(pairs.parameterNames, (name) => parameters[name] ?? initial(name));
  return pairs.score({ queries: Float64Array.from(q), keys: Float64Array.from(k) }, 0, 0, values);
}
