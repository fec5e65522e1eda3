/** @file `inspect SELECTOR`: an attention taken apart: parts, parameters, score and derivatives, what fits, its spread. */
import {
  type AnyPartFactory,
  completeSelector,
  compose,
  type Composition,
  initialParameters,
  parametersOf,
  parseSelector,
  partFactories,
  printSelector,
} from "../../attention/index.ts";
import { type Parameter, type Tensor64 } from "../../base/index.ts";
import { type Part, type PartKind, printPart } from "../../base/index.ts";
import { full } from "../../patterns/index.ts";
import { derivative, printJavaScript, splitRowTerm } from "../../score/index.ts";
import { inners, isKeyVariable, type Similarity, termVariables } from "../../similarities/index.ts";
import { type Fit, fittingAggregations, fittingPositions } from "./fitting-parts.ts";
import { measureSpread, type MeasuredSpread } from "./row-spread.ts";

/** The sizes that a description is made for. */
export interface InspectedSizes {
  readonly width: number;
  readonly heads: number;
}

interface DescribedPart {
  readonly kind: PartKind;
  readonly selector: string;
  readonly formula: string;
  readonly source: string;
}

/** A parameter with its values before training. */
export interface DescribedParameter extends Pick<Parameter, "name" | "mode" | "domain" | "maximum"> {
  readonly shape: readonly number[];
  /** Of the values before training. */
  readonly smallest: number;
  readonly largest: number;
}

/** An inner reduction over coordinates [start, stop), with the names of its numbers in the score. */
interface DescribedTerm {
  readonly reduction: string;
  readonly start: number;
  readonly stop: number;
  readonly names: { readonly inner: string; readonly queryNorm: string; readonly keyNorm: string };
}

/** An attention as `inspect --json` prints it. */
export interface AttentionDescription extends InspectedSizes {
  readonly kind: "attention";
  readonly selector: string;
  readonly space: Similarity["space"];
  readonly parts: readonly DescribedPart[];
  readonly parameters: readonly DescribedParameter[];
  readonly terms: readonly DescribedTerm[];
  readonly score: string;
  /** The part of the score that is the same for all keys of a row, which a softmax does not see. */
  readonly rowTerm: string;
  /** JavaScript that writes the score to out[0] and its derivatives, in the order of `by`, after it. */
  readonly derivatives: { readonly by: readonly string[]; readonly javascript: string };
  readonly properties: {
    readonly invariance: Similarity["invariance"];
    readonly bilinear: boolean;
    readonly shiftInvariant: boolean;
    readonly causal: boolean;
  };
  readonly fits: { readonly positions: readonly Fit[]; readonly aggregations: readonly Fit[] };
  readonly spread: MeasuredSpread;
}

/**
 * Takes a selector apart. Where it names no pattern, the description is made with every pair allowed.
 *
 * @throws DomainError, UnsupportedError for selectors that are none; ShapeError where the width does not fit
 */
export function describeAttention(selector: string, sizes: InspectedSizes): AttentionDescription {
  const parts = parseSelector(selector);
  const composition = compose(completeSelector(parts, { patterns: [full()] }));
  const { similarity, normaliser, patterns } = composition;
  return {
    kind: "attention",
    selector: printSelector(parts),
    space: similarity.space,
    ...sizes,
    parts: partsOf(composition, parts.patterns.length > 0).map((part) => {
      const { formula, source } = definitionOf(part);
      return { kind: part.kind, selector: printPart(part), formula, source };
    }),
    parameters: describeParameters(parametersOf(composition), initialParameters(composition, sizes), sizes),
    terms: similarity.terms(sizes.width).map(({ inner, start, stop }, index) => ({
      reduction: inners[inner].formula,
      start,
      stop,
      names: termVariables(index),
    })),
    score: String(similarity.score),
    rowTerm: String(splitRowTerm(similarity.score, isKeyVariable).row),
    derivatives: derivativesOf(similarity, sizes.width),
    properties: {
      invariance: similarity.invariance,
      bilinear: similarity.bilinear,
      shiftInvariant: normaliser.shiftInvariant,
      causal: patterns.some(({ causal }) => causal),
    },
    fits: { positions: fittingPositions(similarity), aggregations: fittingAggregations(composition) },
    spread: measureSpread(composition, sizes),
  };
}

/** A part of an attention, whose kind has factories. */
type AttentionPart = Part & { readonly kind: PartKind };

function partsOf(composition: Composition, hasPattern: boolean): readonly AttentionPart[] {
  const { similarity, position, patterns, selection, normaliser, aggregation } = composition;
  return [similarity, position, ...(hasPattern ? patterns : []), selection, normaliser, aggregation];
}

function definitionOf({ kind, name }: AttentionPart): AnyPartFactory["definition"] {
  // Parts of a parsed selector come from these factories.
  return (partFactories[kind].find(({ definition }) => definition.selector === name) as AnyPartFactory)
    .definition;
}

/** Declared parameters with the range of their initial values. */
export function describeParameters(
  declared: readonly Parameter[],
  initial: Readonly<Record<string, Tensor64>>,
  sizes: InspectedSizes,
): DescribedParameter[] {
  return declared.map(({ name, mode, domain, maximum, shape }) => {
    const data = initial[name]?.data ?? new Float64Array();
    return {
      name,
      mode,
      domain,
      ...(maximum === undefined ? {} : { maximum }),
      shape: shape(sizes),
      smallest: data.reduce((a, b) => Math.min(a, b), Infinity),
      largest: data.reduce((a, b) => Math.max(a, b), -Infinity),
    };
  });
}

function derivativesOf(
  { score, parameters, metric, terms }: Similarity,
  width: number,
): AttentionDescription["derivatives"] {
  const variables = terms(width).flatMap((_, index) => {
    const { inner, queryNorm, keyNorm } = termVariables(index);
    return [inner, queryNorm, keyNorm];
  });
  const by = [...variables, ...parameters.map(({ name }) => name).filter((name) => name !== metric)];
  return { by, javascript: printJavaScript([score, ...by.map((name) => derivative(score, name))]) };
}
