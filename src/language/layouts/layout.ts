/**
 * @file What a layout is: how a family of models writes its `config.json` and names its weights, read as a configuration of ours and
 * as the place of every parameter of ours among its tensors.
 */

/** Where a parameter lies among the tensors of a layout. */
export interface TensorPlace {
  /** Names that it may have, the usual one first. */
  readonly names: readonly string[];
  /** Whether matrices are stored as [out, in] (default) or as [in, out]. */
  readonly stored?: "out-in" | "in-out";
  /** Which of several parameters of one size, side by side in the outputs of one tensor, it is. */
  readonly part?: { readonly index: number; readonly count: number };
}

/** A model as its layout describes it. */
export interface ModelLayout<Config> {
  /** The family, as `model_type` has it. */
  readonly name: string;
  readonly config: Config;
  /** The place of a parameter; undefined for one that only a swapped attention has. */
  readonly placeOf: (parameter: string) => TensorPlace | undefined;
  /** Whether a tensor has a meaning for the layout although no parameter is read from it. */
  readonly isSpare: (tensor: string) => boolean;
}

/** A family of models. */
export interface LayoutDefinition<Config> {
  /** `model_type` of its configurations. */
  readonly name: string;
  /** What `architectures` may say. */
  readonly architectures: readonly string[];
  /**
   * Reads a configuration of the family.
   *
   * @param config - parsed JSON, of any origin
   * @throws DomainError `config-invalid`, UnsupportedError `config-feature`
   */
  readonly read: (config: unknown) => ModelLayout<Config>;
}
