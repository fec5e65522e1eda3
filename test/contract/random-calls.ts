/** @file Random attentions on random calls: any legal parts, any options, sizes that no tile divides, every optional input there or not. */
import fc from "fast-check";
import {
  type AttentionInputs,
  type AttentionSizes,
  type Composition,
  type MaskTensor,
  type Random,
  referenceForward,
  type Tensor,
} from "../../src/index.ts";
import { usualSelectors } from "../arbitrary-selector.ts";
import { takesLengths, takesWidth } from "./laws-of-numbers.ts";
import { read } from "./legal-selectors.ts";
import { isSteady, ownFactory, ownName, type OwnSimilarity, ownSimilarities } from "./own-similarity.ts";
import { clearProblem, normals, type Problem, sparseMask, variedParameters } from "./problem.ts";

/** One random call; everything that it depends on can be printed. */
export interface RandomCall {
  readonly selector: string;
  /** What `own` in the selector stands for. */
  readonly own?: OwnSimilarity;
  readonly sizes: AttentionSizes;
  /** Norm of queries and keys, about. */
  readonly norm: number;
  readonly offset?: number;
  readonly keyLengths?: readonly number[];
  /** Extents of 1 are broadcast. */
  readonly mask?: { readonly share: number; readonly isPerBatch: boolean; readonly isPerHead: boolean };
  readonly bias?: { readonly isPerBatch: boolean; readonly isPerHead: boolean };
  /** Whether scores and weights are compared too, and gradients. */
  readonly pairs: boolean;
  readonly gradients: boolean;
  /** Of the numbers of all tensors. */
  readonly seed: number;
}

/** One, small, around the lanes of a vector, primes, around a tile, and whatever else. */
const extent = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(1, 2, 3, 4, 5, 7, 8, 9, 13, 17, 31, 33) },
  { weight: 1, arbitrary: fc.constantFrom(61, 63, 64, 65, 67, 70) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 70 }) },
);

/** `share` of the draws are there. */
function sometimes<T>(share: number, value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  const whole = Math.round(1 / share);
  return fc.option(value, { nil: undefined, freq: whole - 1 });
}

const sizesArbitrary: fc.Arbitrary<AttentionSizes> = fc
  .record({
    batch: fc.constantFrom(1, 1, 1, 2),
    keyHeads: fc.constantFrom(1, 1, 2),
    group: fc.constantFrom(1, 1, 2, 3),
    queries: extent,
    keys: extent,
    width: extent,
    valueWidth: extent,
  })
  .map(({ group, ...sizes }) => ({ ...sizes, heads: group * sizes.keyHeads }));

/** Whether the reference computes it in some hundredths of a second. */
const isCheap = ({ batch, heads, queries, keys, width, valueWidth }: AttentionSizes): boolean =>
  batch * heads * queries * keys * (width + valueWidth) <= 1e6;

/** The attention of a call; nothing where its parts clash or a part has no such options. */
export function compositionOf({
  selector,
  own,
}: Pick<RandomCall, "selector" | "own">): Composition | undefined {
  try {
    return own === undefined ? read(selector) : read(selector, [ownFactory(own)]);
  } catch (error) {
    if (/^(clash-|missing-pattern)/.test((error as { code?: string }).code ?? "")) return undefined;
    throw error;
  }
}

/** Attentions whose parts fit, one in eight of a similarity of its own. */
const attentions = fc
  .oneof(
    { weight: 7, arbitrary: fc.record({ selector: usualSelectors() }) },
    {
      weight: 1,
      arbitrary: fc.record({ selector: usualSelectors(fc.constant(ownName)), own: ownSimilarities }),
    },
  )
  .filter((attention) => {
    const composition = compositionOf(attention);
    return composition !== undefined && composition.position.place !== "embedding";
  });

/** The next width that the parts take. */
function fittingWidth(composition: Composition, width: number): number {
  let fitting = width;
  while (!takesWidth(composition, fitting)) fitting += 1;
  return fitting;
}

