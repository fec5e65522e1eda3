/** @file Absolute positions that a model adds to its token embeddings: learned vectors, or sines and cosines. */
import { numberOption } from "../base/options.ts";
import { definePart, type PartFactory } from "../base/part.ts";
import { type EmbeddingPosition } from "./position.ts";

/**
 * A learned vector per place, added to the token embeddings by a model; a model cannot go beyond the places it learned.
 *
 * @example
 * ```ts
 * import { learned } from "qklab";
 * learned().place; // "embedding"
 * ```
 */
export const learned: PartFactory<EmbeddingPosition, object> = definePart<EmbeddingPosition, object>(
  {
    kind: "position",
    selector: "learned",
    formula: "x_i + P_i, P learned",
    source: "Gehring et al. 2017, Convolutional Sequence to Sequence Learning, section 3.1",
    rules: {},
  },
  () => ({ place: "embedding", table: undefined }),
);

/**
 * Sines and cosines of the place, added to the token embeddings by a model:
 * P_{i,2m} = sin(i·θ^{−2m/width}), P_{i,2m+1} = cos(i·θ^{−2m/width}).
 *
 * @param options - `theta`: the base, > 0 (default 10000)
 * @example
 * ```ts
 * import { sinusoidal } from "qklab";
 * sinusoidal().table?.(1, 4); // [0, 1, 0, 1]
 * ```
 */
export const sinusoidal: PartFactory<EmbeddingPosition, { readonly theta?: number }> = definePart<
  EmbeddingPosition,
  { readonly theta?: number }
>(
  {
    kind: "position",
    selector: "sinusoidal",
    formula: "x_i + (sin(i·θ^{−2m/D}), cos(i·θ^{−2m/D}))_m",
    source: "Vaswani et al. 2017, section 3.5",
    rules: { theta: numberOption("positive") },
  },
  ({ theta = 10_000 }) => ({
    place: "embedding",
    table: (count, width) =>
      new Float64Array(count * width).map((_, flat) => {
        const [place, coordinate] = [Math.floor(flat / width), flat % width];
        const angleRad = place * theta ** (-(coordinate - (coordinate % 2)) / width);
        return coordinate % 2 === 0 ? Math.sin(angleRad) : Math.cos(angleRad);
      }),
  }),
);
