/**
 * @file What a similarity is: inner reductions over blocks of coordinates and one scalar score of them,
 * s_ij = score(s, q2, k2; parameters). Everything else (gradients, kernels, listings) follows from this record.
 */
import { DomainError, ShapeError } from "../base/errors.ts";
import { numberOption, type OptionRule } from "../base/options.ts";
import { headParameter, type Parameter, type ParameterRule } from "../base/parameter.ts";
import { definePart, type Part, type PartFactory } from "../base/part.ts";
import { type Expression, variable, variablesOf } from "../score/index.ts";
import { type Block, type InnerName, inners } from "./inners.ts";

/** Where queries and keys live; the records are in `src/spaces/`. */
export type SpaceName = "euclidean" | "sphere" | "poincare" | "lorentz" | "complex" | "product";

/** One inner reduction over one block of coordinates. */
export interface Term extends Block {
  readonly inner: InnerName;
}

/** The parameters that multiply the score: score ∝ parameter^power. Calibration turns them. */
export interface Temperature {
  readonly parameters: readonly string[];
  readonly power: number;
}

/** How queries are compared with keys. */
export interface Similarity extends Part {
  readonly kind: "similarity";
  readonly space: SpaceName;
  /** The inner reductions for width D; throws ShapeError when D does not fit. */
  readonly terms: (width: number) => readonly Term[];
  /** s_ij over the variables of {@link termVariables}, the parameters, and `guard`. */
  readonly score: Expression;
  readonly parameters: readonly Parameter[];
  /** Name of a positive per-coordinate parameter m: queries and keys are multiplied by √m before the inner reduction. */
  readonly metric?: string;
  readonly temperature?: Temperature;
  /**
   * Which motions of the coordinates leave the score unchanged when applied to q and k together: any rotation; only
   * rotations inside the pairs (2m, 2m+1); none. Rotary positions need it.
   */
  readonly invariance: "rotation" | "pairs" | "none";
  /** Whether the score is linear in q and in k, so that inverse scalings of them cancel (xPos needs it). */
  readonly bilinear: boolean;
}

/** Names of the variables that term number `index` gives to the score. */
export interface TermVariables {
  /** The inner reduction. */
  readonly inner: string;
  /** ‖q‖² over the block. */
  readonly queryNorm: string;
  /** ‖k‖² over the block. */
  readonly keyNorm: string;
}

/** The variables of a term: `s, q2, k2` for the first, `s_1, q2_1, k2_1` for the next… */
export function termVariables(index: number): TermVariables {
  const suffix = index === 0 ? "" : `_${index}`;
  return { inner: `s${suffix}`, queryNorm: `q2${suffix}`, keyNorm: `k2${suffix}` };
}

/** Whether a variable of a score changes from key to key of a row. */
export function isKeyVariable(name: string): boolean {
  return /^(s|k2)(_\d+)?$/.test(name);
}

/**
 * The smallest square that a root may see: √(u + guard), so that the derivative at coincidence is finite. Named
 * `guard` in scores; 1e-7 in f32 and 1e-12 in f64.
 */
export const guards = { f32: 1e-7, f64: 1e-12 } as const;

/** One term over all coordinates. */
export function wholeTerm(inner: InnerName): (width: number) => readonly Term[] {
  return (width) => {
    if (inners[inner].paired) requireEven(inner, width);
    return [{ inner, start: 0, stop: width }];
  };
}

/** @throws ShapeError `odd-width` */
export function requireEven(what: string, width: number): void {
  if (width % 2 === 0) return;
  throw new ShapeError(
    "odd-width",
    `Cannot use '${what}' as its coordinates come in pairs: width ${width} is odd. Use an even head width`,
  );
}

/** The names that a score function receives. */
export type ScoreInputs<Names extends string> = Readonly<
  Record<"s" | "q2" | "k2" | "guard" | Names, Expression>
>;

/** The function that makes a similarity whose parameters have these names. */
export type SimilarityFactory<Names extends string = never> = PartFactory<
  Similarity,
  SimilarityOptions<Names>
>;

