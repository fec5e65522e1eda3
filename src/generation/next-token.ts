/** @file What a model must give to generate: the logits of the next token, with all that came before kept in its state. */

/** A model in the middle of a text. */
export interface NextToken {
  /**
   * Takes the tokens of a prompt.
   *
   * @returns [V], the logits of the token that follows the last of them; a caller that wants to keep them copies them
   */
  prefill(tokens: readonly number[]): Promise<Float32Array>;
  /** Takes one token more: the logits of the token that follows it, as `prefill` of it alone would give. */
  step(token: number): Promise<Float32Array>;
  /** How many tokens it has taken. */
  readonly length: number;
  /** How many it can take. */
  readonly maximumLength: number;
}
