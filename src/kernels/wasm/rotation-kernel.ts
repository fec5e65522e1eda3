/**
 * @file Rotary position inside the kernel: lifted rows turned by their place, and their gradients turned back, four
 * coordinates at a time. x_a' = cos·x_a − sin·x_b, x_b' = cos·x_b + sin·x_a for the pair (a, b) of a row.
 */
import { type Position, rotaryTable } from "../../positions/index.ts";
import { defineFunction, f32x4, i32, type WasmFunction } from "./assembler.ts";
import { type KernelSpec } from "./kernel-spec.ts";
import { field } from "./scratch.ts";

/** Which coordinates a kernel turns: pairs (m, m + dims/2), or (2m, 2m + 1). */
export interface RotationSpec {
  readonly layout: "half" | "interleaved";
  readonly dims: number;
}

/** The rotation of rows that hold their coordinates as they are, where whole vectors can turn. */
export function rotationSpec(position: Position, width: number): RotationSpec | undefined {
  if (position.place !== "rotation") return undefined;
  const { layout } = position;
  const dims = 2 * position.pairs(width).length;
  return dims % (layout === "half" ? 8 : 4) === 0 ? { layout, dims } : undefined;
}

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

/** What `turnSign` holds: the bit that turns a sine around, or none. */
export const turnSigns: { readonly forth: number; readonly back: number } = { forth: 0, back: -(2 ** 31) };

/** Numbers of a row of the table: cosines, then sines, in the order in which the code reads them. */
export const turnWidth = ({ layout, dims }: RotationSpec): number => (layout === "half" ? dims : 2 * dims);

type Places = Parameters<typeof rotaryTable>[2];

/** Tables by position: a model asks for the same ones at every step. */
const tables = new WeakMap<Position, Map<string, Float32Array>>();
const mostTables = 4;

/** The table of `places.count` rows, [count, turnWidth]. */
export function turnTable(
  position: Position,
  spec: RotationSpec,
  width: number,
  places: Places,
): Float32Array {
  if (position.place !== "rotation") return new Float32Array();
  const { role, ...others } = places;
  // Without xPos, queries and keys turn alike.
  const key = JSON.stringify([width, position.decay === undefined ? { ...others, length: 0 } : places]);
  const ofPosition = tables.get(position) ?? new Map<string, Float32Array>();
  tables.set(position, ofPosition);
  const found = ofPosition.get(key);
  if (found !== undefined) return found;
  const { cos, sin } = rotaryTable(position, width, places);
  const pairs = spec.dims / 2;
  const table = new Float32Array(places.count * turnWidth(spec));
  for (let row = 0; row < places.count; row++) {
    const to = row * turnWidth(spec);
    for (let m = 0; m < pairs; m++) {
      const [c, s] = [cos[row * pairs + m], sin[row * pairs + m]];
      if (spec.layout === "half") {
        table[to + m] = c;
        table[to + pairs + m] = s;
      } else {
        table[to + 2 * m] = c;
        table[to + 2 * m + 1] = c;
        table[to + spec.dims + 2 * m] = -s;
        table[to + spec.dims + 2 * m + 1] = s;
      }
    }
  }
  if (ofPosition.size >= mostTables) ofPosition.clear();
  ofPosition.set(key, table);
  return table;
}
