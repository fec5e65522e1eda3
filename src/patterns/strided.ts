/** @file The strided pattern of the Sparse Transformer: a local window and every stride-th place before. */
import { integerOption } from "../base/options.ts";
import { definePart, type PartFactory } from "../base/part.ts";
import { type Pattern } from "./pattern.ts";

/** Options of {@link strided}, in places. */
export interface StridedOptions {
  readonly stride: number;
  readonly local: number;
}

/**
 * A causal pattern: Δ < local, or Δ a multiple of stride, with 0 ≤ Δ.
 *
 * @param options - `stride` and `local`: places, at least 1; √N is usual for both
 * @example
 * ```ts
 * import { attention, dot, strided } from "qklab";
 * const attend = attention({ similarity: dot(), pattern: strided({ stride: 32, local: 32 }) });
 * ```
 */
export const strided: PartFactory<Pattern, StridedOptions> = definePart<Pattern, StridedOptions>(
  {
    kind: "pattern",
    selector: "strided",
    formula: "0 ≤ Δ and (Δ < local or Δ mod stride = 0)",
    source: "Child et al. 2019, Generating Long Sequences with Sparse Transformers, section 4.2",
    rules: { stride: integerOption(1, true), local: integerOption(1, true) },
  },
  ({ stride, local }) => ({
    allows: (queryPlace, key) => {
      const distance = queryPlace - key;
      return distance >= 0 && (distance < local || distance % stride === 0);
    },
    keyRange: (queryPlace, keys) => [0, Math.min(keys, queryPlace + 1)],
    causal: true,
  }),
);
