/**
 * @file The backward pass of one chunk of key tiles of one head. Weights are computed again from scores and lse; with
 * dS_ij = p_ij (dO_i·v_j − Δ_i), G = dS·∂s/∂inner goes to rows by products, and what flows through ‖q‖², ‖k‖² and the
 * parameters is summed over rows, columns and pairs. A chunk owns its dk and dv and has a dq of its own, so that every
 * sum has one order, whatever the number of threads.
 */
import { type Expression } from "../../score/index.ts";
import { termVariables } from "../../similarities/index.ts";
import {
  defineFunction,
  f32x4,
  type FunctionBuilder,
  i32,
  type Local,
  scalar,
  type Value,
  type WasmFunction,
} from "./assembler.ts";
import { type KernelSpec, tileKeys, tileRows } from "./kernel-spec.ts";
import { tileProduct } from "./micro-kernel.ts";
import { alwaysMasked, type Emission, forRows, keyValuesFunction, rowValuesFunction } from "./pair-code.ts";
import { gradients, withReciprocals } from "./score-gradient.ts";
import { type ScoreProgram, scoreProgram } from "./score-program.ts";
import { pullBack, scatter, type ScoreTile } from "./score-tile.ts";
import { field } from "./scratch.ts";
import { expOfNonPositive, vectorOperations } from "./vector-math.ts";

/** A derivative of the score: which output of the program it is. */
interface Slope {
  /** Segment or parameter. */
  readonly index: number;
  readonly output: number;
}

/** The score and those of its derivatives that are not zero, as one program. */
export interface SlopeProgram {
  readonly program: ScoreProgram;
  readonly byInner: readonly Slope[];
  readonly byQueryNorm: readonly Slope[];
  readonly byKeyNorm: readonly Slope[];
  readonly byParameter: readonly Slope[];
}

export function slopeProgram({ score, segments, parameterNames }: KernelSpec): SlopeProgram {
  const expressions: Expression[] = [score];
  const variables = segments.map((_, index) => termVariables(index));
  const byName = gradients(score, [
    ...variables.flatMap((names) => Object.values(names) as string[]),
    ...parameterNames,
  ]);
  const rewritten = new Map<Expression, Expression>();
  const slopesOf = (names: readonly string[]): Slope[] =>
    names.flatMap((name, index) => {
      const slope = byName.get(name);
      if (slope === undefined) return [];
      return [{ index, output: expressions.push(withReciprocals(slope, rewritten)) - 1 }];
    });
  const byInner = slopesOf(variables.map(({ inner }) => inner));
  const byQueryNorm = slopesOf(variables.map(({ queryNorm }) => queryNorm));
  const byKeyNorm = slopesOf(variables.map(({ keyNorm }) => keyNorm));
  const byParameter = slopesOf(parameterNames);
  return { program: scoreProgram(expressions), byInner, byQueryNorm, byKeyNorm, byParameter };
}

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
            scores.fill(b, scratch, query, places.packedKey, paddedRows, columns);
            const weights = b.let("weights", i32.add(scratch, layout.weights));
            if (isMean)
              b.call(weightGradients, outGradient, places.packedValue, weights, paddedRows, columns, 0, 0);
            else b.call(fromWinners, record, weights, firstKey, firstRow, rows, columns);
            const maskNumber = b.let("maskNumber", i32.load(entryAt, 4));
            const bits = b.let("bits", i32.add(field(record, "masks"), i32.mul(maskNumber, 8 * tileRows)));
            const run = (callee: WasmFunction): void =>
              b.call(callee, record, scratch, firstKey, rows, columns, bits, firstRow);
            if (whole === undefined) run(partial);
            else {
              const isWhole = i32.and(i32.equal(maskNumber, 0), i32.less(tileKeys - 1, left));
              b.if(
                isWhole,
                () => run(whole),
                () => run(partial),
              );
            }
            if (isMean)
              b.call(valueGradients, weights, outGradient, places.valueGradient, columns, 0, paddedRows, 0);
            slopes.byInner.forEach(({ index }, place) => {
              const gradient = b.let("gradient", i32.add(scratch, layout.inner[index]));
              pulls[place].emit(
                b,
                gradient,
                { query, key: places.key, queryGradient, keyGradient: places.keyGradient },
                paddedRows,
                columns,
              );
            });
            slopes.byQueryNorm.forEach(({ index }, place) => {
              const { offset, paddedWidth } = segments[index];
              const sums = i32.add(scratch, layout.rowSums + 4 * tileRows * place);
              b.call(
                addRows,
                i32.add(queryGradient, 4 * offset),
                i32.add(query, 4 * offset),
                sums,
                paddedRows,
                4 * paddedWidth,
              );
            });
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

