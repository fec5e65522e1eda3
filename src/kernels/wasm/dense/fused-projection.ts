/** @file The projections into an attention on an engine, forward and backward: norm, then queries, keys and values. */
import { ShapeError } from "../../../base/errors.ts";
import { hasShape, listShapes } from "../../../base/fitting.ts";
import { type Tensor } from "../../../base/tensor.ts";
import { normEpsilon } from "../../reference/norm.ts";
import { inDenseCall, mostParts } from "./dense-call.ts";
import { type WasmEngine } from "../engine/engine.ts";
import { headBlockFields, largeRowShares, rowShares } from "./head-blocks.ts";
import { HeadRowsCall } from "./head-rows-call.ts";
import { roundUp } from "../attention/kernel-spec.ts";
import { projectionModule, projectionScratchBytes } from "./projection-kernel.ts";

/** The inputs of a projection; `shift` is what makes its norm LayerNorm, and without `k` there are no keys. */
export interface ProjectionInputs<T = Tensor> {
  /** [B, N, width] */
  readonly x: T;
  /** [width] */
  readonly gain: T;
  /** [width] */
  readonly shift?: T;
  /** [H·D, width] */
  readonly q: T;
  /** [G·D, width] */
  readonly k?: T;
  /** [G·D, width] */
  readonly v: T;
  /** ε of the norm (default 1e-5). */
  readonly epsilon?: number;
}

/** Heads of a layer that share an attention: so many query heads, and so many of keys and of values. */
export interface ProjectedGroup {
  readonly heads: number;
  readonly keyValueHeads: number;
}

/** Queries [B, h, N, D], keys and values [B, g, N, D] of a group. */
export type ProjectedHeads = Pick<ProjectionInputs, Side>;

type Side = (typeof sides)[number];
const sides = ["q", "k", "v"] as const;

const sidesOf = ({ k }: ProjectionInputs): readonly Side[] =>
  sides.filter((side) => side !== "k" || k !== undefined);

/**
 * q = W_q·n, k = W_k·n and v = W_v·n of n = norm(x), for each group of heads in its order; the norm is that of
 * `fusedFeedForward`.
 *
 * @param engine - what computes it
 * @throws ShapeError `projection-shape` for weights that do not fit; UnsupportedError `memory` beyond 4 GiB
 */
export function fusedProjection(
  engine: WasmEngine,
  inputs: ProjectionInputs,
  groups: readonly ProjectedGroup[],
): ProjectedHeads[] {
  return inDenseCall(engine, () => {
    const { call, ...projection } = projectionCall(engine, inputs, groups);
    const heads = call.takeHeads();
    const packed = call.pack("packWide", projection.weight, projection.weightRows, projection.width);
    call.run(
      "project",
      rowShares(call.batch, call.rows).map((share) => ({
        ...projection.norm,
        ...call.record(share, { input: projection.input, heads }),
        packed,
      })),
    );
    return inGroups(call.readHeads(heads, projection.counts), sidesOf(inputs));
  });
}

/**
 * Gradients of Σ q·dq + k·dk + v·dv + x·dx by every input.
 *
 * @param gradients - of every group's heads; absent ones are zeros
 * @param dX - [B, N, width], the gradient of x by those who read it beside the projection; zeros when absent
 */
export function fusedProjectionBackward(
  engine: WasmEngine,
  inputs: ProjectionInputs,
  groups: readonly ProjectedGroup[],
  gradients: readonly Partial<ProjectedHeads>[],
  dX?: Tensor,
): Omit<ProjectionInputs, "epsilon"> {
  return inDenseCall(engine, () => {
    const { call, counts, ...projection } = projectionCall(engine, inputs, groups);
    const { width, weight, weightRows, headWidth } = projection;
    const [, length] = inputs.x.shape;
    const given = sidesOf(inputs).flatMap((side) => gradients.map((group) => group[side]));
    const headGradients = call.copyHeads(
      given.map((gradient, index) => {
        const shape = [call.batch, counts[index], length, headWidth];
        return gradient ?? { data: new Float32Array(shape.reduce((a, b) => a * b)), shape };
      }),
    );
    const inputGradient = call.takeRows();
    const outGradient = dX === undefined ? call.takeZeros(call.batch * call.rows * width) : call.copyRows(dX);
    const shares = largeRowShares(call.batch, call.rows, mostParts);
    const sums = call.partSums(shares.length, {
      gainGradient: width,
      shiftGradient: width,
      weightGradient: weightRows * width,
    });
    call.run(
      "projectBackward",
      shares.map((share, part) => ({
        ...projection.norm,
        ...call.record(share, { input: projection.input, inputGradient, outGradient, headGradients }),
        ...sums.of(part),
        weight,
      })),
    );
    const { gainGradient, shiftGradient, weightGradient } = sums.join();
    return {
      x: call.readRows(inputGradient),
      gain: call.readVector(gainGradient, inputs.gain),
      ...(inputs.shift === undefined ? {} : { shift: call.readVector(shiftGradient, inputs.shift) }),
      ...projection.readWeights(weightGradient),
    };
  });
}

