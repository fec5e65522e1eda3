/** @file RMSNorm and LayerNorm in f64, row by row: what the fused blocks begin with. */

/** ε of Llama's later models; that of the ONNX standard is the same. */
export const normEpsilon = 1e-5;

/** What a row is normalised by; `shift` is what makes it LayerNorm. */
export interface ReferenceNorm {
  /** [width] */
  readonly gain: readonly number[];
  /** [width] */
  readonly shift?: readonly number[];
  /** Default {@link normEpsilon}. */
  readonly epsilon?: number;
}

/**
 * x / √(mean x² + ε) ⊙ gain (Zhang & Sennrich 2019), or (x − mean x) / √(variance x + ε) ⊙ gain + shift (Ba, Kiros & Hinton
 * 2016).
 */
export function referenceNorm(
  x: readonly number[],
  { gain, shift, epsilon = normEpsilon }: ReferenceNorm,
): number[] {
  const mean = shift === undefined ? 0 : x.reduce((sum, value) => sum + value, 0) / x.length;
  const square = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
  return x.map((value, d) => ((value - mean) / Math.sqrt(square + epsilon)) * gain[d] + (shift?.[d] ?? 0));
}
