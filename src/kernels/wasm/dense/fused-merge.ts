/** @file The projection out of an attention on an engine, forward and backward: outputs of heads, added to the rows. */
import { ShapeError } from "../../../base/errors.ts";
import { type Tensor } from "../../../base/tensor.ts";
import { inDenseCall, mostParts } from "./dense-call.ts";
import { type WasmEngine } from "../engine/engine.ts";
import { headBlockFields, largeRowShares, rowShares } from "./head-blocks.ts";
import { HeadRowsCall } from "./head-rows-call.ts";
import { roundUp } from "../attention/kernel-spec.ts";
import { mergeModule } from "./merge-kernel.ts";

/** The inputs of a merge. */
export interface MergeInputs {
  /** [B, N, width] */
  readonly x: Tensor;
  /** Outputs of attentions, [B, h, N, E] each; their heads lie side by side, in their order. */
  readonly heads: readonly Tensor[];
  /** [width, H·E] */
  readonly weight: Tensor;
}

/**
 * out = x + W·o, o the outputs of all heads side by side.
 *
 * @param engine - what computes it
 * @returns [B, N, width]
 * @throws ShapeError `merge-shape` for a weight that does not fit; UnsupportedError `memory` beyond 4 GiB
 */
export function fusedMerge(engine: WasmEngine, inputs: MergeInputs): Tensor {
  return inDenseCall(engine, () => {
    const { call, heads, weight, width, joined } = mergeCall(engine, inputs);
    const input = call.copyRows(inputs.x);
    const out = call.takeRows();
    const packed = call.pack("packWide", weight, width, joined);
    const places = { input, out, heads };
    call.run(
      "merge",
      rowShares(call.batch, call.rows).map((share) => ({ ...call.record(share, places), packed })),
    );
    return call.readRows(out);
  });
}

/**
 * Gradients of Σ out·dOut by the outputs of heads and by the weight; that by x is dOut.
 *
 * @param dOut - [B, N, width]
 */
export function fusedMergeBackward(
  engine: WasmEngine,
  inputs: MergeInputs,
  dOut: Tensor,
): Omit<MergeInputs, "x"> {
  return inDenseCall(engine, () => {
    const { call, heads, weight, width, joined, blocks } = mergeCall(engine, inputs);
    const outGradient = call.copyRows(dOut);
    const headGradients = call.takeHeads();
    const shares = largeRowShares(call.batch, call.rows, mostParts);
    const sums = call.partSums(shares.length, { weightGradient: width * joined });
    const places = { outGradient, heads, headGradients };
    call.run(
      "mergeBackward",
      shares.map((share, part) => ({ ...call.record(share, places), ...sums.of(part), weight })),
    );
    const { weightGradient } = sums.join();
    const counts = inputs.heads.map(({ shape }) => shape[1]);
    return {
      heads: call.readHeads(headGradients, counts),
      weight: call.read(weightGradient, inputs.weight.shape, ...blocks),
    };
  });
}

/** One call: where its heads and its weight lie. */
function mergeCall(engine: WasmEngine, { x, heads: tensors, weight }: MergeInputs) {
  requireFitting({ x, heads: tensors, weight });
  const own = x.shape[2];
  const headWidth = tensors[0].shape[3];
  const heads = tensors.reduce((sum, { shape }) => sum + shape[1], 0);
  const layout = { width: own, heads, headWidth };
  const { relaxed, shared } = engine;
  const code = {
    key: `merge ${own} ${heads} ${headWidth}`,
    module: () => mergeModule({ ...layout, relaxed, shared }),
    fields: headBlockFields,
    scratchBytes: 0,
  };
  const call = new HeadRowsCall(engine, code, layout, x.shape);
  const [width, paddedHead] = [roundUp(own, 8), roundUp(headWidth, 8)];
  const joined = heads * paddedHead;
  // Columns of a head are padded as its outputs are: a row of the weight is a block with a row for each head.
  const blocks = [
    { rows: heads, width: headWidth },
    { rows: heads, width: paddedHead },
  ] as const;
  const place = call.takeZeros(width * joined);
  call.copyTo(place, weight.data, ...blocks);
  return { call, heads: call.copyHeads(tensors), weight: place, width, joined, blocks };
}

function requireFitting({ x, heads, weight }: MergeInputs): void {
  const [batch, length, width] = x.shape;
  const joined = heads.reduce((sum, { shape }) => sum + shape[1] * shape[3], 0);
  const isRight =
    x.shape.length === 3 &&
    heads.length > 0 &&
    heads.every(
      ({ shape }) =>
        shape.length === 4 && shape[0] === batch && shape[2] === length && shape[3] === heads[0].shape[3],
    ) &&
    weight.shape.length === 2 &&
    weight.shape[0] === width &&
    weight.shape[1] === joined;
  if (isRight) return;
  const shapes = [x, ...heads, weight].map(({ shape }) => `[${shape.join(", ")}]`);
  throw new ShapeError(
    "merge-shape",
    "Cannot merge heads as x must be [B, N, width], heads [B, h, N, E] with one E, and the weight [width, H·E]: " +
      `${shapes.join(", ")}. Pass the weight as [out, in]`,
  );
}
