/** @file All similarities, by name. */
import { DomainError } from "../base/errors.ts";
import { didYouMean, type OptionValue, parseNumberOrWord } from "../base/options.ts";
import { type PartFactory } from "../base/part.ts";
import { cauchy } from "./cauchy.ts";
import { complex } from "./complex.ts";
import { cosine } from "./cosine.ts";
import { dot } from "./dot.ts";
import { l1 } from "./l1.ts";
import { l2 } from "./l2.ts";
import { lorentz, lorentzDistance } from "./lorentz.ts";
import { mahalanobis } from "./mahalanobis.ts";
import { poincare } from "./poincare.ts";
import { productOf, type ProductOptions } from "./product.ts";
import { rbf } from "./rbf.ts";
import { type Similarity } from "./similarity.ts";
import { tropical } from "./tropical.ts";

/** A similarity factory whose option names are not known to the type checker, as selectors need it. */
export type AnySimilarityFactory = PartFactory<Similarity, Record<string, OptionValue>>;

const members = [
  dot,
  l2,
  rbf,
  l1,
  cauchy,
  cosine,
  lorentz,
  lorentzDistance,
  poincare,
  complex,
  tropical,
  mahalanobis,
] as unknown as readonly AnySimilarityFactory[];

/** `name` or `name(option=value;option=value)` to a similarity. */
function readMember(selector: string): Similarity {
  const [, name = "", written] = /^([\w-]+)(?:\(([^()]*)\))?$/.exec(selector.trim()) ?? [];
  const factory = members.find(({ definition }) => definition.selector === name);
  if (factory === undefined) {
    throw new DomainError(
      "unknown-similarity",
      `Cannot put '${selector}' into a product as no such similarity is known. ` +
        didYouMean(
          name || selector,
          members.map(({ definition }) => definition.selector),
        ),
    );
  }
  const options = new Map<string, OptionValue>();
  for (const pair of (written ?? "").split(";").filter((pair) => pair !== "")) {
    const [, option = "", value = ""] = /^\s*([^=\s]+)\s*=\s*([^=]+?)\s*$/.exec(pair) ?? [];
    if (option === "" || options.has(option)) {
      throw new DomainError(
        "bad-selector",
        `Cannot put '${selector}' into a product as each of its options must be written once, as name=value: '${pair}'. ` +
          "Write for example poincare(c=2;beta=1)",
      );
    }
    options.set(option, parseNumberOrWord(value));
  }
  return factory(Object.fromEntries(options));
}

/**
 * Product of spaces, s_ij = Σ_m w_m·score_m over equal blocks of the coordinates, the weights learned per head.
 *
 * @param options - `members`: selectors joined by `/`, options of a member in parentheses separated by `;`;
 *   `weights`: `learned` (default), `auto` or `fixed`
 * @throws ShapeError `product-width` when the number of members does not divide D
 * @example
 * ```ts
 * import { attention, causal, product } from "qklab";
 * const attend = attention({ similarity: product({ members: "l2/poincare(c=2)/cosine" }), pattern: causal() });
 * ```
 */
export const product: PartFactory<Similarity, ProductOptions> = productOf(readMember);

/** The factories of all similarities. */
export const similarities: readonly AnySimilarityFactory[] = [
  ...members,
  product as unknown as AnySimilarityFactory,
];

export {
  cauchy,
  complex,
  cosine,
  dot,
  l1,
  l2,
  lorentz,
  lorentzDistance,
  mahalanobis,
  poincare,
  rbf,
  tropical,
};
export { type Inner, type InnerName, inners } from "./inners.ts";
export {
  guards,
  isKeyVariable,
  similarity,
  type Similarity,
  type SimilarityDefinition,
  type SimilarityFactory,
  type SimilarityOptions,
  type SpaceName,
  type Temperature,
  type Term,
  termVariables,
} from "./similarity.ts";
