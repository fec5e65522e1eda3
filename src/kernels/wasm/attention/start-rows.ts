/** @file The start of a row: nothing seen, nothing summed, nobody has won. */
import { f32x4, type FunctionBuilder, i32, type Local, type Value } from "../assembler/assembler.ts";
import { type Emission } from "./pair-code.ts";
import { field } from "../engine/scratch.ts";

/** m_i = −∞, l_i = 0 and o_i = 0; under max-plus o_i = −∞, won by key −1. Returns where winners lie. */
export function startRows(
  b: FunctionBuilder,
  { spec, layout }: Emission,
  places: { record: Local; scratch: Local; out: Local; rows: Local; firstRow: Local },
): Local | undefined {
  const { record, scratch, out, rows, firstRow } = places;
  const minusInfinity = (): Value => f32x4.constant(-Infinity);
  const rowBytes = 4 * spec.paddedValueWidth;
  const at = b.local("i32", "at");
  b.for(at, 0, i32.mul(rows, 4), 16, () => {
    const place = b.let("place", i32.add(scratch, at));
    b.store(place, minusInfinity(), layout.maximum);
    b.store(place, f32x4.constant(0), layout.sum);
  });
  b.for(at, 0, i32.mul(rows, rowBytes), 16, () => {
    b.store(i32.add(out, at), spec.weighing === "maxplus" ? minusInfinity() : f32x4.constant(0));
  });
  if (spec.weighing !== "maxplus") return undefined;
  const winner = b.let("winner", i32.add(field(record, "winner"), i32.mul(firstRow, rowBytes)));
  b.for(at, 0, i32.mul(rows, rowBytes), 16, () => b.store(i32.add(winner, at), f32x4.bits(-1)));
  return winner;
}
