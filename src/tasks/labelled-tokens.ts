/** @file Sequences of tokens in which some places have a right answer: what every task in tokens makes. */

/** A batch of sequences with answers. A loss at any other place would be noise. */
export interface LabelledTokens {
  /** [B, N] */
  readonly tokens: Int32Array;
  /** B */
  readonly batch: number;
  /** The places that ask, each counted in its own sequence, [B, M]. */
  readonly positions: Int32Array;
  /** The right token at those places, [B, M]. */
  readonly targets: Int32Array;
}
