/** @file Who a contestant of ours is, by the engine that it computes on. */
import { type WasmEngine } from "../../src/kernels/wasm/index.ts";
import { type Description } from "../protocol.ts";

/** Threads, and what readers must know of the machine's WebAssembly. */
export function describeEngine({ threads, relaxed }: Pick<WasmEngine, "threads" | "relaxed">): Description {
  const notes = relaxed ? [] : ["without relaxed SIMD, which this machine's WebAssembly does not have"];
  return { versions: {}, threads, notes };
}
