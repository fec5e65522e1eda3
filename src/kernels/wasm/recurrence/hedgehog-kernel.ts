/**
 * @file The code of hedgehog's feature map, φ(x) = [softmax(s), softmax(−s)] of s = W·x with a learned W of each query head,
 * and of its gradients: ds_r = φ_r(dφ_r − Σ φ·dφ) − φ_{D+r}(dφ_{D+r} − Σ φ·dφ), each sum over its half; dx = Wᵀ·ds, dW = Σ ds·xᵀ.
 */
import {
  defineFunction,
  f32x4,
  type FunctionBuilder,
  i32,
  type Local,
  type Value,
  type WasmFunction,
  type WasmModule,
} from "../assembler/assembler.ts";
import { expOfNonPositive } from "../assembler/vector-math.ts";
import {
  blockRows,
  clear,
  columnsOf,
  denseModule,
  packTask,
  panelsOf,
  plain,
  productMaker,
  rowsOf,
  sumTask,
} from "../dense/dense-code.ts";
import { forHeads, forRowBlocks, headBlockField as field } from "../dense/head-blocks.ts";
import { featureMapHeader, type FeatureMapSpec, mapLayout } from "./feature-map-spec.ts";

const lanes = 4;

/** Bytes of one thread's scratch memory: scores of a block of rows, or their gradients. */
export const hedgehogScratchBytes = (spec: FeatureMapSpec): number => 4 * blockRows * mapLayout(spec).width;

/** The module: tasks `packWide`, `mapFeatures`, `pullFeatures`, `sumParts`. */
export function hedgehogModule(spec: FeatureMapSpec): WasmModule {
  const { relaxed } = spec;
  const layout = mapLayout(spec);
  const { width } = layout;
  const weightBytes = 4 * width * width;
  const product = productMaker(relaxed);
  const toScores = product("toScores", "s_m = W·x_m, W in panels", {
    a: rowsOf(width),
    b: panelsOf(width),
    steps: width,
    columns: width,
    start: "zero",
  });
  const pullInput = product("inputGradient", "dx_m += Wᵀ·ds_m", {
    a: rowsOf(width),
    b: plain(width),
    steps: width,
    columns: width,
    start: "add",
  });
  const pullWeight = product("weightGradient", "dW += Σ_m ds_m ⊗ x_m", {
    a: columnsOf(width),
    b: plain(width),
    steps: "given",
    columns: width,
    start: "add",
  });
  const halves = softmaxHalves(spec);
  const pullHalves = pullSoftmaxHalves(spec);

  const forward = defineFunction(
    "mapFeatures",
    "φ(x) of some blocks of rows, by the weights of each query head that shares them",
    ["record", "scratch"],
    relaxed,
    (b, record, scratch) => {
      const headStride = b.let("headStride", field(record, "headStride"));
      const heads = b.let("heads", field(record, "count"));
      forRowBlocks(b, record, layout, ({ rows, rowOffset, headOffset }) => {
        const x = b.let("x", i32.add(field(record, "input"), rowOffset));
        const weight = b.let("weight", field(record, "packed"));
        const target = b.let("target", i32.add(field(record, "heads"), headOffset));
        const places = [
          { place: weight, stride: weightBytes },
          { place: target, stride: headStride },
        ];
        forHeads(b, { heads }, places, () => {
          b.call(toScores, x, weight, scratch, rows, 0, 0, 0);
          b.call(halves, scratch, target, rows);
        });
      });
    },
  );
  const backward = defineFunction(
    "pullFeatures",
    "dx of some blocks of rows, and their part of the gradients of the weights",
    ["record", "scratch"],
    relaxed,
    (b, record, scratch) => {
      const headStride = b.let("headStride", field(record, "headStride"));
      const heads = b.let("heads", field(record, "count"));
      forRowBlocks(b, record, layout, ({ rows, rowOffset, headOffset }) => {
        const x = b.let("x", i32.add(field(record, "input"), rowOffset));
        const dx = b.let("dx", i32.add(field(record, "inputGradient"), rowOffset));
        clear(b, dx, i32.mul(rows, 4 * width));
        const weight = b.let("weight", field(record, "weight"));
        const weightGradient = b.let("weightGradient", field(record, "weightGradient"));
        const features = b.let("features", i32.add(field(record, "heads"), headOffset));
        const gradient = b.let("gradient", i32.add(field(record, "headGradients"), headOffset));
        const places = [
          { place: weight, stride: weightBytes },
          { place: weightGradient, stride: weightBytes },
          { place: features, stride: headStride },
          { place: gradient, stride: headStride },
        ];
        forHeads(b, { heads }, places, () => {
          b.call(pullHalves, features, gradient, scratch, rows);
          b.call(pullInput, scratch, weight, dx, rows, 0, 0, 0);
          b.call(pullWeight, scratch, x, weightGradient, width, 0, rows, 0);
        });
      });
    },
  );
  return denseModule(
    featureMapHeader(spec),
    spec,
    [toScores, pullInput, pullWeight, halves, pullHalves],
    [packTask("packWide", width, relaxed), forward, backward, sumTask(relaxed)],
  );
}

