/** @file Which pairs take part, as booleans: patterns, key lengths, masks, and the selection among them by score. */
import { DType, numpy as np } from "@jax-js/jax";
import { type AttentionSizes, type Composition } from "../../attention/index.ts";
import { UnsupportedError } from "../../base/errors.ts";
import { intersect } from "../../patterns/index.ts";
import { largestOfRow } from "./largest-of-row.ts";

/** What a call says about its pairs beside the pattern. */
export interface PairLimits {
  /** bool, [B or 1, H or 1, Q, S] */
  readonly mask?: np.Array;
  /** int32, [B] */
  readonly keyLengths?: np.Array;
}

/**
 * The pairs that are allowed before scores are known, broadcast against [B, H, Q, S]; `undefined` when all are.
 */
export function allowedPairs(
  composition: Composition,
  sizes: AttentionSizes,
  offset: number,
  { mask, keyLengths }: PairLimits,
): np.Array | undefined {
  const conditions = [
    patternOf(composition, sizes, offset),
    mask?.ref,
    keyLengths === undefined
      ? undefined
      : np.less(np.arange(sizes.keys), keyLengths.ref.reshape([sizes.batch, 1, 1, 1])),
  ].filter((condition) => condition !== undefined);
  return conditions.length === 0
    ? undefined
    : conditions.reduce((all, condition) => np.logicalAnd(all, condition));
}

function patternOf(
  { patterns }: Composition,
  { queries, keys }: AttentionSizes,
  offset: number,
): np.Array | undefined {
  const { allows, keyRange } = intersect(patterns);
  const allowed = new Int32Array(queries * keys);
  let count = 0;
  for (let query = 0; query < queries; query++) {
    const [first, stop] = keyRange(query + offset, keys);
    for (let key = first; key < stop; key++) {
      if (!allows(query + offset, key)) continue;
      allowed[query * keys + key] = 1;
      count++;
    }
  }
  return count === allowed.length
    ? undefined
    : np.array(allowed, { shape: [1, 1, queries, keys], dtype: DType.Bool });
}

/**
 * The pairs that the selection keeps among the allowed ones: exactly min(k, allowed) of a row, ties to the lower index.
 *
 * @param allowed - as from {@link allowedPairs}
 * @param scores - [B, H, Q, S]
 */
export function keptPairs(
  { selection }: Composition,
  allowed: np.Array | undefined,
  scores: () => np.Array,
): np.Array | undefined {
  if (selection.choose !== undefined) {
    throw new UnsupportedError(
      "jax-selection",
      `Cannot select by '${selection.name}' in a jax-js function as it chooses by the numbers of q and k, which a function that ` +
        `is compiled does not have: ${selection.name}. Call attention() with jaxBackend, or use the device wasm`,
    );
  }
  if (selection.name !== "all" && selection.name !== "topk") {
    throw new UnsupportedError(
      "jax-selection",
      `Cannot select by '${selection.name}' on jax-js as it knows all and topk: '${selection.name}'. Use the reference backend`,
    );
  }
  const { limit } = selection;
  if (limit === undefined) return allowed;
  const values = scores();
  if (limit >= values.shape[3]) return allowed;
  if (allowed === undefined) return largestOfRow(values, limit);
  return np.logicalAnd(allowed.ref, largestOfRow(np.where(allowed.ref, values.ref, -Infinity), limit));
}