/** `name(record, scratch, firstKey, rows, columns, bits, firstRow)`: weights and gradients of the pairs of a tile. */
function slopesFunction(
  name: string,
  slopes: SlopeProgram,
  emission: Emission,
  masked: boolean,
): WasmFunction {
  const { spec, layout } = emission;
  const { program } = slopes;
  const parameters = ["record", "scratch", "firstKey", "rows", "columns", "bits", "firstRow"];
  const comment = "dS_ij = p_ij (dP_ij − Δ_i), G = dS·∂s/∂inner, sums of dS·∂s/∂‖q‖², ∂‖k‖², ∂parameters";
  return defineFunction(
    name,
    comment,
    parameters,
    spec.relaxed,
    (b, record, scratch, firstKey, rows, columns, bits, firstRow) => {
      const tile = { record, scratch, firstKey, rows, columns, bits, firstRow };
      const parameterSums = slopes.byParameter.map((_, index) => {
        const sum = b.local("v128", `parameterSum${index}`);
        b.set(sum, f32x4.constant(0));
        return sum;
      });
      forRows(b, emission, program, tile, masked, (row) => {
        const isSoftmax = spec.weighing === "softmax";
        const queryRow = b.let("queryBytes", i32.mul(i32.add(firstRow, row.row), 4));
        const lse = isSoftmax
          ? b.let("lse", f32x4.splatAt(i32.add(field(record, "logSumExp"), queryRow)))
          : undefined;
        const delta = isSoftmax
          ? b.let("delta", f32x4.splatAt(i32.add(field(record, "delta"), queryRow)))
          : undefined;
        const querySums = slopes.byQueryNorm.map((_, index) => {
          const sum = b.local("v128", `querySum${index}`);
          b.set(sum, f32x4.constant(0));
          return sum;
        });
        const rowParameterSums = parameterSums.map((_, index) => {
          const sum = b.local("v128", `rowParameterSum${index}`);
          b.set(sum, f32x4.constant(0));
          return sum;
        });
        const tableRow = spec.learnsTable
          ? b.let(
              "tableGradientRow",
              i32.add(
                field(record, "tableGradient"),
                i32.mul(i32.sub(firstKey, i32.add(firstRow, row.row)), 4),
              ),
            )
          : undefined;
        const biasRow = spec.hasBias
          ? b.let(
              "biasGradientRow",
              i32.add(
                i32.add(
                  field(record, "biasGradient"),
                  i32.mul(i32.add(firstRow, row.row), field(record, "biasGradientStride")),
                ),
                i32.mul(firstKey, 4),
              ),
            )
          : undefined;
        row.forKeys((pair) => {
          const values = row
            .evaluate(pair, program.outputs)
            .map((value) =>
              value.operation === "local.get" || value.operation === "v128.const"
                ? value
                : b.let("slope", value),
            );
          const score = b.let("score", row.biased(pair, values[0]));
          const allowed = row.allowed(pair, score);
          const kept = (value: Value): Value => (allowed === undefined ? value : f32x4.and(value, allowed));
          const gradient = b.let("gradient", f32x4.load(pair.at, layout.weights));
          const scoreGradient = b.local("v128", "scoreGradient");
          switch (spec.weighing) {
            case "softmax": {
              const weight = b.let("weight", kept(expOfNonPositive(b, f32x4.sub(score, lse!))));
              b.store(pair.at, weight, layout.weights);
              b.set(scoreGradient, kept(f32x4.mul(weight, f32x4.sub(gradient, delta!))));
              break;
            }
            case "sigmoid": {
              const weight = b.let("weight", kept(vectorOperations.logistic(b, score, score)));
              b.store(pair.at, weight, layout.weights);
              const slope = f32x4.mul(weight, f32x4.sub(f32x4.constant(1), weight));
              b.set(scoreGradient, kept(f32x4.mul(slope, gradient)));
              break;
            }
            case "exp": {
              const weight = b.let("weight", kept(vectorOperations.exp(b, score, score)));
              b.store(pair.at, weight, layout.weights);
              b.set(scoreGradient, kept(f32x4.mul(weight, gradient)));
              break;
            }
            case "identity":
              b.store(pair.at, kept(score), layout.weights);
              b.set(scoreGradient, kept(gradient));
              break;
            case "maxplus":
              b.set(scoreGradient, kept(gradient));
              break;
          }
          const times = (slope: Slope): Value => kept(f32x4.mul(scoreGradient, values[slope.output]));
          slopes.byInner.forEach((slope) => b.store(pair.at, times(slope), layout.inner[slope.index]));
          slopes.byQueryNorm.forEach((slope, index) =>
            b.set(querySums[index], f32x4.add(querySums[index], times(slope))),
          );
          const keyPlace =
            slopes.byKeyNorm.length > 0
              ? b.let("keyPlace", i32.add(scratch, i32.mul(pair.column, 4)))
              : undefined;
          slopes.byKeyNorm.forEach((slope, index) => {
            const offset = layout.keySums + 4 * tileKeys * index;
            b.store(keyPlace!, f32x4.add(f32x4.load(keyPlace!, offset), times(slope)), offset);
          });
          slopes.byParameter.forEach((slope, index) => {
            b.set(rowParameterSums[index], f32x4.add(rowParameterSums[index], times(slope)));
          });
          if (tableRow !== undefined) {
            const place = b.let("tablePlace", i32.add(tableRow, i32.mul(pair.column, 4)));
            b.store(place, f32x4.add(f32x4.load(place), scoreGradient));
          }
          if (biasRow !== undefined) b.store(i32.add(biasRow, i32.mul(pair.column, 4)), scoreGradient);
        });
        querySums.forEach((sum, index) => {
          const place = i32.add(scratch, row.rowBytes);
          b.storeLane(place, b.sumLanes(sum), 0, layout.rowSums + 4 * tileRows * index);
        });
        rowParameterSums.forEach((sum, index) =>
          b.set(parameterSums[index], f32x4.add(parameterSums[index], sum)),
        );
      });
      // A tile's sums are float32; tiles are summed in float64, as there may be a million of them.
      slopes.byParameter.forEach((slope, index) => {
        const sum = b.let("parameterSum", scalar.promote(f32x4.first(b.sumLanes(parameterSums[index]))));
        const place = b.let("parameterPlace", field(record, "parameterGradient"));
        b.store(place, scalar.add(scalar.load64(place, 8 * slope.index), sum), 8 * slope.index);
      });
      clearPaddedRows(b, emission, slopes, tile);
    },
  );
}

