/** @file What the machine's WebAssembly can do at all: the bare register tile on data in the first cache. */
import { encodeWasm } from "../src/kernels/wasm/encode-wasm.ts";
import { tileProduct } from "../src/kernels/wasm/micro-kernel.ts";

const extent = 64;
const repeats = 400;

/** Multiply-adds of one run, counted as two operations. */
export const operationsPerRun: number = 2 * extent ** 3 * repeats;

/** A run of the bare micro-kernel: tiles of 64 × 64 × 64. */
export function bareMicroKernel(relaxed: boolean): () => void {
  const tile = tileProduct(relaxed, {
    name: "tile",
    comment: "",
    a: { row: extent, step: 1 },
    b: { step: 8, panel: 8 * extent },
    c: { row: extent },
    steps: extent,
    columns: extent,
    start: "zero",
    step: "multiply",
  });
  const pages = { minimum: 1, maximum: 1, shared: false };
  const bytes = encodeWasm({ header: [], functions: [tile], exports: ["tile"], memory: pages });
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { qklab: { memory } });
  const run = exports["tile"] as (...operands: number[]) => void;
  const tileBytes = 4 * extent * extent;
  return () => {
    for (let repeat = 0; repeat < repeats; repeat++) run(0, tileBytes, 2 * tileBytes, extent, 0, 0, 0);
  };
}
