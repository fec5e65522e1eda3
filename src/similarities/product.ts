/** @file Product of spaces: a learned weighted sum of member scores over equal blocks of coordinates. */
import { ShapeError, UnsupportedError } from "../base/errors.ts";
import { textOption, wordOption } from "../base/options.ts";
import { headParameter, type Parameter, positive } from "../base/parameter.ts";
import { definePart, type PartFactory } from "../base/part.ts";
import { add, constant, mul, substitute, variable } from "../score/index.ts";
import { type Similarity, termVariables } from "./similarity.ts";

/** Options of a product: its members, as a list of similarities or as `/`-separated selectors. */
export interface ProductOptions {
  readonly members: string;
  readonly weights?: "learned" | "auto" | "fixed";
}

/**
 * Makes the factory of products. It needs a reader of member selectors, which lives one file later (the list of all
 * similarities contains `product` itself).
 *
 * @param readMember - a selector with its options, such as `poincare(c=2)`, to a similarity
 */
export function productOf(
  readMember: (selector: string) => Similarity,
): PartFactory<Similarity, ProductOptions> {
  return definePart<Similarity, ProductOptions>(
    {
      kind: "similarity",
      selector: "product",
      formula: "Σ_m w_m·score_m over equal blocks of coordinates",
      source: "Gu et al. 2019, Learning Mixed-Curvature Representations in Product Spaces, eq. 2",
      rules: {
        members: textOption("two or more similarities joined by '/', such as l2/poincare(c=2)", true),
        weights: wordOption("learned", "auto", "fixed"),
      },
    },
    ({ members, weights = "learned" }) => combine(members.split("/").map(readMember), weights),
  );
}

function combine(
  members: readonly Similarity[],
  weights: "learned" | "auto" | "fixed",
): Omit<Similarity, "kind" | "name" | "options"> {
  requireCombinable(members);
  const blockOf = (width: number): number => blockWidth(width, members.length);
  const firstTerm = countsBefore(members);
  const weightNames = members.map((_, index) => `weight_${index}`);
  return {
    space: "product",
    terms: (width) =>
      members.flatMap((member, index) =>
        member.terms(blockOf(width)).map(({ inner, start, stop }) => ({
          inner,
          start: start + index * blockOf(width),
          stop: stop + index * blockOf(width),
        })),
      ),
    score: members
      .map((member, index) => mul(variable(weightNames[index]), renamed(member, index, firstTerm[index])))
      .reduce(add, constant(0)),
    parameters: [
      ...weightNames.map((name) => headParameter(name, positive(1), weights === "fixed" ? 1 : weights)),
      ...members.flatMap(({ parameters }, index) =>
        parameters.map((parameter): Parameter => ({
          ...parameter,
          name: `${parameter.name}_${index}`,
          shape: ({ heads, width }) => parameter.shape({ heads, width: blockOf(width) }),
          initial: ({ heads, width }, random) => parameter.initial({ heads, width: blockOf(width) }, random),
        })),
      ),
    ],
    temperature: { parameters: weightNames, power: 1 },
    invariance: "none",
    bilinear: false,
  };
}

/** The member's score over its own terms and parameters: `s` of member 1 is `s_1`, its `beta` is `beta_1`. */
function renamed(member: Similarity, index: number, firstTerm: number): Similarity["score"] {
  const names = new Map<string, string>(member.parameters.map(({ name }) => [name, `${name}_${index}`]));
  member.terms(2 ** 10).forEach((_, term) => {
    const own = termVariables(term);
    const shared = termVariables(firstTerm + term);
    names.set(own.inner, shared.inner).set(own.queryNorm, shared.queryNorm).set(own.keyNorm, shared.keyNorm);
  });
  return substitute(member.score, (name) => {
    const replacement = names.get(name);
    return replacement === undefined ? undefined : variable(replacement);
  });
}

/** How many terms all members before each one have. */
function countsBefore(members: readonly Similarity[]): readonly number[] {
  let count = 0;
  return members.map((member) => {
    const before = count;
    count += member.terms(2 ** 10).length;
    return before;
  });
}

function requireCombinable(members: readonly Similarity[]): void {
  if (members.length < 2) {
    throw new UnsupportedError(
      "product-members",
      `Cannot make a product as it needs at least two members: ${members.length}. Write product:members=l2/poincare`,
    );
  }
  const calibrated = members.find(({ parameters }) => parameters.some(({ mode }) => mode === "auto"));
  if (calibrated !== undefined) {
    throw new UnsupportedError(
      "product-members",
      `Cannot calibrate '${calibrated.name}' inside a product as a product is calibrated by its weights: a member has an ` +
        "option auto. Write product:weights=auto",
    );
  }
  const unfit = members.find(({ metric, space }) => metric !== undefined || space === "product");
  if (unfit === undefined) return;
  throw new UnsupportedError(
    "product-members",
    `Cannot put '${unfit.name}' into a product as members compare plain blocks of coordinates. ` +
      (unfit.space === "product"
        ? "List its members directly"
        : "Use 'l2' as the member; its weight is learned"),
  );
}

function blockWidth(width: number, count: number): number {
  if (width % count === 0) return width / count;
  throw new ShapeError(
    "product-width",
    `Cannot split coordinates into ${count} equal blocks as ${count} must divide the width: ${width}. ` +
      "Choose a head width that the number of members divides",
  );
}
