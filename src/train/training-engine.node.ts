/** @file The engine of a device that training asks for. */
import { nodeEngine } from "../kernels/wasm/engine/pool.node.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { type TrainingDevice } from "./run-storage.ts";

/** Fused kernels on `threads` threads, or nothing where jax-js computes attentions as well. */
export function trainingEngine(device: TrainingDevice = "wasm", threads = 1): WasmEngine | undefined {
  return device === "jax" ? undefined : nodeEngine({ threads });
}
