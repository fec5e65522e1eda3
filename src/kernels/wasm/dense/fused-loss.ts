/** @file The end of a language model on an engine: norm, logits and the mean cross-entropy of labels, with its gradients. */
import { ShapeError } from "../../../base/errors.ts";
import { hasShape, listShapes } from "../../../base/fitting.ts";
import { type Tensor } from "../../../base/tensor.ts";
import { normEpsilon } from "../../reference/norm.ts";
import { DenseCall, inDenseCall, mostParts } from "./dense-call.ts";
import { blockRows } from "./dense-code.ts";
import { type WasmEngine } from "../engine/engine.ts";
import { roundUp } from "../attention/kernel-spec.ts";
import { lossFields, lossModule, lossScratchBytes } from "./loss-kernel.ts";

/** What a loss is differentiated by; `shift` is what makes its norm LayerNorm. */
export interface LossInputs<T = Tensor> {
  /** [M, width] */
  readonly x: T;
  /** [width] */
  readonly gain: T;
  /** [width] */
  readonly shift?: T;
  /** [V, width] */
  readonly table: T;
  /** ε of the norm (default 1e-5). */
  readonly epsilon?: number;
}

/** A loss, and its gradients where they were asked for. */
export interface LossResult {
  /** In nats. */
  readonly loss: number;
  readonly gradients: Omit<LossInputs, "epsilon"> | undefined;
}

/**
 * The mean of −log softmax(table·norm(x_m))[target_m]; the norm is that of `fusedFeedForward`.
 *
 * @param engine - what computes it
 * @param targets - [M], each a row of the table
 * @param wantsGradients - whether gradients are computed in the same pass
 * @throws ShapeError `loss-inputs` for a table or targets that do not fit; UnsupportedError `memory` beyond 4 GiB
 */
export function fusedLoss(
  engine: WasmEngine,
  inputs: LossInputs,
  targets: Int32Array,
  wantsGradients: boolean,
): LossResult {
  requireFitting(inputs, targets);
  const { x, gain, shift, table, epsilon = normEpsilon } = inputs;
  return inDenseCall(engine, () => {
    const { relaxed, shared } = engine;
    const [vocabulary, ownWidth] = table.shape;
    const norm = shift === undefined ? "rms" : "layer";
    const sizes = { width: ownWidth, vocabulary };
    const call = new DenseCall(engine, {
      key: `loss ${norm} ${epsilon} ${ownWidth} ${vocabulary}`,
      module: () => lossModule({ norm, epsilon, ...sizes, relaxed, shared }),
      fields: lossFields,
      scratchBytes: lossScratchBytes(sizes),
    });
    const [count] = x.shape;
    const rows = roundUp(count, 4);
    const [width, paddedVocabulary] = [roundUp(ownWidth, 8), roundUp(vocabulary, 8)];
    const blocks = [
      { rows: count, width: ownWidth },
      { rows, width },
    ] as const;
    const tableBlocks = [
      { rows: vocabulary, width: ownWidth },
      { rows: paddedVocabulary, width },
    ] as const;
    const input = call.copy(x.data, ...blocks);
    const tablePlace = call.copy(table.data, ...tableBlocks);
    const weights = call.takeZeros(rows);
    call.view(weights, count).fill(1 / count);
    const targetPlace = call.takeZeros(rows);
    call.integers(targetPlace, count).set(targets);
    const losses = call.take(rows);
    const inputGradient = wantsGradients ? call.take(rows * width) : 0;
    const partRows = Math.max(blockRows, roundUp(Math.ceil(rows / mostParts), blockRows));
    const parts = Math.ceil(rows / partRows);
    const sums = call.partSums(wantsGradients ? parts : 0, {
      gainGradient: width,
      shiftGradient: width,
      tableGradient: paddedVocabulary * width,
    });
    const weightPlaces = {
      gain: call.vector(gain),
      shift: call.vector(shift),
      table: tablePlace,
      packed: call.pack("packWide", tablePlace, paddedVocabulary, width),
    };
    call.run(
      "loss",
      Array.from({ length: parts }, (_, part) => {
        const first = part * partRows;
        return {
          ...weightPlaces,
          ...(wantsGradients ? { ...sums.of(part), inputGradient: inputGradient + 4 * first * width } : {}),
          rows: Math.min(partRows, rows - first),
          input: input + 4 * first * width,
          targets: targetPlace + 4 * first,
          losses: losses + 4 * first,
          weights: weights + 4 * first,
        };
      }),
    );
    const loss = call.view(losses, count).reduce((sum, value) => sum + value, 0) / count;
    if (!wantsGradients) return { loss, gradients: undefined };
    const { gainGradient, shiftGradient, tableGradient } = sums.join();
    const gradients = {
      x: call.read(inputGradient, x.shape, ...blocks),
      gain: call.readVector(gainGradient, gain),
      ...(shift === undefined ? {} : { shift: call.readVector(shiftGradient, shift) }),
      table: call.read(tableGradient, table.shape, ...tableBlocks),
    };
    return { loss, gradients };
  });
}

function requireFitting({ x, gain, shift, table }: LossInputs, targets: Int32Array): void {
  const [count, width] = x.shape;
  const isRight =
    hasShape(x, count, width) &&
    count > 0 &&
    hasShape(table, table.shape[0], width) &&
    hasShape(gain, width) &&
    hasShape(shift, width) &&
    targets.length === count &&
    targets.every((target) => target >= 0 && target < table.shape[0]);
  if (isRight) return;
  const shapes = listShapes({ x, gain, shift, table });
  throw new ShapeError(
    "loss-inputs",
    "Cannot compute a loss as x must be [M, width], gain and shift [width], the table [V, width], and each of M targets " +
      `a row of it: ${shapes}, ${targets.length} targets. Pass one target for every row`,
  );
}
