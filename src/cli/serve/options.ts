/** @file The options of `serve`. */

/** Which model is served, where, to whom, and how much of it. */
export interface ServeFlags {
  readonly model: string;
  /** What clients call it. */
  readonly name?: string;
  /** A folder of `distil`. */
  readonly adapter?: string;
  readonly attention?: string;
  readonly layers?: readonly number[];
  readonly heads?: readonly number[];
  readonly host: string;
  readonly port: number;
  /** Undefined: QKLAB_TOKEN, or none. */
  readonly token?: string;
  readonly cors?: readonly string[];
  readonly maxConcurrent: number;
  readonly maxQueue: number;
  readonly maxBody: number;
  /** How long running requests may go on when the server stops, in ms; undefined: 10 s. */
  readonly grace?: number;
  readonly seed: number;
  readonly device: "wasm" | "jax";
  readonly threads?: number;
}
