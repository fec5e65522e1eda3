/**
 * @file The backward pass of one chunk of key tiles of one head. Weights are computed again from scores and lse; with
 * dS_ij = p_ij (dO_i·v_j − Δ_i), G = dS·∂s/∂inner goes to rows by products, and what flows through ‖q‖², ‖k‖² and the
 * parameters is summed over rows, columns and pairs. A chunk owns its dk and dv and has a dq of its own, so that every
 * sum has one order, whatever the number of threads.
 */
import { defineFunction, f32x4, i32, type Local, type WasmFunction } from "../assembler/assembler.ts";
import { tileKeys, tileRows } from "./kernel-spec.ts";
import { tileProduct } from "../assembler/micro-kernel.ts";
import { alwaysMasked, type Emission, keyValuesFunction, rowValuesFunction } from "./pair-code.ts";
import { pullBack, type ScoreTile } from "./score-tile.ts";
import { field } from "../engine/scratch.ts";
import { type Band, forBands, hasBands } from "./tile-bands.ts";
import { slopeProgram, slopesFunction } from "./slopes-kernel.ts";
import { winnersFunction } from "./max-plus-kernel.ts";

/** The functions of the backward pass; `entry(record, scratch)` computes one chunk. */
export function backwardPass(
  scores: ScoreTile,
  emission: Emission,
): { readonly entry: WasmFunction; readonly functions: readonly WasmFunction[] } {
  const { spec, layout } = emission;
  const { relaxed, segments, rowWidth, paddedValueWidth } = spec;
  const slopes = slopeProgram(spec);
  const rowValues = rowValuesFunction("backwardRows", slopes.program, emission);
  const keyValues = keyValuesFunction("backwardKeys", slopes.program, emission);
  const whole = alwaysMasked(spec) ? undefined : slopesFunction("backwardWhole", slopes, emission, false);
  const partial = slopesFunction("backwardPartial", slopes, emission, true);
  const isMean = spec.weighing !== "maxplus";
  const weightGradients = tileProduct(relaxed, {
    name: "weightGradients",
    comment: "dP_ij = dO_i·v_j",
    a: { row: paddedValueWidth, step: 1 },
    b: { step: 8, panel: 8 * paddedValueWidth },
    c: { row: tileKeys },
    steps: spec.valueWidth,
    columns: "given",
    start: "zero",
    step: "multiply",
  });
  const valueGradients = tileProduct(relaxed, {
    name: "valueGradients",
    comment: "dv_j += Σ_i p_ij·dO_i",
    a: { row: 1, step: tileKeys },
    b: { step: paddedValueWidth, panel: 8 },
    c: { row: paddedValueWidth },
    steps: "given",
    columns: paddedValueWidth,
    start: "add",
    step: "multiply",
  });
  const fromWinners = winnersFunction(emission);
  const pulls = slopes.byInner.map(({ index }) => pullBack(segments[index], index, spec));
  const addRows = addRowsFunction(relaxed, rowWidth);

  const entry = defineFunction(
    "backward",
    "dq, dk, dv and parameter sums of one chunk of key tiles",
    ["record", "scratch"],
    relaxed,
    (b, record, scratch) => {
      const names = [
        "query",
        "packedKey",
        "key",
        "value",
        "packedValue",
        "outGradient",
        "queryGradient",
        "keyGradient",
        "valueGradient",
      ] as const;
      const base = Object.fromEntries(
        names.map((name) => [name, b.let(name, field(record, name))]),
      ) as Record<(typeof names)[number], Local>;
      const total = b.let("total", field(record, "rows"));
      const limit = b.let("limit", field(record, "limit"));
      const at = b.local("i32", "at");
      b.for(at, 0, i32.mul(i32.and(i32.add(total, 3), -4), 4 * rowWidth), 16, () => {
        b.store(i32.add(base.queryGradient, at), f32x4.constant(0));
      });
      const listAt = b.let("listAt", field(record, "tiles"));
      const list = b.local("i32", "list");
      b.for(list, listAt, i32.add(listAt, i32.mul(field(record, "tileCount"), 12)), 12, () => {
        const firstKey = b.let("firstKey", i32.mul(i32.load(list), tileKeys));
        const places = {
          packedKey: b.let("packedKeyAt", i32.add(base.packedKey, i32.mul(firstKey, 4 * rowWidth))),
          key: b.let("keyAt", i32.add(base.key, i32.mul(firstKey, 4 * rowWidth))),
          packedValue: b.let(
            "packedValueAt",
            i32.add(base.packedValue, i32.mul(firstKey, 4 * paddedValueWidth)),
          ),
          keyGradient: b.let("keyGradientAt", i32.add(base.keyGradient, i32.mul(firstKey, 4 * rowWidth))),
          valueGradient: b.let(
            "valueGradientAt",
            i32.add(base.valueGradient, i32.mul(firstKey, 4 * paddedValueWidth)),
          ),
        };
        const left = b.let("left", i32.sub(limit, firstKey));
        b.if(i32.less(0, left), () => {
          const columns = b.let("columns", i32.and(i32.add(i32.min(left, tileKeys), 7), -8));
          if (keyValues !== undefined) b.call(keyValues, record, scratch, firstKey, columns);
          slopes.byKeyNorm.forEach((_, place) => {
            b.for(at, 0, 4 * tileKeys, 16, () => {
              b.store(i32.add(scratch, at), f32x4.constant(0), layout.keySums + 4 * tileKeys * place);
            });
          });
          const entryAt = b.local("i32", "entryAt");
          const end = b.let("end", i32.load(list, 8));
          b.for(entryAt, i32.load(list, 4), end, 8, () => {
            const firstRow = b.let("firstRow", i32.mul(i32.load(entryAt), tileRows));
            const rows = b.let("rows", i32.min(i32.sub(total, firstRow), tileRows));
            const paddedRows = b.let("paddedRows", i32.and(i32.add(rows, 3), -4));
            const query = b.let("queryAt", i32.add(base.query, i32.mul(firstRow, 4 * rowWidth)));
            const queryGradient = b.let(
              "queryGradientAt",
              i32.add(base.queryGradient, i32.mul(firstRow, 4 * rowWidth)),
            );
            const outGradient = b.let(
              "outGradientAt",
              i32.add(base.outGradient, i32.mul(firstRow, 4 * paddedValueWidth)),
            );
            if (rowValues !== undefined) b.call(rowValues, record, scratch, firstRow, paddedRows);
            const maskNumber = b.let("maskNumber", i32.load(entryAt, 4));
            const bits = b.let("bits", i32.add(field(record, "masks"), i32.mul(maskNumber, 8 * tileRows)));
            const isWhole = i32.and(i32.equal(maskNumber, 0), i32.less(tileKeys - 1, left));
            const emitBand = ({ from, stop, firstColumn, columns: end }: Band): void => {
              const count = b.let("count", i32.and(i32.add(i32.sub(stop, from), 3), -4));
              const width = b.let("width", i32.sub(end, firstColumn));
              const before = i32.add(i32.mul(from, 4 * tileKeys), i32.mul(firstColumn, 4));
              const tileAt = b.let("tileAt", i32.add(scratch, before));
              const rowsFrom = (address: Local, rowFloats: number): Local =>
                b.let("rowsAt", i32.add(address, i32.mul(from, 4 * rowFloats)));
              const keysFrom = (address: Local, rowFloats: number): Local =>
                b.let("keysAt", i32.add(address, i32.mul(firstColumn, 4 * rowFloats)));
              const ofRows = {
                query: rowsFrom(query, rowWidth),
                queryGradient: rowsFrom(queryGradient, rowWidth),
                outGradient: rowsFrom(outGradient, paddedValueWidth),
              };
              const ofKeys = {
                packedKey: keysFrom(places.packedKey, rowWidth),
                key: keysFrom(places.key, rowWidth),
                keyGradient: keysFrom(places.keyGradient, rowWidth),
                packedValue: keysFrom(places.packedValue, paddedValueWidth),
                valueGradient: keysFrom(places.valueGradient, paddedValueWidth),
              };
              scores.fill(b, tileAt, ofRows.query, ofKeys.packedKey, count, width);
              const weights = b.let("weights", i32.add(tileAt, layout.weights));
              if (isMean)
                b.call(weightGradients, ofRows.outGradient, ofKeys.packedValue, weights, count, width, 0, 0);
              else b.call(fromWinners, record, weights, firstKey, firstRow, rows, columns);
              const own = hasBands(spec) ? [from, firstColumn] : [];
              const run = (callee: WasmFunction): void =>
                b.call(callee, record, scratch, firstKey, stop, end, bits, firstRow, ...own);
              if (whole === undefined) run(partial);
              else {
                b.if(
                  isWhole,
                  () => run(whole),
                  () => run(partial),
                );
              }
              if (isMean)
                b.call(valueGradients, weights, ofRows.outGradient, ofKeys.valueGradient, width, 0, count, 0);
              slopes.byInner.forEach(({ index }, place) => {
                const gradient = b.let("gradient", i32.add(tileAt, layout.inner[index]));
                pulls[place].emit(b, gradient, { ...ofRows, ...ofKeys }, count, width);
              });
              slopes.byQueryNorm.forEach(({ index }, place) => {
                const { offset, paddedWidth } = segments[index];
                const sums = i32.add(scratch, layout.rowSums + 4 * tileRows * place);
                b.call(
                  addRows,
                  i32.add(ofRows.queryGradient, 4 * offset),
                  i32.add(ofRows.query, 4 * offset),
                  i32.add(sums, i32.mul(from, 4)),
                  count,
                  4 * paddedWidth,
                );
              });
            };
            if (hasBands(spec)) forBands(b, { isPartial: maskNumber, bits, rows, columns }, emitBand);
            else emitBand({ from: 0, stop: rows, firstColumn: 0, columns });
          });
          slopes.byKeyNorm.forEach(({ index }, place) => {
            const { offset, paddedWidth } = segments[index];
            const sums = i32.add(scratch, layout.keySums + 4 * tileKeys * place);
            b.call(
              addRows,
              i32.add(places.keyGradient, 4 * offset),
              i32.add(places.key, 4 * offset),
              sums,
              columns,
              4 * paddedWidth,
            );
          });
        });
      });
    },
  );
  const functions = [
    rowValues,
    keyValues,
    whole,
    partial,
    ...(isMean ? [weightGradients, valueGradients] : [fromWinners]),
    ...pulls.flatMap((pull) => pull.functions),
    addRows,
    entry,
  ].filter((one) => one !== undefined);
  return { entry, functions };
}

/** `addRows(c, x, factors, rows, bytes)`: c_m += 2·f_m·x_m, what flows through a squared norm. */
function addRowsFunction(relaxed: boolean, rowWidth: number): WasmFunction {
  return defineFunction(
    "addRows",
    "c_m += 2·f_m·x_m",
    ["c", "x", "factors", "rows", "bytes"],
    relaxed,
    (b, c, x, factors, rows, bytes) => {
      const [row, at] = ["row", "at"].map((name) => b.local("i32", name));
      b.for(row, 0, rows, 1, () => {
        const place = b.let("place", i32.mul(row, 4 * rowWidth));
        const once = b.let("once", f32x4.splatAt(i32.add(factors, i32.mul(row, 4))));
        const factor = b.let("factor", f32x4.add(once, once));
        b.for(at, 0, bytes, 16, () => {
          const to = b.let("to", i32.add(i32.add(c, place), at));
          b.store(to, b.madd(factor, f32x4.load(i32.add(i32.add(x, place), at)), f32x4.load(to)));
        });
      });
    },
  );
}
