/** @file Values of a tile on their way from memory to a cache, where few rows are to use them. */
import { defineFunction, f32x4, i32, type WasmFunction } from "../assembler/assembler.ts";
import { type Emission } from "./pair-code.ts";

/** Fewer rows than this read values from memory rather than from a cache. */
export const fewRows = 17;
const lineBytes = 64;

/**
 * `fetchValues(from, bytes, scratch)`: reads a tile's values once, as they lie. The product reads them in columns, for which
 * memory is slow; a few rows do not make up for that.
 */
export function fetchFunction({ spec, layout }: Emission): WasmFunction {
  const comment = "brings v_j of a tile from memory, in one ascending stream";
  return defineFunction(
    "fetchValues",
    comment,
    ["from", "bytes", "scratch"],
    spec.relaxed,
    (b, from, bytes, scratch) => {
      const at = b.local("i32", "at");
      const read = b.local("v128", "read");
      b.set(read, f32x4.bits(0));
      b.for(at, from, i32.add(from, bytes), lineBytes, () => b.set(read, f32x4.or(read, f32x4.load(at))));
      // Stored where nothing is, so that compilers do not leave the reading out.
      b.store(scratch, read, layout.weights);
    },
  );
}
