/** @file Hermitian product of complex coordinates: real part, imaginary part or modulus of Σ q_m·conj(k_m). */
import { wordOption } from "../base/options.ts";
import { headParameter, positive } from "../base/parameter.ts";
import { definePart, type PartFactory } from "../base/part.ts";
import { type Expression, sqrt, variable } from "../score/index.ts";
import { type InnerName } from "./inners.ts";
import { parameterOption, requireEven, type Similarity, termVariables } from "./similarity.ts";

const scaleRule = positive((width) => 1 / Math.sqrt(width));

/** Options of {@link complex}. */
export interface ComplexOptions {
  readonly scale?: number | "learned" | "auto";
  readonly part?: "re" | "im" | "abs";
}

const forms: Readonly<Record<"re" | "im" | "abs", { inner: readonly InnerName[]; value: () => Expression }>> =
  {
    re: { inner: ["dot"], value: () => inner(0) },
    im: { inner: ["symplectic"], value: () => inner(0) },
    abs: {
      inner: ["dot", "symplectic"],
      value: () => sqrt(inner(0).square().add(inner(1).square()).add(variable("guard"))),
    },
  };

const inner = (index: number): Expression => variable(termVariables(index).inner);

/**
 * Hermitian product, s_ij = scale · part(Σ_m q_m·conj(k_m)) over the complex coordinates (2m, 2m+1). The imaginary part is
 * antisymmetric: it tells who comes first; the modulus forgets the phase.
 *
 * @param options - `scale` (default 1/√D, or `learned`, `auto`), `part`: `re` (default), `im` or `abs`
 * @throws ShapeError `odd-width` when D is odd
 * @example
 * ```ts
 * import { attention, complex, full } from "qklab";
 * const attend = attention({ similarity: complex({ part: "im" }), pattern: full() });
 * ```
 */
export const complex: PartFactory<Similarity, ComplexOptions> = definePart<Similarity, ComplexOptions>(
  {
    kind: "similarity",
    selector: "complex",
    formula: "scale · Re|Im|abs Σ_m q_m·conj(k_m)",
    source: "Trouillon et al. 2016, Complex Embeddings for Simple Link Prediction, eq. 9",
    rules: { scale: parameterOption(scaleRule, true), part: wordOption("re", "im", "abs") },
  },
  ({ scale, part = "re" }) => ({
    space: "complex",
    terms: (width) => {
      requireEven("complex", width);
      return forms[part].inner.map((name) => ({ inner: name, start: 0, stop: width }));
    },
    score: variable("scale").mul(forms[part].value()),
    parameters: [headParameter("scale", scaleRule, scale)],
    temperature: { parameters: ["scale"], power: 1 },
    invariance: part === "re" ? "rotation" : "pairs",
    bilinear: part !== "abs",
  }),
);
