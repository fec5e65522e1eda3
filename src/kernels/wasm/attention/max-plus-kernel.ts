/** @file The max-plus product of scores and values, and its gradient, which goes to the keys that attain the maxima. */
import { defineFunction, f32x4, i32, i32x4, type WasmFunction } from "../assembler/assembler.ts";
import { tileKeys } from "./kernel-spec.ts";
import { type Emission } from "./pair-code.ts";
import { field } from "../engine/scratch.ts";
import { scatter } from "./score-tile.ts";

/** `win(record, scratch, firstKey, rows, columns, out, firstRow)`: o_i = max_j(s_ij + v_j) and the first j that attains it. */
export function winFunction({ spec, layout }: Emission): WasmFunction {
  const { paddedValueWidth, relaxed } = spec;
  const parameters = ["record", "scratch", "firstKey", "rows", "columns", "out", "firstRow"];
  return defineFunction(
    "win",
    "o_i = max_j(s_ij + v_j)",
    parameters,
    relaxed,
    (b, record, scratch, firstKey, rows, columns, out, firstRow) => {
      const [row, at, column] = ["row", "at", "column"].map((name) => b.local("i32", name));
      const [scoreAt, valueAt] = ["scoreAt", "valueAt"].map((name) => b.local("i32", name));
      const [best, winner, key] = ["best", "winner", "key"].map((name) => b.local("v128", name));
      const values = b.let(
        "values",
        i32.add(field(record, "value"), i32.mul(firstKey, 4 * paddedValueWidth)),
      );
      const winners = b.let(
        "winners",
        i32.add(field(record, "winner"), i32.mul(firstRow, 4 * paddedValueWidth)),
      );
      b.for(row, 0, rows, 1, () => {
        b.for(at, 0, 4 * paddedValueWidth, 16, () => {
          const place = b.let("place", i32.add(i32.mul(row, 4 * paddedValueWidth), at));
          b.set(best, f32x4.load(i32.add(out, place)));
          b.set(winner, f32x4.load(i32.add(winners, place)));
          b.set(key, f32x4.splatInteger(firstKey));
          b.set(scoreAt, i32.add(i32.add(scratch, layout.inner[0]), i32.mul(row, 4 * tileKeys)));
          b.set(valueAt, i32.add(values, at));
          b.for(column, 0, columns, 1, () => {
            const sum = b.let("sum", f32x4.add(f32x4.splatAt(scoreAt), f32x4.load(valueAt)));
            const isBetter = b.let("isBetter", f32x4.greater(sum, best));
            b.set(best, f32x4.select(sum, best, isBetter));
            b.set(winner, f32x4.select(key, winner, isBetter));
            b.set(key, i32x4.add(key, f32x4.bits(1)));
            b.set(scoreAt, i32.add(scoreAt, 4));
            b.set(valueAt, i32.add(valueAt, 4 * paddedValueWidth));
          });
          b.store(i32.add(out, place), best);
          b.store(i32.add(winners, place), winner);
        });
      });
    },
  );
}

/** `fromWinners(record, weights, firstKey, firstRow, rows, columns)`: dS_ij = Σ_e dO_ie over the e that key j won. */
export function winnersFunction({ spec }: Emission): WasmFunction {
  const parameters = ["record", "weights", "firstKey", "firstRow", "rows", "columns"];
  return defineFunction(
    "fromWinners",
    "dS_ij = Σ_e dO_ie [j attains max_j(s_ij + v_je)]",
    parameters,
    spec.relaxed,
    (b, record, weights, firstKey, firstRow, rows, columns) => {
      const [row, at, winner] = ["row", "at", "winner"].map((name) => b.local("i32", name));
      b.for(row, 0, rows, 1, () => {
        const start = b.let("start", i32.add(weights, i32.mul(row, 4 * tileKeys)));
        b.for(at, 0, 4 * tileKeys, 16, () => b.store(i32.add(start, at), f32x4.constant(0)));
        const place = b.let("place", i32.mul(i32.add(firstRow, row), 4 * spec.paddedValueWidth));
        const winners = b.let("winners", i32.add(field(record, "winner"), place));
        const gradients = b.let("gradients", i32.add(field(record, "outGradient"), place));
        b.for(at, 0, 4 * spec.valueWidth, 4, () => {
          b.set(winner, i32.sub(i32.load(i32.add(winners, at)), firstKey));
          const isHere = i32.and(i32.less(-1, winner), i32.less(winner, columns));
          b.if(isHere, () =>
            scatter(b, i32.add(start, i32.mul(winner, 4)), f32x4.splatAt(i32.add(gradients, at)), 1),
          );
        });
      });
    },
  );
}
