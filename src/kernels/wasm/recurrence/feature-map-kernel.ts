/**
 * @file The code of feature maps φ: features of rows, and the gradients of Σ φ(x)·dφ. The formulas are those of the f64
 * reference, `recurrence/feature-map.ts`.
 */
import {
  defineFunction,
  f32x4,
  type FunctionBuilder,
  i32,
  type Local,
  type Value,
  type WasmModule,
} from "../assembler/assembler.ts";
import { vectorOperations } from "../assembler/vector-math.ts";
import { denseModule } from "../dense/dense-code.ts";
import { forRowBlocks, headBlockField as field } from "../dense/head-blocks.ts";
import {
  type ComputedMap,
  featureMapHeader,
  type FeatureMapSpec,
  mapLayout,
  rowFloats,
} from "./feature-map-spec.ts";
import { hedgehogModule, hedgehogScratchBytes } from "./hedgehog-kernel.ts";

/** The module of a map: tasks `mapFeatures` and `pullFeatures`, and what a learned map needs beside them. */
export function featureMapModule(spec: FeatureMapSpec): WasmModule {
  const { map } = spec;
  return map === "hedgehog" ? hedgehogModule(spec) : plainModule(spec, map);
}

/** Bytes of one thread's scratch memory. */
export const mapScratchBytes = (spec: FeatureMapSpec): number =>
  spec.map === "hedgehog" ? hedgehogScratchBytes(spec) : 0;

/** Where a block of rows lies: x, φ(x), dφ and dx. */
interface BlockPlaces {
  readonly rows: Local;
  readonly x: Local;
  readonly features: Local;
}
interface PullPlaces extends BlockPlaces {
  readonly gradient: Local;
  readonly dx: Local;
}

/** How a map without weights is written, for blocks of rows. */
interface PlainMap {
  readonly forward: (b: FunctionBuilder, places: BlockPlaces, width: number) => void;
  readonly backward: (b: FunctionBuilder, places: PullPlaces, width: number) => void;
}

function plainModule(spec: FeatureMapSpec, map: Exclude<ComputedMap, "hedgehog">): WasmModule {
  const { width, relaxed } = spec;
  const layout = mapLayout(spec);
  const { forward, backward } = plainMaps[map];
  const tasks = [
    defineFunction("mapFeatures", "φ(x) of some rows", ["record", "scratch"], relaxed, (b, record) =>
      forRowBlocks(b, record, layout, ({ rows, rowOffset, headOffset }) => {
        const x = b.let("x", i32.add(field(record, "input"), rowOffset));
        const features = b.let("features", i32.add(field(record, "heads"), headOffset));
        forward(b, { rows, x, features }, width);
      }),
    ),
    defineFunction("pullFeatures", "dx of some rows", ["record", "scratch"], relaxed, (b, record) =>
      forRowBlocks(b, record, layout, ({ rows, rowOffset, headOffset }) => {
        const x = b.let("x", i32.add(field(record, "input"), rowOffset));
        const features = b.let("features", i32.add(field(record, "heads"), headOffset));
        const gradient = b.let("gradient", i32.add(field(record, "headGradients"), headOffset));
        const dx = b.let("dx", i32.add(field(record, "inputGradient"), rowOffset));
        backward(b, { rows, x, features, gradient, dx }, width);
      }),
    ),
  ];
  return denseModule(featureMapHeader(spec), spec, [], tasks);
}

/** A map of each number on its own, whose slope follows from its value. */
function elementwise(
  value: (b: FunctionBuilder, x: Local) => Value,
  slope: (value: Value) => Value,
): PlainMap {
  const each = (b: FunctionBuilder, rows: Local, width: number, visit: (at: Local) => void): void => {
    const at = b.local("i32", "at");
    b.for(at, 0, i32.mul(rows, 4 * rowFloats(width)), 16, () => visit(at));
  };
  return {
    forward: (b, { rows, x, features }, width) =>
      each(b, rows, width, (at) => {
        const number = b.let("number", f32x4.load(i32.add(x, at)));
        b.store(i32.add(features, at), value(b, number));
      }),
    backward: (b, { rows, features, gradient, dx }, width) =>
      each(b, rows, width, (at) => {
        const factor = slope(f32x4.load(i32.add(features, at)));
        b.store(i32.add(dx, at), f32x4.mul(f32x4.load(i32.add(gradient, at)), factor));
      }),
  };
}

