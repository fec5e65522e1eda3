/**
 * @file The forward pass of one row tile: over the key tiles that its pattern allows, scores, weights with running
 * statistics, and the weighted sum of values (flash attention; Dao et al. 2022, algorithm 1).
 */
import {
  defineFunction,
  f32x4,
  type FunctionBuilder,
  i32,
  i32x4,
  type Integer,
  type Local,
  type Value,
  type WasmFunction,
} from "../assembler/assembler.ts";
import { type KernelSpec, tileKeys, tileRows } from "./kernel-spec.ts";
import { tileProduct } from "../assembler/micro-kernel.ts";
import {
  alwaysMasked,
  type Emission,
  forRows,
  keyValuesFunction,
  rowValuesFunction,
  type TileCode,
} from "./pair-code.ts";
import { type ScoreProgram } from "../score/score-program.ts";
import { type ScoreTile } from "./score-tile.ts";
import { field } from "../engine/scratch.ts";
import { finishRows } from "./finish-rows.ts";
import { storePart } from "./join-parts.ts";
import { fetchFunction, fewRows } from "./fetch-values.ts";
import { winFunction } from "./max-plus-kernel.ts";
import { selectRows } from "./select-rows.ts";
import { startRows } from "./start-rows.ts";
import { bandParameters, forBands, hasBands } from "./tile-bands.ts";
import { expOfNonPositive, vectorOperations } from "../assembler/vector-math.ts";

const minusInfinity = (): Value => f32x4.constant(-Infinity);

/** What a tile's code does with its scores. */
type Purpose = "weigh" | "store" | "select";