/** `softmaxHalves(s, to, rows)`: both halves of φ, zeros in their padding. */
function softmaxHalves(spec: FeatureMapSpec): WasmFunction {
  const { width, relaxed } = spec;
  const rowBytes = 4 * mapLayout(spec).width;
  const rest = width % lanes;
  const wholeBytes = 4 * (width - rest);
  const mask = f32x4.lanes(
    [0, 1, 2, 3].map((lane) => (lane < rest ? -1 : 0)) as [number, number, number, number],
  );
  /** Visits the vectors of a row, `isThere` the lanes of the last that are. */
  const vectors = (b: FunctionBuilder, visit: (at: Local, isThere: Value | undefined) => void): void => {
    const at = b.local("i32", "at");
    b.for(at, 0, wholeBytes, lanes * 4, () => visit(at, undefined));
    if (rest === 0) return;
    b.set(at, wholeBytes);
    visit(at, mask);
  };
  return defineFunction(
    "softmaxHalves",
    "[softmax(s), softmax(−s)] of rows",
    ["s", "to", "rows"],
    relaxed,
    (b, s, to, rows) => {
      const [row, column] = ["row", "column"].map((name) => b.local("i32", name));
      const [from, above] = [b.let("from", s), b.let("above", to)];
      const below = b.let("below", i32.add(to, rowBytes));
      const [most, least, sumAbove, sumBelow] = ["most", "least", "sumAbove", "sumBelow"].map((name) =>
        b.local("v128", name),
      );
      b.for(row, 0, rows, 1, () => {
        b.set(most, f32x4.constant(-Infinity));
        b.set(least, f32x4.constant(-Infinity));
        vectors(b, (at, isThere) => {
          const score = b.let("score", f32x4.load(i32.add(from, at)));
          const seen = (value: Value): Value =>
            isThere === undefined ? value : f32x4.select(value, f32x4.constant(-Infinity), isThere);
          b.set(most, f32x4.max(most, seen(score)));
          b.set(least, f32x4.max(least, seen(f32x4.neg(score))));
        });
        b.set(most, b.maxLanes(most));
        b.set(least, b.maxLanes(least));
        b.set(sumAbove, f32x4.constant(0));
        b.set(sumBelow, f32x4.constant(0));
        vectors(b, (at, isThere) => {
          const score = b.let("score", f32x4.load(i32.add(from, at)));
          const weigh = (argument: Value, half: Local, sum: Local): void => {
            const mass = expOfNonPositive(b, argument);
            const kept = b.let("mass", isThere === undefined ? mass : f32x4.and(mass, isThere));
            b.store(i32.add(half, at), kept);
            b.set(sum, f32x4.add(sum, kept));
          };
          weigh(f32x4.sub(score, most), above, sumAbove);
          weigh(f32x4.sub(f32x4.neg(score), least), below, sumBelow);
        });
        const filled = wholeBytes + (rest === 0 ? 0 : lanes * 4);
        for (const half of filled < rowBytes ? [above, below] : []) {
          b.store(half, f32x4.constant(0), filled);
        }
        for (const [half, sum] of [
          [above, sumAbove],
          [below, sumBelow],
        ] as const) {
          b.set(sum, f32x4.div(f32x4.constant(1), b.sumLanes(sum)));
          b.for(column, 0, rowBytes, lanes * 4, () => {
            const place = b.let("place", i32.add(half, column));
            b.store(place, f32x4.mul(f32x4.load(place), sum));
          });
        }
        b.set(from, i32.add(from, rowBytes));
        b.set(above, i32.add(above, 2 * rowBytes));
        b.set(below, i32.add(below, 2 * rowBytes));
      });
    },
  );
}

/** `pullSoftmaxHalves(features, gradient, to, rows)`: the gradients of scores; padding is zero as its features are. */
function pullSoftmaxHalves(spec: FeatureMapSpec): WasmFunction {
  const rowBytes = 4 * mapLayout(spec).width;
  return defineFunction(
    "pullSoftmaxHalves",
    "ds from φ and dφ of rows",
    ["features", "gradient", "to", "rows"],
    spec.relaxed,
    (b, features, gradient, to, rows) => {
      const [row, at] = ["row", "at"].map((name) => b.local("i32", name));
      const [phi, dPhi, target] = [b.let("phi", features), b.let("dPhi", gradient), b.let("target", to)];
      const [above, below] = ["above", "below"].map((name) => b.local("v128", name));
      b.for(row, 0, rows, 1, () => {
        b.set(above, f32x4.constant(0));
        b.set(below, f32x4.constant(0));
        const each = (visit: (phiAt: Local, dPhiAt: Local) => void): void =>
          b.for(at, 0, rowBytes, lanes * 4, () =>
            visit(b.let("phiAt", i32.add(phi, at)), b.let("dPhiAt", i32.add(dPhi, at))),
          );
        each((phiAt, dPhiAt) => {
          b.set(above, b.madd(f32x4.load(phiAt), f32x4.load(dPhiAt), above));
          b.set(below, b.madd(f32x4.load(phiAt, rowBytes), f32x4.load(dPhiAt, rowBytes), below));
        });
        b.set(above, b.sumLanes(above));
        b.set(below, b.sumLanes(below));
        each((phiAt, dPhiAt) => {
          const up = f32x4.mul(f32x4.load(phiAt), f32x4.sub(f32x4.load(dPhiAt), above));
          const down = f32x4.sub(f32x4.load(dPhiAt, rowBytes), below);
          b.store(i32.add(target, at), b.nmadd(f32x4.load(phiAt, rowBytes), down, up));
        });
        b.set(phi, i32.add(phi, 2 * rowBytes));
        b.set(dPhi, i32.add(dPhi, 2 * rowBytes));
        b.set(target, i32.add(target, rowBytes));
      });
    },
  );
}