const zero = f32x4.constant(0);
const one = f32x4.constant(1);

const elu1 = elementwise(
  (b, x) => {
    const below = vectorOperations.exp(b, b.let("below", f32x4.min(x, zero)), zero);
    return f32x4.select(f32x4.add(x, one), below, f32x4.greater(x, zero));
  },
  (value) => f32x4.min(value, one),
);

const relu = elementwise(
  (_, x) => f32x4.max(x, zero),
  (value) => f32x4.and(one, f32x4.greater(value, zero)),
);

/**
 * [1, x/D^¼, vec(xxᵀ)/√(2D)]. Rows of the square are written in their order, so that the next one overwrites what the
 * vectors of the last wrote behind it; the padding of x makes that zeros.
 */
const taylor2: PlainMap = {
  forward: (b, { rows, x, features }, width) => {
    const { inputBytes, rowBytes, featureBytes, root, square } = taylorSizes(width);
    const [row, d, at] = ["row", "d", "at"].map((name) => b.local("i32", name));
    const [from, to] = [b.let("from", x), b.let("to", features)];
    b.for(row, 0, rows, 1, () => {
      b.storeLane(to, one, 0);
      b.for(at, 0, rowBytes, 16, () => {
        b.store(i32.add(to, at), f32x4.mul(f32x4.load(i32.add(from, at)), f32x4.constant(root)), 4);
      });
      const line = b.let("line", i32.add(to, 4 * (1 + width)));
      b.for(d, 0, 4 * width, 4, () => {
        const factor = b.let("factor", f32x4.mul(f32x4.splatAt(i32.add(from, d)), f32x4.constant(square)));
        b.for(at, 0, rowBytes, 16, () => {
          b.store(i32.add(line, at), f32x4.mul(f32x4.load(i32.add(from, at)), factor));
        });
        b.set(line, i32.add(line, 4 * width));
      });
      b.set(from, i32.add(from, inputBytes));
      b.set(to, i32.add(to, featureBytes));
    });
  },
  backward: (b, { rows, x, gradient, dx }, width) => {
    const { inputBytes, rowBytes, featureBytes, root, square } = taylorSizes(width);
    const [row, d, at] = ["row", "d", "at"].map((name) => b.local("i32", name));
    const [from, dPhi, target] = [b.let("from", x), b.let("dPhi", gradient), b.let("target", dx)];
    const along = b.local("v128", "along");
    b.for(row, 0, rows, 1, () => {
      b.for(at, 0, rowBytes, 16, () => {
        b.store(i32.add(target, at), f32x4.mul(f32x4.load(i32.add(dPhi, at), 4), f32x4.constant(root)));
      });
      const line = b.let("line", i32.add(dPhi, 4 * (1 + width)));
      b.for(d, 0, 4 * width, 4, () => {
        const factor = b.let("factor", f32x4.mul(f32x4.splatAt(i32.add(from, d)), f32x4.constant(square)));
        b.set(along, zero);
        b.for(at, 0, rowBytes, 16, () => {
          const byPair = b.let("byPair", f32x4.load(i32.add(line, at)));
          const place = b.let("place", i32.add(target, at));
          b.set(along, b.madd(byPair, f32x4.load(i32.add(from, at)), along));
          b.store(place, b.madd(byPair, factor, f32x4.load(place)));
        });
        const own = b.let("own", i32.add(target, d));
        const sum = b.let("sum", b.sumLanes(along));
        b.storeLane(own, b.madd(sum, f32x4.constant(square), f32x4.splatAt(own)), 0);
        b.set(line, i32.add(line, 4 * width));
      });
      b.set(from, i32.add(from, inputBytes));
      b.set(dPhi, i32.add(dPhi, featureBytes));
      b.set(target, i32.add(target, inputBytes));
    });
  },
};

/** Bytes from row to row of x and of features, and of the vectors that hold a row x; the factors of x and of xxᵀ. */
function taylorSizes(width: number) {
  return {
    inputBytes: 4 * rowFloats(width),
    rowBytes: 16 * Math.ceil(width / 4),
    featureBytes: 4 * mapLayout({ map: "taylor2", width }).headWidth,
    root: width ** -0.25,
    square: (2 * width) ** -0.5,
  };
}

const plainMaps: Readonly<Record<Exclude<ComputedMap, "hedgehog">, PlainMap>> = { elu1, relu, taylor2 };