/** The functions of a pass over key tiles of one row tile: `name(record, scratch)`. */
export function rowTilePass(
  name: string,
  purpose: Purpose,
  program: ScoreProgram,
  scores: ScoreTile,
  emission: Emission,
): { readonly entry: WasmFunction; readonly functions: readonly WasmFunction[] } {
  const { spec, layout } = emission;
  const rowValues = rowValuesFunction(`${name}Rows`, program, emission);
  const keyValues = keyValuesFunction(`${name}Keys`, program, emission);
  const needsMask = alwaysMasked(spec);
  const whole = needsMask ? undefined : tileFunction(`${name}Whole`, purpose, program, emission, false);
  const partial = tileFunction(`${name}Partial`, purpose, program, emission, true);
  const isMaxplus = spec.weighing === "maxplus";
  const joinOf = (rowsAtOnce: 1 | 4): WasmFunction =>
    tileProduct(spec.relaxed, {
      name: rowsAtOnce === 1 ? "joinValuesOfOne" : "joinValues",
      comment: "o_i = f_i·o_i + Σ_j p_ij·v_j",
      a: { row: tileKeys, step: 1 },
      b: { step: spec.paddedValueWidth, panel: 8 },
      c: { row: spec.paddedValueWidth },
      steps: "given",
      columns: spec.paddedValueWidth,
      start: spec.weighing === "softmax" ? "scale" : "add",
      step: "multiply",
      rows: rowsAtOnce,
    });
  const joins = purpose === "weigh" && !isMaxplus ? ([joinOf(4), joinOf(1)] as const) : undefined;
  const fetch = fetchFunction(emission);
  const win = purpose === "weigh" && isMaxplus ? winFunction(emission) : undefined;
  const comment =
    purpose === "weigh"
      ? `o_i = ${spec.weighing} over the keys of the tiles in the record's list`
      : purpose === "store"
        ? "scores of the row tile, for who wants to see them"
        : "the k-th largest score of every row";
  const entry = defineFunction(name, comment, ["record", "scratch"], spec.relaxed, (b, record, scratch) => {
    const rows = b.let("rows", field(record, "rows"));
    const firstRow = b.let("firstRow", field(record, "firstRow"));
    const paddedRows = b.let("paddedRows", i32.and(i32.add(rows, 3), -4));
    const isSingle = b.let("isSingle", i32.equal(rows, 1));
    const limit = b.let("limit", field(record, "limit"));
    const query = b.let("query", i32.add(field(record, "query"), i32.mul(firstRow, 4 * spec.rowWidth)));
    const out = b.local("i32", "out");
    const valueBytes = 4 * spec.paddedValueWidth;
    if (purpose === "weigh") {
      b.set(out, i32.add(field(record, "out"), i32.mul(firstRow, 4 * spec.paddedValueWidth)));
      startRows(b, emission, { record, scratch, out, rows: paddedRows, firstRow });
    }
    if (rowValues !== undefined) b.call(rowValues, record, scratch, firstRow, paddedRows);
    const entryAt = b.let("entryAt", field(record, "tiles"));
    const end = b.let("end", i32.add(entryAt, i32.mul(field(record, "tileCount"), 8)));
    const at = b.local("i32", "at");
    const seen = b.local("i32", "seen");
    b.set(seen, 0);
    b.for(at, entryAt, end, 8, () => {
      const firstKey = b.let("firstKey", i32.mul(i32.load(at), tileKeys));
      b.if(i32.less(firstKey, limit), () => {
        const left = b.let("left", i32.sub(limit, firstKey));
        const columns = b.let("columns", i32.and(i32.add(i32.min(left, tileKeys), 7), -8));
        const packed = i32.add(field(record, "packedKey"), i32.mul(firstKey, 4 * spec.rowWidth));
        if (keyValues !== undefined) b.call(keyValues, record, scratch, firstKey, columns);
        const maskNumber = b.let("maskNumber", i32.load(at, 4));
        const bits = b.let(
          "bits",
          i32.add(field(record, "masks"), i32.mul(i32.and(maskNumber, 0x7fffffff), 8 * tileRows)),
        );
        const isWhole = i32.and(i32.equal(maskNumber, 0), i32.less(tileKeys - 1, left));
        const run = (band: readonly Integer[], stop: Local, end: Local): void => {
          const call = (callee: WasmFunction): void =>
            b.call(
              callee,
              record,
              scratch,
              firstKey,
              stop,
              end,
              bits,
              firstRow,
              ...(band.length === 0 ? [seen] : band),
            );
          if (whole === undefined) call(partial);
          else {
            b.if(
              isWhole,
              () => call(whole),
              () => call(partial),
            );
          }
        };
        if (joins === undefined) {
          scores.fill(b, scratch, query, packed, paddedRows, columns, isSingle);
          run([], rows, columns);
          b.set(seen, i32.add(seen, tileKeys));
          if (win !== undefined) b.call(win, record, scratch, firstKey, rows, columns, out, firstRow);
          return;
        }
        const values = b.let("values", i32.add(field(record, "value"), i32.mul(firstKey, valueBytes)));
        b.if(i32.and(i32.below(rows, fewRows), i32.equal(isSingle, 0)), () =>
          b.call(fetch, values, i32.mul(columns, valueBytes), scratch),
        );
        const isPartial = i32.and(maskNumber, 0x7fffffff);
        forBands(b, { isPartial, bits, rows, columns }, (band) => {
          const { from, stop, firstColumn, columns: end } = band;
          const count = b.let("count", i32.and(i32.add(i32.sub(stop, from), 3), -4));
          const width = b.let("width", i32.sub(end, firstColumn));
          const before = i32.add(i32.mul(from, 4 * tileKeys), i32.mul(firstColumn, 4));
          const tileAt = b.let("tileAt", i32.add(scratch, before));
          const queryAt = i32.add(query, i32.mul(from, 4 * spec.rowWidth));
          const packedAt = i32.add(packed, i32.mul(firstColumn, 4 * spec.rowWidth));
          scores.fill(b, tileAt, queryAt, packedAt, count, width, isSingle);
          run([from, firstColumn], stop, end);
          const place = {
            weights: b.let("weights", i32.add(tileAt, layout.inner[0])),
            values: b.let("valuesAt", i32.add(values, i32.mul(firstColumn, valueBytes))),
            out: b.let("outAt", i32.add(out, i32.mul(from, valueBytes))),
            factors: b.let("factors", i32.add(i32.add(scratch, layout.factor), i32.mul(from, 4))),
            rows: count,
            columns: width,
          };
          const [ofFour, ofOne] = joins;
          const join = (callee: WasmFunction, rowCount: Integer): void =>
            b.call(callee, place.weights, place.values, place.out, rowCount, 0, width, place.factors);
          b.if(
            isSingle,
            () => join(ofOne, 1),
            () => {
              if (spec.selects) joinKept(b, spec, ofFour, place);
              else join(ofFour, count);
            },
          );
        });
      });
    });
    if (purpose === "weigh") {
      const part = b.let("part", field(record, "part"));
      b.if(
        part,
        () => storePart(b, emission, { scratch, part, paddedRows }),
        () => finishRows(b, emission, program, { record, scratch, out, rows, firstRow }),
      );
    }
    if (purpose === "select") selectRows(b, emission, { record, scratch, rows, firstRow, seen, entryAt });
  });
  const functions = [
    rowValues,
    keyValues,
    whole,
    partial,
    ...(joins === undefined ? [] : [...joins, fetch]),
    win,
    entry,
  ].filter((one) => one !== undefined);
  return { entry, functions };
}

