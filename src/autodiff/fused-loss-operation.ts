/** @file The end of a language model on an engine as an operation of a tape. */
import { sizeOf, type Tensor } from "../base/tensor.ts";
import { fusedLoss, type LossInputs, type WasmEngine } from "../kernels/wasm/index.ts";
import { type Operation, type Tensors } from "./operation.ts";
import { normEpsilon } from "../kernels/reference/norm.ts";
import { onlyWanted, tensorOperation } from "./tensor-operation.ts";

/**
 * The mean of −log softmax(table·norm(x))[target], in nats: inputs `x` [..., width], `gain`, `shift` (LayerNorm) [width], `table`
 * [V, width], `targets` (int32, [M]), and `positions` (int32, [M]) of the rows that have a target, where not all have; output
 * `loss`. Value and gradients come from one pass.
 *
 * @param engine - what computes it
 * @param epsilon - of the norm
 */
export function fusedLossOperation(
  engine: WasmEngine,
  epsilon: number = normEpsilon,
): Operation<string, "loss"> {
  return tensorOperation("loss", {
    forward({ targets, positions, x, ...others }, wanted) {
      const inputs = { ...others, epsilon, x: labelledRows(x, positions) } as unknown as LossInputs;
      const labels = Int32Array.from(targets.data);
      const { loss, gradients } = fusedLoss(engine, inputs, labels, wanted.size > 0);
      return { outputs: { loss: { data: Float32Array.of(loss), shape: [] } }, state: gradients };
    },
    backward({ x, positions }, { loss }, wanted, gradients) {
      const [scale] = loss!.data;
      const { x: ofRows, ...ofWeights } = { ...gradients! };
      const all = { x: ofAllRows(ofRows, x.shape, positions), ...ofWeights };
      const scaled = Object.entries<Tensor>(all).map(([name, gradient]) => [name, times(gradient, scale)]);
      return onlyWanted(Object.fromEntries(scaled) as Tensors, wanted);
    },
  });
}

/** The rows at `positions`, or all, as [M, width]. */
function labelledRows({ data, shape }: Tensor, positions: Tensor | undefined): Tensor {
  const width = shape[shape.length - 1];
  if (positions === undefined) return { data, shape: [data.length / width, width] };
  const rows = new Float32Array(positions.data.length * width);
  positions.data.forEach((place, row) => {
    rows.set(data.subarray(place * width, (place + 1) * width), row * width);
  });
  return { data: rows, shape: [positions.data.length, width] };
}

/** The pullback of {@link labelledRows}. */
function ofAllRows({ data }: Tensor, shape: readonly number[], positions: Tensor | undefined): Tensor {
  if (positions === undefined) return { data, shape };
  const width = shape[shape.length - 1];
  const all = new Float32Array(sizeOf(shape));
  positions.data.forEach((place, row) => {
    for (let d = 0; d < width; d++) all[place * width + d] += data[row * width + d];
  });
  return { data: all, shape };
}

/** Backward begins with 1, so that this is seldom work. */
function times(tensor: Tensor, scale: number): Tensor {
  return scale === 1 ? tensor : { data: tensor.data.map((value) => value * scale), shape: tensor.shape };
}
