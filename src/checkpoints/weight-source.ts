/**
 * @file The weights of a model by name, wherever they lie: what every format of files gives, so that a model is made from any of
 * them alike. Names are those of Hugging Face's layout of the model, matrices are [out, in].
 */
import type { QuantisedMatrix } from "../base/quantised-matrix.ts";
import type { Tensor } from "../base/tensor.ts";

/** What is known of a tensor without reading it. */
export interface WeightDescription {
  readonly shape: readonly number[];
  /** How its elements are stored, as the file names it. */
  readonly dtype: string;
}

/** Weights that can be read one by one. */
export interface WeightSource {
  /** Where they lie, for messages. */
  readonly source: string;
  readonly tensors: ReadonlyMap<string, WeightDescription>;
  /**
   * Reads one tensor, widened to float32.
   *
   * @throws DomainError `weight-unknown` for a name that is not there
   */
  read(name: string): Promise<Tensor>;
  /** The 8-bit form of a matrix; undefined where it is stored otherwise. */
  readQuantised(name: string): Promise<QuantisedMatrix | undefined>;
  /** Closes the files; nothing can be read after. */
  close(): Promise<void>;
}
