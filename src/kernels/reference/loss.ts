/** @file The end of a language model in f64: the last norm, logits, and the mean cross-entropy of the labels. */
import { apply, type Matrix } from "./matrix.ts";
import { type ReferenceNorm, referenceNorm } from "./norm.ts";

/** The inputs of the loss in f64. */
export interface ReferenceLoss extends ReferenceNorm {
  /** [M, width] */
  readonly x: Matrix;
  /** [V, width] */
  readonly table: Matrix;
  /** [M] */
  readonly targets: readonly number[];
}

/** The mean of −log softmax(table·norm(x_m))[target_m], in nats. */
export function referenceLoss({ x, table, targets, ...norm }: ReferenceLoss): number {
  const losses = x.map((row, m) => {
    const logits = apply(table, referenceNorm(row, norm));
    const largest = Math.max(...logits);
    const mass = logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0);
    return largest + Math.log(mass) - logits[targets[m]];
  });
  return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
}