/** One call: where its rows and weights lie. */
function projectionCall(engine: WasmEngine, inputs: ProjectionInputs, groups: readonly ProjectedGroup[]) {
  const { x, gain, shift, epsilon = normEpsilon } = inputs;
  const headWidth = headWidthOf(inputs, groups);
  const own = x.shape[2];
  const [width, paddedHead] = [roundUp(own, 8), roundUp(headWidth, 8)];
  const norm = shift === undefined ? "rms" : "layer";
  const { relaxed, shared } = engine;
  const ownSides = sidesOf(inputs);
  const counts = ownSides.flatMap((side) => groups.map((group) => headsOf(group, side)));
  const layout = { width: own, headWidth, heads: counts.reduce((sum, count) => sum + count) };
  const code = {
    key: `projection ${norm} ${epsilon} ${own} ${layout.heads} ${headWidth}`,
    module: () => projectionModule({ norm, epsilon, ...layout, relaxed, shared }),
    fields: headBlockFields,
    scratchBytes: projectionScratchBytes(own),
  };
  const call = new HeadRowsCall(engine, code, layout, x.shape);
  const weightRows = layout.heads * paddedHead;
  const weight = call.take(weightRows * width);
  const shapes = [
    { rows: headWidth, width: own },
    { rows: paddedHead, width },
  ] as const;
  let next = weight;
  const places = ownSides.map((side) => {
    const place = { side, tensor: inputs[side]!, offset: next - weight };
    call.copyTo(next, place.tensor.data, ...shapes);
    next += (4 * paddedHead * width * place.tensor.shape[0]) / headWidth;
    return place;
  });
  return {
    call,
    width,
    headWidth,
    counts,
    input: call.copyRows(x),
    norm: { gain: call.vector(gain), shift: call.vector(shift) },
    weight,
    weightRows,
    readWeights: (address: number): ProjectedHeads =>
      Object.fromEntries(
        places.map(({ side, tensor, offset }) => [
          side,
          call.read(address + offset, tensor.shape, ...shapes),
        ]),
      ) as unknown as ProjectedHeads,
  };
}

const headsOf = ({ heads, keyValueHeads }: ProjectedGroup, side: Side): number =>
  side === "q" ? heads : keyValueHeads;

function inGroups(heads: readonly Tensor[], sides: readonly Side[]): ProjectedHeads[] {
  const count = heads.length / sides.length;
  return Array.from(
    { length: count },
    (_, group) =>
      Object.fromEntries(
        sides.map((side, at) => [side, heads[at * count + group]]),
      ) as unknown as ProjectedHeads,
  );
}

function headWidthOf(
  { x, gain, shift, q, k, v }: ProjectionInputs,
  groups: readonly ProjectedGroup[],
): number {
  const width = x.shape[2];
  const sumOf = (side: Side): number => groups.reduce((sum, group) => sum + headsOf(group, side), 0);
  const headWidth = q.shape[0] / sumOf("q");
  const isRight =
    x.shape.length === 3 &&
    Number.isInteger(headWidth) &&
    hasShape(q, q.shape[0], width) &&
    hasShape(k, sumOf("k") * headWidth, width) &&
    hasShape(v, sumOf("v") * headWidth, width) &&
    hasShape(gain, width) &&
    hasShape(shift, width);
  if (isRight) return headWidth;
  const shapes = listShapes({ x, gain, shift, q, k, v });
  throw new ShapeError(
    "projection-shape",
    "Cannot project as x must be [B, N, width], gain and shift [width], q, k and v [heads·D, width] with one D: " +
      `${shapes} for ${sumOf("q")} query heads and ${sumOf("k")} of keys. Pass weights as [out, in]`,
  );
}
