/**
 * @file Corrections within a chunk: x ← (I − A)⁻¹x with A strictly lower triangular, by blocks of eight rows, and the same
 * with Aᵀ. Rows before a block are a product; within it they follow each other.
 */
import { defineFunction, f32x4, i32, type WasmFunction } from "../assembler/assembler.ts";
import { type Triangle } from "./products.ts";
import { blockTokens, chunkTokens, type RecurrenceSpec } from "./spec.ts";

const pairRow = 4 * chunkTokens;

/** `name(pairs, x)`: x of rows of `extent` numbers becomes the solution. */
export function solveFunction(
  spec: RecurrenceSpec,
  suffix: string,
  extent: number,
  { rows, transposed }: Triangle,
  isTransposed: boolean,
): WasmFunction {
  const rowBytes = 4 * extent;
  const name = `solve${isTransposed ? "Back" : ""}${suffix}`;
  const comment = isTransposed ? "x ← (I − Aᵀ)⁻¹x" : "x ← (I − A)⁻¹x";
  return defineFunction(name, comment, ["pairs", "x"], spec.relaxed, (b, pairs, x) => {
    const [step, column] = [b.local("i32", "step"), b.local("i32", "column")];
    b.for(step, 0, chunkTokens, blockTokens, () => {
      const block = b.let("block", isTransposed ? i32.sub(chunkTokens - blockTokens, step) : step);
      const to = b.let("to", i32.add(x, i32.mul(block, rowBytes)));
      const diagonal = b.let("diagonal", i32.add(pairs, i32.mul(block, pairRow + 4)));
      if (isTransposed) {
        const below = i32.add(diagonal, blockTokens * pairRow);
        b.call(transposed, below, i32.add(to, blockTokens * rowBytes), to, blockTokens, extent, step, 0);
      } else {
        b.call(rows, i32.add(pairs, i32.mul(block, pairRow)), x, to, blockTokens, extent, step, 0);
      }
      b.for(column, 0, rowBytes, 16, () => {
        const at = b.let("at", i32.add(to, column));
        const solved = Array.from({ length: blockTokens }, (_, row) =>
          b.let(`x${row}`, f32x4.load(at, rowBytes * row)),
        );
        const order = isTransposed ? solved.map((_, row) => blockTokens - 1 - row) : [...solved.keys()];
        order.forEach((row, place) => {
          for (const known of order.slice(0, place)) {
            const [i, j] = isTransposed ? [known, row] : [row, known];
            const weight = f32x4.splatAt(diagonal, pairRow * i + 4 * j);
            b.set(solved[row], b.madd(weight, solved[known], solved[row]));
          }
          b.store(at, solved[row], rowBytes * row);
        });
      });
    });
  });
}
