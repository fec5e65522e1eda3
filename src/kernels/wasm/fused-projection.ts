/** @file The projections into an attention on an engine, forward and backward: norm, then queries, keys and values. */
import { ShapeError } from "../../base/errors.ts";
import { hasShape, listShapes } from "../../base/fitting.ts";
import { type Tensor } from "../../base/tensor.ts";
import { inDenseCall, mostParts } from "./dense-call.ts";
import { type WasmEngine } from "./engine.ts";
import { headBlockFields, largeRowShares, rowShares } from "./head-blocks.ts";
import { HeadRowsCall } from "./head-rows-call.ts";
import { roundUp } from "./kernel-spec.ts";
import { projectionModule, projectionScratchBytes } from "./projection-kernel.ts";

/** The inputs of a projection; `shift` is what makes its norm LayerNorm. */
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
  readonly k: T;
  /** [G·D, width] */
  readonly v: T;
}

/** Heads of a layer that share an attention: so many query heads, and so many of keys and of values. */
export interface ProjectedGroup {
  readonly heads: number;
  readonly keyValueHeads: number;
}

/** Queries [B, h, N, D], keys and values [B, g, N, D] of a group. */
export type ProjectedHeads = Readonly<Record<Side, Tensor>>;

type Side = (typeof sides)[number];
const sides = ["q", "k", "v"] as const;

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
    return inGroups(call.readHeads(heads, projection.counts));
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
): ProjectionInputs {
  return inDenseCall(engine, () => {
    const { call, counts, ...projection } = projectionCall(engine, inputs, groups);
    const { width, weight, weightRows, headWidth } = projection;
    const [, length] = inputs.x.shape;
    const given = sides.flatMap((side) => gradients.map((group) => group[side]));
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
  const { x, gain, shift } = inputs;
  const headWidth = headWidthOf(inputs, groups);
  const own = x.shape[2];
  const [width, paddedHead] = [roundUp(own, 8), roundUp(headWidth, 8)];
  const norm = shift === undefined ? "rms" : "layer";
  const { relaxed, shared } = engine;
  const counts = sides.flatMap((side) => groups.map((group) => headsOf(group, side)));
  const layout = { width: own, headWidth, heads: counts.reduce((sum, count) => sum + count) };
  const code = {
    key: `projection ${norm} ${own} ${layout.heads} ${headWidth}`,
    module: () => projectionModule({ norm, ...layout, relaxed, shared }),
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
  const places = { q: weight, k: 0, v: 0 };
  places.k = places.q + (4 * paddedHead * width * inputs.q.shape[0]) / headWidth;
  places.v = places.k + (4 * paddedHead * width * inputs.k.shape[0]) / headWidth;
  for (const side of sides) call.copyTo(places[side], inputs[side].data, ...shapes);
  return {
    call,
    width,
    headWidth,
    counts,
    input: call.copyRows(x),
    norm: { gain: call.vector(gain), shift: call.vector(shift) },
    weight,
    weightRows,
    readWeights: (address: number): ProjectedHeads => {
      const read = (side: Side): Tensor =>
        call.read(address + places[side] - weight, inputs[side].shape, ...shapes);
      return { q: read("q"), k: read("k"), v: read("v") };
    },
  };
}

const headsOf = ({ heads, keyValueHeads }: ProjectedGroup, side: Side): number =>
  side === "q" ? heads : keyValueHeads;

function inGroups(heads: readonly Tensor[]): ProjectedHeads[] {
  const count = heads.length / sides.length;
  return heads
    .slice(0, count)
    .map((q, group) => ({ q, k: heads[count + group], v: heads[2 * count + group] }));
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
