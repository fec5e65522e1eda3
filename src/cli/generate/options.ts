/** @file The options of `generate`. */

/** What is asked of which model, and how its tokens are chosen. */
export interface GenerateFlags {
  readonly model: string;
  /** `-` reads stdin. */
  readonly prompt: string;
  /** Undefined: where the model has a chat form. */
  readonly chat?: boolean;
  readonly system?: string;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly seed: number;
  readonly stop?: readonly string[];
  readonly attention?: string;
  /** A folder of `distil`. */
  readonly adapter?: string;
  /** Undefined: all. */
  readonly layers?: readonly number[];
  /** Undefined: all. */
  readonly heads?: readonly number[];
  readonly device: "wasm" | "jax";
  readonly threads?: number;
  readonly json?: boolean;
}