/**
 * Joins values four rows at a time, of which most keep no key of a tile: without weights there is nothing to add, and the
 * factor of what came before is 1, as the largest score so far is still the same.
 */
function joinKept(
  b: FunctionBuilder,
  { paddedValueWidth }: KernelSpec,
  join: WasmFunction,
  {
    weights,
    values,
    out,
    factors,
    rows,
    columns,
  }: Readonly<Record<"weights" | "values" | "out" | "factors" | "rows" | "columns", Local>>,
): void {
  const [row, weightAt] = ["row", "weightAt"].map((name) => b.local("i32", name));
  const any = b.local("v128", "any");
  b.for(row, 0, rows, 4, () => {
    const ofRows = b.let("ofRows", i32.add(weights, i32.mul(row, 4 * tileKeys)));
    b.set(any, f32x4.bits(0));
    for (let line = 0; line < 4; line++) {
      b.for(weightAt, 0, i32.mul(columns, 4), 16, () => {
        b.set(any, f32x4.or(any, f32x4.load(i32.add(ofRows, weightAt), 4 * tileKeys * line)));
      });
    }
    b.if(i32x4.bitmask(i32x4.sub(f32x4.bits(0), f32x4.and(any, f32x4.bits(0x7fffffff)))), () => {
      const to = i32.add(out, i32.mul(row, 4 * paddedValueWidth));
      b.call(join, ofRows, values, to, 4, 0, columns, i32.add(factors, i32.mul(row, 4)));
    });
  });
}

/**
 * `name(record, scratch, firstKey, rows, columns, bits, firstRow, …)`, of a band or with the keys seen before: scores of one
 * tile, and what the pass makes of them.
 */
function tileFunction(
  name: string,
  purpose: Purpose,
  program: ScoreProgram,
  emission: Emission,
  masked: boolean,
): WasmFunction {
  const { spec, layout } = emission;
  const seenBy: Emission = purpose === "select" ? { spec: { ...spec, selects: false }, layout } : emission;
  const isBanded = purpose === "weigh" && hasBands(spec);
  const others = isBanded ? bandParameters : ["seen"];
  const parameters = ["record", "scratch", "firstKey", "rows", "columns", "bits", "firstRow", ...others];
  const comment = `scores of a tile, ${masked ? "some pairs excluded" : "all pairs allowed"}`;
  return defineFunction(
    name,
    comment,
    parameters,
    spec.relaxed,
    (b, record, scratch, firstKey, rows, columns, bits, firstRow, ...own) => {
      const [seen] = own;
      const [from, firstColumn] = isBanded ? own : [0, 0];
      const tile: TileCode = { record, scratch, firstKey, rows, columns, bits, firstRow, from, firstColumn };
      forRows(b, seenBy, program, tile, masked, (row) => {
        const scoreOf = (
          pair: Parameters<typeof row.biased>[0],
        ): { score: Local; allowed: Value | undefined } => {
          const score = b.let("score", row.biased(pair, row.evaluate(pair, [program.outputs[0]])[0]));
          return { score, allowed: row.allowed(pair, score) };
        };
        const excluded = (score: Value, allowed: Value | undefined): Value =>
          allowed === undefined ? score : f32x4.select(score, minusInfinity(), allowed);
        if (purpose === "store") {
          const to = b.let(
            "to",
            i32.add(
              i32.add(
                field(record, "scores"),
                i32.mul(i32.add(firstRow, row.row), field(record, "scoresStride")),
              ),
              i32.mul(firstKey, 4),
            ),
          );
          row.forKeys((pair) => {
            const [own, shown] = row.evaluate(pair, program.outputs).map((value) => b.let("value", value));
            const allowed = row.allowed(pair, b.let("score", row.biased(pair, own)));
            b.store(i32.add(to, i32.mul(pair.column, 4)), excluded(row.biased(pair, shown), allowed));
          });
          return;
        }
        if (purpose === "select") {
          const stride = i32.mul(field(record, "tileCount"), 4 * tileKeys);
          const to = b.let(
            "to",
            i32.add(i32.add(i32.add(scratch, layout.sortable), i32.mul(row.row, stride)), i32.mul(seen, 4)),
          );
          row.forKeys((pair) => {
            const { score, allowed } = scoreOf(pair);
            // −0 becomes 0, as they are ties.
            const plain = b.let("plain", f32x4.add(excluded(score, allowed), f32x4.constant(0)));
            const flipped = f32x4.and(i32x4.shiftRight(plain, 31), f32x4.bits(0x7fffffff));
            b.store(i32.add(to, i32.mul(pair.column, 4)), f32x4.xor(plain, flipped));
          });
          // Columns beyond the limit of a last tile hold nothing: they rank below every score.
          const column = b.local("i32", "column");
          b.for(column, columns, tileKeys, 4, () => {
            b.store(i32.add(to, i32.mul(column, 4)), f32x4.bits(0x80000000));
          });
          return;
        }
        weighRow(b, emission, row, scoreOf, excluded, scratch);
      });
    },
  );
}

