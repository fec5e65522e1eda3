/** @file ALiBi: a penalty on the score that grows linearly with the distance of places. */
import { definePart, type PartFactory } from "../base/part.ts";
import { type BiasPosition } from "./position.ts";

/**
 * Attention with linear biases: −2^{−8(h+1)/H}·|Δ| is added to the score of head h.
 *
 * @example
 * ```ts
 * import { alibi, attention, causal, dot } from "qklab";
 * const attend = attention({ similarity: dot(), position: alibi(), pattern: causal() });
 * ```
 */
export const alibi: PartFactory<BiasPosition, object> = definePart<BiasPosition, object>(
  {
    kind: "position",
    selector: "alibi",
    formula: "s_ij − 2^{−8(h+1)/H}·|Δ|",
    source: "Press, Smith & Lewis 2022, Train Short, Test Long, section 3",
    rules: {},
  },
  () => ({
    place: "bias",
    parameters: [],
    table: (heads, deltas) =>
      new Float64Array(heads * deltas.length).map((_, flat) => {
        const head = Math.floor(flat / deltas.length);
        return -(2 ** ((-8 * (head + 1)) / heads)) * Math.abs(deltas[flat % deltas.length]);
      }),
    tableGradient: () => ({}),
  }),
);
