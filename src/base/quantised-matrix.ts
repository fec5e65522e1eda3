/** @file Matrices of 8-bit numbers, as trained models are stored to be small. */

/** A matrix of 8-bit numbers: w = scale·(data − zeroPoint), one scale and one zero point for all of it. */
export interface QuantisedMatrix {
  /** [out, in] */
  readonly data: Int8Array | Uint8Array;
  readonly shape: readonly [number, number];
  readonly scale: number;
  readonly zeroPoint: number;
}
