/**
 * @file What a kernel is compiled for: one attention at one pair of widths. Lengths, heads and batch are given at the call.
 * Every term of the similarity becomes a segment of the lifted rows, padded to eight numbers, so that a product, a
 * Hermitian modulus and a plain dot are the same code over one, two or four segments.
 */
import { type Composition } from "../../../attention/index.ts";
import { constantOf } from "../../../score/expression.ts";
import { type Expression, splitRowTerm, variable, variablesOf } from "../../../score/index.ts";
import { simplifyScore } from "../score/simplify-score.ts";
import { type RotationSpec, rotationSpec } from "./rotation.ts";
import { guards, type InnerName, isKeyVariable } from "../../../similarities/index.ts";

/** Rows of a query tile and keys of a key tile: with D = 64 the tiles of one step stay in the first two caches. */
export const tileRows = 64;
export const tileKeys = 64;

/** One term's place in a lifted row. */
export interface Segment {
  /** Terms are lifted so that `symplectic` is `dot` with Jk. */
  readonly inner: Exclude<InnerName, "symplectic">;
  readonly isSymplectic: boolean;
  /** The block of coordinates of the head's q and k. */
  readonly start: number;
  readonly stop: number;
  /** Place in the lifted row, a multiple of 8. */
  readonly offset: number;
  /** stop − start. */
  readonly width: number;
  /** width, rounded up to a multiple of 8. */
  readonly paddedWidth: number;
}

/** How weights follow from scores. */
export type Weighing = "softmax" | "sigmoid" | "identity" | "exp" | "maxplus";

/** Everything that the code of a kernel depends on. */
export interface KernelSpec {
  readonly segments: readonly Segment[];
  /** How the kernel turns lifted rows by their place; undefined where the lift does, or nothing does. */
  readonly rotation: RotationSpec | undefined;
  /** Numbers of a lifted row. */
  readonly rowWidth: number;
  /** E as the kernel sees it. */
  readonly valueWidth: number;
  /** valueWidth, rounded up to a multiple of 8. */
  readonly paddedValueWidth: number;
  /** The score without what softmax does not see. */
  readonly score: Expression;
  /** What was left out, the same for all keys of a row; undefined when nothing was. */
  readonly rowScore: Expression | undefined;
  /** The similarity's score, whole and without the normaliser's bias: what a caller sees as scores. */
  readonly fullScore: Expression;
  readonly weighing: Weighing;
  /** Whether a sink takes part of softmax; its score is the head's last number. */
  readonly hasSink: boolean;
  readonly selects: boolean;
  readonly hasBias: boolean;
  readonly hasMask: boolean;
  /** Whether a number for every head and distance is added to scores, and whether it has a gradient. */
  readonly hasTable: boolean;
  readonly learnsTable: boolean;
  /** Variables of the score that are parameters, whose gradients the backward pass sums. */
  readonly parameterNames: readonly string[];
  /** Variables of the score that are never negative. */
  readonly nonNegativeNames: readonly string[];
  readonly relaxed: boolean;
  readonly shared: boolean;
}

/** The name of a sigmoid's bias inside the score. */
export const sigmoidBias = "sigmoidBias";
/** The smallest square under a root, float32. */
export const guard: number = guards.f32;

/** A centroid's values carry their time and their mass as two more coordinates. */
export const centroidColumns = 2;

export const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple;

/** What a call has beside q, k and v. */
export interface CallShape {
  readonly width: number;
  readonly valueWidth: number;
  readonly hasBias: boolean;
  readonly hasMask: boolean;
  /** Parameters whose gradients are asked for; all when absent. */
  readonly learned?: readonly string[];
}

/** The kernel of a composition. */
export function kernelSpec(
  composition: Composition,
  call: CallShape,
  engine: { readonly relaxed: boolean; readonly shared: boolean },
): KernelSpec {
  const { similarity, normaliser, aggregation, position, selection } = composition;
  let offset = 0;
  const segments = similarity.terms(call.width).map(({ inner, start, stop }): Segment => {
    const width = stop - start;
    const paddedWidth = roundUp(width, 8);
    const segment = {
      inner: inner === "symplectic" ? "dot" : inner,
      isSymplectic: inner === "symplectic",
      start,
      stop,
      width,
      paddedWidth,
      offset,
    } as const;
    offset += paddedWidth;
    return segment;
  });
  const holdsRows = segments.length === 1 && !segments[0].isSymplectic && similarity.metric === undefined;
  const dropsRow = normaliser.name === "softmax" && normaliser.shiftInvariant;
  const { row, pair } = splitRowTerm(similarity.score, isKeyVariable);
  const plain = dropsRow ? pair : similarity.score;
  const nonNegativeNames = [
    "guard",
    ...similarity.parameters.filter(({ domain }) => domain === "positive").map(({ name }) => name),
  ];
  const score = simplifyScore(
    normaliser.name === "sigmoid" ? plain.add(variable(sigmoidBias)) : plain,
    new Set(nonNegativeNames),
  );
  const scalars = similarity.parameters.map(({ name }) => name).filter((name) => name !== similarity.metric);
  const used = variablesOf(score);
  const isAsked = (name: string): boolean =>
    call.learned?.includes(name === sigmoidBias ? (normaliser.parameters[0]?.name ?? "") : name) ?? true;
  const valueWidth = call.valueWidth + (aggregation.name === "centroid" ? centroidColumns : 0);
  return {
    segments,
    rotation: holdsRows ? rotationSpec(position, call.width) : undefined,
    rowWidth: offset,
    valueWidth,
    paddedValueWidth: roundUp(valueWidth, 8),
    score,
    rowScore: dropsRow && constantOf(row) !== 0 ? row : undefined,
    fullScore: similarity.score,
    weighing: weighingOf(composition),
    hasSink: normaliser.name === "softmax" && normaliser.parameters.length > 0,
    selects: selection.limit !== undefined,
    hasBias: call.hasBias,
    hasMask: call.hasMask,
    hasTable: position.place === "bias",
    learnsTable: position.place === "bias" && position.parameters.length > 0,
    parameterNames: [...scalars, sigmoidBias].filter((name) => used.has(name) && isAsked(name)),
    nonNegativeNames,
    ...engine,
  };
}

function weighingOf({ normaliser, aggregation }: Composition): Weighing {
  if (aggregation.name === "maxplus") return "maxplus";
  if (normaliser.name === "softmax") return "softmax";
  if (normaliser.name === "sigmoid") return "sigmoid";
  return normaliser.nonNegative ? "exp" : "identity";
}