/** Rows that fill up a group of four have weights and gradients 0, as products run over them. */
function clearPaddedRows(
  b: FunctionBuilder,
  { layout }: Emission,
  slopes: SlopeProgram,
  { scratch, rows, columns }: { readonly scratch: Local; readonly rows: Local; readonly columns: Local },
): void {
  const [row, at] = ["paddedRow", "at"].map((name) => b.local("i32", name));
  b.for(row, rows, i32.and(i32.add(rows, 3), -4), 1, () => {
    const start = b.let("start", i32.add(scratch, i32.mul(row, 4 * tileKeys)));
    b.for(at, 0, i32.mul(columns, 4), 16, () => {
      const place = b.let("place", i32.add(start, at));
      for (const tile of [layout.weights, ...slopes.byInner.map(({ index }) => layout.inner[index])]) {
        b.store(place, f32x4.constant(0), tile);
      }
    });
    slopes.byQueryNorm.forEach((_, index) => {
      b.storeLane(
        i32.add(scratch, i32.mul(row, 4)),
        f32x4.constant(0),
        0,
        layout.rowSums + 4 * tileRows * index,
      );
    });
  });
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

/** `fromWinners(record, weights, firstKey, firstRow, rows, columns)`: dS_ij = Σ_e dO_ie over the e that key j won. */
function winnersFunction({ spec }: Emission): WasmFunction {
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