/** The definition of a similarity as one record. */
export interface SimilarityDefinition<Names extends string> {
  /** The inner reduction over the coordinates. */
  readonly inner: InnerName;
  /** s_ij of the inner reduction `s`, the squared norms `q2`, `k2`, and the parameters. */
  readonly score: (inputs: ScoreInputs<Names>) => Expression;
  /** Numbers of the formula, one per head. */
  readonly params?: Readonly<Record<Names, ParameterRule>>;
  /** Which parameter is the temperature, and score ∝ parameter^power; needed for `=auto`. */
  readonly temperature?: { readonly parameter: NoInfer<Names>; readonly power: number };
  readonly space?: SpaceName;
  readonly formula?: string;
  readonly source?: string;
  readonly bilinear?: boolean;
}

/** What somebody may ask of each parameter: a value, or that it be learned or calibrated. */
export type SimilarityOptions<Names extends string> = Partial<Record<Names, number | "learned" | "auto">>;

/**
 * Defines a similarity by one expression; it then has gradients and fused kernels like every built-in one.
 *
 * s_ij = score(s, q2, k2; params), with s the inner reduction, q2 = ‖q_i‖², k2 = ‖k_j‖².
 *
 * @param name - its name in selectors
 * @param definition - inner reduction, score, parameters with their defaults
 * @returns a function that makes the similarity: `mine({ tau: 2 })`, `mine({ tau: "learned" })`
 * @throws DomainError `unknown-variable` when the score uses a name that is neither an input nor a parameter,
 *   `parameter-name` when a parameter has the name of an input
 * @example
 * ```ts
 * import { add, attention, full, log1p, max, mul, positive, similarity, sub } from "qklab";
 * const student = similarity("student", {
 *   inner: "dot",
 *   score: ({ s, q2, k2, tau }) => log1p(max(sub(add(q2, k2), mul(2, s)), 0).div(tau)).neg(),
 *   params: { tau: positive(1) },
 * });
 * const attend = attention({ similarity: student({ tau: 2 }), pattern: full() });
 * ```
 */
export function similarity<Names extends string = never>(
  name: string,
  definition: SimilarityDefinition<Names>,
): SimilarityFactory<Names> {
  const params = definition.params ?? ({} as Readonly<Record<Names, ParameterRule>>);
  const parameterNames = Object.keys(params) as Names[];
  requireFreeNames(name, parameterNames);
  const inputNames = ["s", "q2", "k2", "guard", ...parameterNames] as const;
  const inputs = Object.fromEntries(
    inputNames.map((input) => [input, variable(input)]),
  ) as ScoreInputs<Names>;
  const score = definition.score(inputs);
  requireKnownVariables(name, score, inputNames);
  const { inner, temperature } = definition;
  return definePart<Similarity, SimilarityOptions<Names>>(
    {
      kind: "similarity",
      selector: name,
      formula: definition.formula ?? String(score),
      source: definition.source ?? "defined by its user",
      rules: Object.fromEntries(
        parameterNames.map((parameter) => [
          parameter,
          parameterOption(params[parameter], temperature?.parameter === parameter),
        ]),
      ),
    },
    (options) => ({
      space: definition.space ?? "euclidean",
      terms: wholeTerm(inner),
      score,
      parameters: parameterNames.map((parameter) =>
        headParameter(parameter, params[parameter], options[parameter]),
      ),
      ...(temperature === undefined
        ? {}
        : { temperature: { parameters: [temperature.parameter], power: temperature.power } }),
      invariance: inner === "dot" ? "rotation" : inner === "symplectic" ? "pairs" : "none",
      bilinear: definition.bilinear ?? false,
    }),
  );
}

/** The rule of a parameter's option: a number of its domain, `learned`, and `auto` for a temperature. */
export function parameterOption({ domain }: ParameterRule, isTemperature: boolean): OptionRule {
  return numberOption(domain, "learned", ...(isTemperature ? ["auto"] : []));
}

function requireFreeNames(name: string, parameters: readonly string[]): void {
  const taken = parameters.find((parameter) => /^(s|q2|k2|guard|weight)(_\d+)?$/.test(parameter));
  if (taken === undefined) return;
  throw new DomainError(
    "parameter-name",
    `Cannot define '${name}' as a parameter must not have the name of an input (s, q2, k2, guard) or of a product's weight: ` +
      `'${taken}'. Choose another name, such as tau`,
  );
}

function requireKnownVariables(name: string, score: Expression, known: readonly string[]): void {
  const unknown = [...variablesOf(score)].filter((used) => !known.includes(used));
  if (unknown.length === 0) return;
  throw new DomainError(
    "unknown-variable",
    `Cannot define '${name}' as its score may use only its inputs and parameters: ${unknown.join(", ")}. ` +
      `Known are ${known.join(", ")}`,
  );
}