/** Random calls; those whose numbers no float32 arithmetic could be held to are found out by {@link problemOf}. */
export const randomCalls: fc.Arbitrary<RandomCall> = fc
  .tuple(attentions, sizesArbitrary.filter(isCheap))
  .chain(([attention, drawn]) => {
    const sizes = { ...drawn, width: fittingWidth(compositionOf(attention)!, drawn.width) };
    const { batch, queries, keys } = sizes;
    const broadcast = { isPerBatch: fc.boolean(), isPerHead: fc.boolean() };
    return fc
      .record({
        norm: fc.constantFrom(0.5, 1, 1, 2),
        offset: sometimes(1 / 2, fc.oneof(fc.constant(keys - queries), fc.integer({ min: -9, max: 90 }))),
        keyLengths: sometimes(
          1 / 4,
          fc.array(fc.integer({ min: 0, max: keys }), { minLength: batch, maxLength: batch }),
        ),
        mask: sometimes(1 / 4, fc.record({ share: fc.constantFrom(0.1, 0.5, 0.95), ...broadcast })),
        bias: sometimes(1 / 4, fc.record(broadcast)),
        pairs: fc.constantFrom(true, false, false),
        gradients: fc.boolean(),
        seed: fc.nat(),
      })
      .map((rest) => ({ ...attention, sizes, ...rest }) as RandomCall);
  })
  .filter(({ sizes, offset = 0, ...attention }) => takesLengths(compositionOf(attention)!, sizes, offset));

/** The tensors of a call; nothing where a rounding could choose other keys, or a formula of one's own is not steady. */
export function problemOf(call: RandomCall): Problem | undefined {
  const composition = compositionOf(call)!;
  const problem = clearProblem((stream) => drawCall(composition, call, stream), call.seed);
  if (problem === undefined || !isHeavy(problem)) return undefined;
  return call.own === undefined || isSteady(problem, call.seed) ? problem : undefined;
}

/** A centroid divides by its row's mass; float32 gives up on rows of less than 2^-64. */
const smallestMass = 2 ** -60;

/** Whether no row of a centroid has so little weight that float32 takes it for none. */
function isHeavy({ composition, inputs }: Problem): boolean {
  if (composition.aggregation.name !== "centroid") return true;
  const { data, shape } = referenceForward(composition, inputs).weights;
  const keys = shape[3];
  return Array.from({ length: data.length / keys }, (_, row) =>
    data.subarray(row * keys, (row + 1) * keys).reduce((a, b) => a + b, 0),
  ).every((mass) => mass === 0 || mass >= smallestMass);
}

function drawCall(composition: Composition, call: RandomCall, stream: Random): Problem {
  const { sizes, norm, offset, keyLengths, mask, bias } = call;
  const { batch, heads, keyHeads, queries, keys, width, valueWidth } = sizes;
  const deviation = norm / Math.sqrt(width);
  const pairShape = ({ isPerBatch, isPerHead }: NonNullable<RandomCall["bias"]>): readonly number[] => [
    isPerBatch ? batch : 1,
    isPerHead ? heads : 1,
    queries,
    keys,
  ];
  const optional: { offset?: number; keyLengths?: readonly number[]; mask?: MaskTensor; bias?: Tensor } = {};
  if (offset !== undefined) optional.offset = offset;
  if (keyLengths !== undefined) optional.keyLengths = keyLengths;
  if (mask !== undefined) optional.mask = sparseMask(stream, pairShape(mask), mask.share);
  if (bias !== undefined) optional.bias = normals(stream, pairShape(bias));
  const inputs: AttentionInputs<Tensor> = {
    q: bounded(normals(stream, [batch, heads, queries, width], deviation), norm),
    k: bounded(normals(stream, [batch, keyHeads, keys, width], deviation), norm),
    v: normals(stream, [batch, keyHeads, keys, valueWidth]),
    parameters: variedParameters(composition, sizes, stream),
    ...optional,
  };
  return { composition, inputs, dOut: normals(stream, [batch, heads, queries, valueWidth]) };
}

/** How far a row may be beyond its usual norm: hyperbolic radii above 8.6 leave float32. */
const largestExcess = 1.5;

/** The rows, those too long shortened. */
function bounded({ data, shape }: Tensor, norm: number): Tensor {
  const width = shape[3];
  for (let at = 0; at < data.length; at += width) {
    const row = data.subarray(at, at + width);
    const length = Math.sqrt(row.reduce((sum, x) => sum + x * x, 0));
    const excess = length / (largestExcess * norm);
    if (excess > 1) row.forEach((x, place) => (row[place] = x / excess));
  }
  return { data, shape };
}

/** The call in one line, for whoever wants to see it again. */
export function printCall({ own, ...call }: RandomCall): string {
  const formula = own === undefined ? "" : ` with ${ownName} = ${String(own.score)} of ${own.inner}`;
  return `${JSON.stringify(call)}${formula}`;
}
