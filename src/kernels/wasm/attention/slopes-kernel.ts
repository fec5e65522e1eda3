/** @file The pairs of one tile backward: weights again, dS, its products with the derivatives of the score, and their sums. */
import { type Expression } from "../../../score/index.ts";
import { termVariables } from "../../../similarities/index.ts";
import {
  defineFunction,
  f32x4,
  type FunctionBuilder,
  i32,
  type Local,
  scalar,
  type Value,
  type WasmFunction,
} from "../assembler/assembler.ts";
import { type KernelSpec, tileKeys, tileRows } from "./kernel-spec.ts";
import { type Emission, forRows } from "./pair-code.ts";
import { gradients } from "../score/score-gradient.ts";
import { type ScoreProgram, scoreProgram } from "../score/score-program.ts";
import { field } from "../engine/scratch.ts";
import { bandParameters, hasBands } from "./tile-bands.ts";
import { expOfNonPositive, vectorOperations } from "../assembler/vector-math.ts";

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

export function slopeProgram(spec: KernelSpec): SlopeProgram {
  const { score, segments, parameterNames } = spec;
  const expressions: Expression[] = [score];
  const variables = segments.map((_, index) => termVariables(index));
  const byName = gradients(score, [
    ...variables.flatMap((names) => Object.values(names) as string[]),
    ...parameterNames,
  ]);
  const slopesOf = (names: readonly string[]): Slope[] =>
    names.flatMap((name, index) => {
      const slope = byName.get(name);
      if (slope === undefined) return [];
      return [{ index, output: expressions.push(slope) - 1 }];
    });
  const byInner = slopesOf(variables.map(({ inner }) => inner));
  const byQueryNorm = slopesOf(variables.map(({ queryNorm }) => queryNorm));
  const byKeyNorm = slopesOf(variables.map(({ keyNorm }) => keyNorm));
  const byParameter = slopesOf(parameterNames);
  return { program: scoreProgram(expressions, spec), byInner, byQueryNorm, byKeyNorm, byParameter };
}

/** `name(record, scratch, firstKey, rows, columns, bits, firstRow, …)`: weights and gradients of the pairs of a tile, or of a band. */
export function slopesFunction(
  name: string,
  slopes: SlopeProgram,
  emission: Emission,
  masked: boolean,
): WasmFunction {
  const { spec, layout } = emission;
  const { program } = slopes;
  const parameters = ["record", "scratch", "firstKey", "rows", "columns", "bits", "firstRow"];
  if (hasBands(spec)) parameters.push(...bandParameters);
  const comment = "dS_ij = p_ij (dP_ij − Δ_i), G = dS·∂s/∂inner, sums of dS·∂s/∂‖q‖², ∂‖k‖², ∂parameters";
  return defineFunction(
    name,
    comment,
    parameters,
    spec.relaxed,
    (b, record, scratch, firstKey, rows, columns, bits, firstRow, ...band) => {
      const [from, firstColumn] = hasBands(spec) ? band : [0, 0];
      const tile = { record, scratch, firstKey, rows, columns, bits, firstRow, from, firstColumn };
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
