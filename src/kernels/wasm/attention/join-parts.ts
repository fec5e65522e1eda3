/**
 * @file Keys in parts: a forward task that sees only a part of a row tile's keys leaves its sums unfinished in a block of
 * its own, and a second task joins the blocks in the order of the keys (flash decoding; Dao et al. 2023).
 */
import {
  defineFunction,
  f32x4,
  type FunctionBuilder,
  i32,
  type Local,
  type WasmFunction,
} from "../assembler/assembler.ts";
import { finishRows } from "./finish-rows.ts";
import { type KernelSpec, roundUp, tileRows } from "./kernel-spec.ts";
import { type Emission } from "./pair-code.ts";
import { type ScoreProgram } from "../score/score-program.ts";
import { field } from "../engine/scratch.ts";
import { startRows } from "./start-rows.ts";
import { expOfNonPositive } from "../assembler/vector-math.ts";

/** Where the maxima m_i and the sums l_i of a part's rows lie in its block; its o_i follow. */
const maximumPlace = 0;
const sumPlace = 4 * tileRows;
const outPlace = 8 * tileRows;

/** Byte offsets in the block of one part. */
export interface PartLayout {
  /** o_i before it is divided, [rows, E]. */
  readonly out: number;
  /** The keys that attain the maxima of max-plus, [rows, E]. */
  readonly winner: number;
  readonly bytes: number;
}

/** The block of a part of so many rows. */
export function partLayout({ paddedValueWidth, weighing }: KernelSpec, rows: number): PartLayout {
  const bytes = 4 * roundUp(rows, 4) * paddedValueWidth;
  const winner = outPlace + bytes;
  return { out: outPlace, winner, bytes: roundUp(weighing === "maxplus" ? winner + bytes : winner, 64) };
}

/** Keeps the maxima and the sums of a part's rows, which lie in the scratch memory, in its block. */
export function storePart(
  b: FunctionBuilder,
  { spec, layout }: Emission,
  { scratch, part, paddedRows }: { scratch: Local; part: Local; paddedRows: Local },
): void {
  if (spec.weighing !== "softmax") return;
  const at = b.local("i32", "at");
  b.for(at, 0, i32.mul(paddedRows, 4), 16, () => {
    const from = b.let("from", i32.add(scratch, at));
    const to = b.let("to", i32.add(part, at));
    b.store(to, f32x4.load(from, layout.maximum), maximumPlace);
    b.store(to, f32x4.load(from, layout.sum), sumPlace);
  });
}

const comments = {
  softmax: "m = max_p m_p, l_i = Σ_p e^(m_p − m)·l_p, o_i = Σ_p e^(m_p − m)·o_p / l_i",
  sigmoid: "o_i = Σ_p o_p",
  identity: "o_i = Σ_p o_p",
  exp: "o_i = Σ_p o_p",
  maxplus: "o_i = max_p o_p; of equal ones the first wins",
} as const;

/** `joinParts(record, scratch)`: rows of a row tile from the blocks of its parts. */
export function joinPartsFunction(program: ScoreProgram, emission: Emission): WasmFunction {
  const { spec, layout } = emission;
  const { weighing, relaxed, paddedValueWidth } = spec;
  const rowBytes = 4 * paddedValueWidth;
  return defineFunction(
    "joinParts",
    comments[weighing],
    ["record", "scratch"],
    relaxed,
    (b, record, scratch) => {
      const rows = b.let("rows", field(record, "rows"));
      const firstRow = b.let("firstRow", field(record, "firstRow"));
      const paddedRows = b.let("paddedRows", i32.and(i32.add(rows, 3), -4));
      const bytes = b.let("bytes", i32.mul(paddedRows, rowBytes));
      const out = b.let("out", i32.add(field(record, "out"), i32.mul(firstRow, rowBytes)));
      const winner = startRows(b, emission, { record, scratch, out, rows: paddedRows, firstRow });
      const [number, row, at, part] = ["number", "row", "at", "part"].map((name) => b.local("i32", name));
      const forParts = (body: () => void): void => {
        b.set(part, field(record, "part"));
        b.for(number, 0, field(record, "count"), 1, () => {
          body();
          b.set(part, i32.add(part, field(record, "partStride")));
        });
      };
      const forRowVectors = (body: (place: Local, inPart: Local) => void): void =>
        b.for(at, 0, i32.mul(paddedRows, 4), 16, () =>
          body(b.let("place", i32.add(scratch, at)), b.let("inPart", i32.add(part, at))),
        );
      if (weighing === "softmax") {
        forParts(() =>
          forRowVectors((place, inPart) => {
            const larger = f32x4.max(f32x4.load(place, layout.maximum), f32x4.load(inPart, maximumPlace));
            b.store(place, larger, layout.maximum);
          }),
        );
      }
      forParts(() => {
        if (weighing === "softmax") {
          forRowVectors((place, inPart) => {
            const maximum = b.let("maximum", f32x4.load(place, layout.maximum));
            // A row without keys has no maximum to subtract.
            const isEmpty = f32x4.equal(maximum, f32x4.constant(-Infinity));
            const shift = b.let("shift", f32x4.andNot(maximum, isEmpty));
            const factor = b.let(
              "factor",
              expOfNonPositive(b, f32x4.sub(f32x4.load(inPart, maximumPlace), shift)),
            );
            b.store(place, factor, layout.factor);
            const sum = b.madd(factor, f32x4.load(inPart, sumPlace), f32x4.load(place, layout.sum));
            b.store(place, sum, layout.sum);
          });
          b.for(row, 0, paddedRows, 1, () => {
            const factor = b.let("factor", f32x4.splatAt(i32.add(scratch, i32.mul(row, 4)), layout.factor));
            const start = b.let("start", i32.mul(row, rowBytes));
            b.for(at, start, i32.add(start, rowBytes), 16, () => {
              const place = b.let("place", i32.add(out, at));
              const own = f32x4.load(i32.add(part, at), outPlace);
              b.store(place, b.madd(factor, own, f32x4.load(place)));
            });
          });
          return;
        }
        const winners =
          winner === undefined ? undefined : b.let("winners", i32.add(i32.add(part, outPlace), bytes));
        b.for(at, 0, bytes, 16, () => {
          const place = b.let("place", i32.add(out, at));
          const own = b.let("own", f32x4.load(i32.add(part, at), outPlace));
          const before = b.let("before", f32x4.load(place));
          if (winner === undefined || winners === undefined) {
            b.store(place, f32x4.add(before, own));
            return;
          }
          const isBetter = b.let("isBetter", f32x4.greater(own, before));
          b.store(place, f32x4.select(own, before, isBetter));
          const winnerAt = b.let("winnerAt", i32.add(winner, at));
          const key = f32x4.select(f32x4.load(i32.add(winners, at)), f32x4.load(winnerAt), isBetter);
          b.store(winnerAt, key);
        });
      });
      finishRows(b, emission, program, { record, scratch, out, rows, firstRow });
    },
  );
}
