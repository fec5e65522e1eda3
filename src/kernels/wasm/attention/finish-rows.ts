/** @file The end of a row: weighted sums divided by the sum of weights, log-sum-exp, and what softmax did not see of it. */
import {
  defineFunction,
  f32x4,
  type FunctionBuilder,
  i32,
  type Local,
  type Value,
  type WasmFunction,
} from "../assembler/assembler.ts";
import { type Emission } from "./pair-code.ts";
import { emitProgram, type ScoreProgram } from "../score/score-program.ts";
import { field } from "../engine/scratch.ts";
import { expOfNonPositive, vectorOperations } from "../assembler/vector-math.ts";
const minusInfinity = (): Value => f32x4.constant(-Infinity);

/** o_i /= l_i, lse_i = m_i + ln l_i (with the sink in both), zeros and −∞ for rows without keys. */
export function finishRows(
  b: FunctionBuilder,
  { spec, layout }: Emission,
  program: ScoreProgram,
  places: { record: Local; scratch: Local; out: Local; rows: Local; firstRow: Local },
): void {
  const { record, scratch, out, rows, firstRow } = places;
  const { weighing, paddedValueWidth } = spec;
  const row = b.local("i32", "row");
  const at = b.local("i32", "at");
  if (weighing === "maxplus") {
    b.for(at, 0, i32.mul(rows, 4 * paddedValueWidth), 16, () => {
      const place = b.let("place", i32.add(out, at));
      const best = b.let("best", f32x4.load(place));
      b.store(place, f32x4.andNot(best, f32x4.equal(best, minusInfinity())));
    });
    return;
  }
  if (weighing !== "softmax") return;
  b.for(row, 0, rows, 4, () => {
    const place = b.let("place", i32.add(scratch, i32.mul(row, 4)));
    const maximum = b.let("maximum", f32x4.load(place, layout.maximum));
    const sum = b.let("sum", f32x4.load(place, layout.sum));
    const isEmpty = b.let("isEmpty", f32x4.equal(maximum, minusInfinity()));
    const inverse = b.local("v128", "inverse");
    if (spec.hasSink) {
      const sink = b.let("sink", f32x4.splatAt(field(record, "head"), 4 * program.head.length));
      const top = b.let("top", f32x4.max(maximum, sink));
      const kept = b.let("kept", expOfNonPositive(b, f32x4.sub(maximum, top)));
      b.set(sum, f32x4.add(f32x4.mul(sum, kept), expOfNonPositive(b, f32x4.sub(sink, top))));
      b.set(inverse, f32x4.div(kept, sum));
      b.set(maximum, top);
    } else {
      b.set(inverse, f32x4.div(f32x4.constant(1), sum));
    }
    b.store(place, f32x4.andNot(inverse, isEmpty), layout.factor);
    const logarithm = vectorOperations.log(b, sum, sum);
    const lse = b.let("lse", f32x4.select(minusInfinity(), f32x4.add(maximum, logarithm), isEmpty));
    b.store(i32.add(i32.add(field(record, "logSumExp"), i32.mul(firstRow, 4)), i32.mul(row, 4)), lse);
  });
  const lane = b.local("i32", "lane");
  b.for(row, 0, rows, 1, () => {
    const factor = b.let("factor", f32x4.splatAt(i32.add(scratch, i32.mul(row, 4)), layout.factor));
    const rowAt = b.let("rowAt", i32.add(out, i32.mul(row, 4 * paddedValueWidth)));
    b.for(lane, 0, 4 * paddedValueWidth, 16, () => {
      const place = b.let("place", i32.add(rowAt, lane));
      b.store(place, f32x4.mul(f32x4.load(place), factor));
    });
  });
}

/** `rowTerms(record, scratch)`: lse with the part of the score that softmax does not see. */
export function rowTermFunction(program: ScoreProgram, { spec }: Emission): WasmFunction {
  const comment = "lse_i += the row's own part of its scores";
  return defineFunction("rowTerms", comment, ["record", "scratch"], spec.relaxed, (b, record) => {
    const at = b.local("i32", "at");
    const norms = b.let("norms", field(record, "queryNorm"));
    const stride = b.let("stride", field(record, "queryNormStride"));
    const head = b.let("head", field(record, "head"));
    const [from, to] = ["logSumExp", "fullLogSumExp"].map((name) =>
      b.let(name, field(record, name as "logSumExp")),
    );
    b.for(at, 0, i32.mul(field(record, "rows"), 4), 16, () => {
      const [term] = emitProgram(b, program, "row", [program.outputs[0]], {
        variable: (name) =>
          f32x4.load(i32.add(i32.add(norms, at), i32.mul(stride, Number(/_(\d+)$/.exec(name)?.[1] ?? 0)))),
        crossing: (_, index) => f32x4.splatAt(head, 4 * index),
      });
      b.store(i32.add(to, at), f32x4.add(f32x4.load(i32.add(from, at)), term));
    });
  });
}
