/** @file Scaled dot product: scale · q·k. */
import { positive } from "../base/parameter.ts";
import { similarity, type SimilarityFactory } from "./similarity.ts";

/**
 * The scaled dot product, s_ij = scale · q_i·k_j.
 *
 * @param options - `scale`: a number > 0 (default 1/√D), `learned` or `auto`
 * @example
 * ```ts
 * import { attention, causal, dot } from "qklab";
 * const attend = attention({ similarity: dot(), pattern: causal() });
 * ```
 */
export const dot: SimilarityFactory<"scale"> = similarity("dot", {
  formula: "scale · q·k",
  source: "Vaswani et al. 2017, Attention Is All You Need, eq. 1",
  inner: "dot",
  params: { scale: positive((width) => 1 / Math.sqrt(width)) },
  temperature: { parameter: "scale", power: 1 },
  bilinear: true,
  score: ({ s, scale }) => scale.mul(s),
});
