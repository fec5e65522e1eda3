/** @file How far back the queries of an attention see, and what they see of the keys, so that whoever generates knows what it may forget. */
import { type Composition } from "./composition.ts";

/** Patterns that ask for the distance of a pair alone: they do not know from which place keys are counted. */
const byDistance: ReadonlySet<string> = new Set(["full", "causal", "window", "strided"]);

/**
 * w, where no query sees a key that is w places or more before its own, as with a causal window; undefined where keys must all be
 * kept: those of every stride and of every block's summary may be asked for again, a selection that chooses by the vectors counts
 * all keys, and so does a sigmoid whose bias is −ln S.
 */
export function reachOf(composition: Composition): number | undefined {
  const { patterns, selection } = composition;
  const isCausal = patterns.some(({ causal }) => causal);
  const isByDistance = patterns.every(({ name }) => byDistance.has(name));
  if (!isCausal || !isByDistance || countsKeys(composition) || selection.choose !== undefined)
    return undefined;
  const windows = patterns.filter(({ name }) => name === "window").map(({ options }) => Number(options["w"]));
  return windows.length === 0 ? undefined : Math.min(...windows);
}

/** Whether weights depend on the number of keys, those of later tokens among them: a sigmoid's bias is −ln S unless it is fixed. */
export function countsKeys({ normaliser }: Composition): boolean {
  return normaliser.name === "sigmoid" && typeof normaliser.options["bias"] !== "number";
}

/**
 * Whether the weights of earlier keys are raw scores that are linear in the key, and all of them count: then the sums Σ kᵀv say as
 * much as all keys and values.
 */
export function isLinearInKeys({
  similarity,
  position,
  patterns,
  selection,
  normaliser,
  aggregation,
}: Composition): boolean {
  return (
    similarity.bilinear &&
    similarity.metric === undefined &&
    position.place !== "bias" &&
    patterns.every(({ name }) => name === "causal") &&
    selection.limit === undefined &&
    selection.choose === undefined &&
    normaliser.name === "none" &&
    !normaliser.nonNegative &&
    aggregation.name === "mean"
  );
}
