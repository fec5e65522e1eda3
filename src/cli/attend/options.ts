/** @file The options of `attend`. */

/** What an attention is computed from and how. */
export interface AttendOptions {
  readonly spec: string;
  readonly in: string;
  readonly out: string;
  readonly backward?: boolean;
  readonly device: "reference" | "jax" | "wasm";
  readonly return?: readonly ("scores" | "weights")[];
  readonly offset?: number;
  readonly keyLengths?: readonly number[];
  readonly scale?: number;
  readonly seed: number;
  readonly json?: boolean;
}