function weighRow(
  b: FunctionBuilder,
  { spec, layout }: Emission,
  row: Parameters<Parameters<typeof forRows>[5]>[0],
  scoreOf: (pair: Parameters<typeof row.biased>[0]) => { score: Local; allowed: Value | undefined },
  excluded: (score: Value, allowed: Value | undefined) => Value,
  scratch: Local,
): void {
  const first = layout.inner[0];
  const kept = (weight: Value, allowed: Value | undefined): Value =>
    allowed === undefined ? weight : f32x4.and(weight, allowed);
  if (spec.weighing !== "softmax") {
    row.forKeys((pair) => {
      const { score, allowed } = scoreOf(pair);
      const { weighing } = spec;
      if (weighing === "maxplus") b.store(pair.at, excluded(score, allowed), first);
      else if (weighing === "identity") b.store(pair.at, kept(score, allowed), first);
      else
        b.store(
          pair.at,
          kept(vectorOperations[weighing === "exp" ? "exp" : "logistic"](b, score, score), allowed),
          first,
        );
    });
    return;
  }
  const largest = b.local("v128", "largest");
  b.set(largest, minusInfinity());
  row.forKeys((pair) => {
    const { score, allowed } = scoreOf(pair);
    const held = b.let("held", excluded(score, allowed));
    b.store(pair.at, held, first);
    b.set(largest, f32x4.max(largest, held));
  });
  const place = b.let("place", i32.add(scratch, row.rowBytes));
  const before = b.let("before", f32x4.splatAt(place, layout.maximum));
  const maximum = b.let("maximum", f32x4.max(before, b.maxLanes(largest)));
  // A row without keys so far has no maximum to subtract.
  const shift = b.let("shift", f32x4.andNot(maximum, f32x4.equal(maximum, minusInfinity())));
  const factor = b.let("factor", expOfNonPositive(b, f32x4.sub(before, shift)));
  const sum = b.local("v128", "sum");
  b.set(sum, f32x4.constant(0));
  row.forKeys((pair) => {
    const weight = b.let("weight", expOfNonPositive(b, f32x4.sub(f32x4.load(pair.at, first), shift)));
    b.store(pair.at, weight, first);
    b.set(sum, f32x4.add(sum, weight));
  });
  b.storeLane(place, maximum, 0, layout.maximum);
  b.storeLane(place, factor, 0, layout.factor);
  const total = f32x4.add(f32x4.mul(f32x4.splatAt(place, layout.sum), factor), b.sumLanes(sum));
  b.storeLane(place, total, 0, layout.sum);
}
