/**
 * @file Rotary position inside the kernel: lifted rows turned by their place, and their gradients turned back, four
 * coordinates at a time. x_a' = cos·x_a − sin·x_b, x_b' = cos·x_b + sin·x_a for the pair (a, b) of a row.
 */
import { defineFunction, f32x4, i32, type WasmFunction } from "../assembler/assembler.ts";
import { type KernelSpec } from "./kernel-spec.ts";
import { type RotationSpec, turnWidth } from "./rotation.ts";
import { field } from "../engine/scratch.ts";

/** `rotate(record)`: rows at `turned` by the table at `turns`, backwards where `turnSign` is −1. */
export function rotateFunction(
  { layout, dims }: RotationSpec,
  { rowWidth, relaxed }: KernelSpec,
): WasmFunction {
  const comment = "x_a ← cos·x_a − sin·x_b, x_b ← cos·x_b + sin·x_a";
  return defineFunction("rotate", comment, ["record", "scratch"], relaxed, (b, record) => {
    const [row, at] = ["row", "at"].map((name) => b.local("i32", name));
    const rows = b.let("rows", field(record, "turned"));
    const turns = b.let("turns", field(record, "turns"));
    const sign = b.let("sign", f32x4.splatInteger(field(record, "turnSign")));
    const half = 2 * dims;
    b.for(row, 0, field(record, "rows"), 1, () => {
      b.for(at, 0, layout === "half" ? half : 4 * dims, 16, () => {
        const place = b.let("place", i32.add(rows, at));
        const turn = b.let("turn", i32.add(turns, at));
        const cos = b.let("cos", f32x4.load(turn));
        const x = b.let("x", f32x4.load(place));
        if (layout === "half") {
          const sin = b.let("sin", f32x4.xor(f32x4.load(turn, half), sign));
          const y = b.let("y", f32x4.load(place, half));
          b.store(place, f32x4.sub(f32x4.mul(cos, x), f32x4.mul(sin, y)));
          b.store(place, f32x4.add(f32x4.mul(cos, y), f32x4.mul(sin, x)), half);
        } else {
          const sin = b.let("sin", f32x4.xor(f32x4.load(turn, 4 * dims), sign));
          const swapped = f32x4.shuffle(x, x, [1, 0, 3, 2]);
          b.store(place, f32x4.add(f32x4.mul(cos, x), f32x4.mul(sin, swapped)));
        }
      });
      b.set(rows, i32.add(rows, 4 * rowWidth));
      b.set(turns, i32.add(turns, 4 * turnWidth({ layout, dims })));
    });
  });
}
