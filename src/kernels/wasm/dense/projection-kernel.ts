/**
 * @file The code of the projections into an attention: n = norm(x), and queries, keys and values W·n of all heads, written
 * where attention reads them. Heads of all three kinds have one width, so that they are one list of heads.
 */
import { defineFunction, i32, type WasmModule } from "../assembler/assembler.ts";
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
} from "./dense-code.ts";
import { forHeads, forRowBlocks, headBlockField as field, type HeadLayout } from "./head-blocks.ts";
import { roundUp } from "../attention/kernel-spec.ts";
import { type NormKind, normaliseFunction, pullNormFunction } from "./norm-code.ts";

/** Everything that the code depends on. */
export interface ProjectionSpec extends HeadLayout {
  readonly norm: NormKind;
  /** ε of the norm. */
  readonly epsilon: number;
  readonly relaxed: boolean;
  readonly shared: boolean;
}

/** Bytes of one thread's scratch memory: a block of normalised rows, and their gradients. */
export const projectionScratchBytes = (width: number): number => 2 * blockBytes(width);
const blockBytes = (width: number): number => 4 * blockRows * roundUp(width, 8);

/** The module: tasks `packWide`, `project`, `projectBackward`, `sumParts`. */
export function projectionModule(spec: ProjectionSpec): WasmModule {
  const { norm, heads, relaxed } = spec;
  const [width, headWidth] = [roundUp(spec.width, 8), roundUp(spec.headWidth, 8)];
  const weightBytes = 4 * headWidth * width;
  const product = productMaker(relaxed);
  const toHead = product("toHead", "q_m = W·n_m, W in panels", {
    a: rowsOf(width),
    b: panelsOf(width),
    steps: width,
    columns: headWidth,
    start: "zero",
  });
  const pullNormed = product("normedGradient", "dn_m += Wᵀ·dq_m", {
    a: rowsOf(headWidth),
    b: plain(width),
    steps: headWidth,
    columns: width,
    start: "add",
  });
  const pullWeight = product("weightGradient", "dW += Σ_m dq_m ⊗ n_m", {
    a: columnsOf(headWidth),
    b: plain(width),
    steps: "given",
    columns: width,
    start: "add",
  });
  const normalise = normaliseFunction(spec);
  const pullNorm = pullNormFunction({ ...spec, residual: true });

  const forward = defineFunction(
    "project",
    "W·norm(x) of all heads, for some blocks of rows",
    ["record", "scratch"],
    relaxed,
    (b, record, scratch) => {
      const headStride = b.let("headStride", field(record, "headStride"));
      forRowBlocks(b, record, spec, ({ rows, rowOffset, headOffset }) => {
        const x = i32.add(field(record, "input"), rowOffset);
        b.call(normalise, x, field(record, "gain"), field(record, "shift"), scratch, rows);
        const weight = b.let("weight", field(record, "packed"));
        const target = b.let("target", i32.add(field(record, "heads"), headOffset));
        const places = [
          { place: weight, stride: weightBytes },
          { place: target, stride: headStride },
        ];
        forHeads(b, spec, places, () => b.call(toHead, scratch, weight, target, rows, 0, 0, 0));
      });
    },
  );
  const backward = defineFunction(
    "projectBackward",
    "dx of some blocks of rows, and their part of the gradients of gain, shift and weights",
    ["record", "scratch"],
    relaxed,
    (b, record, scratch) => {
      const headStride = b.let("headStride", field(record, "headStride"));
      const normedGradient = b.let("normedGradient", i32.add(scratch, blockBytes(spec.width)));
      forRowBlocks(b, record, spec, ({ rows, rowOffset, headOffset }) => {
        const x = b.let("x", i32.add(field(record, "input"), rowOffset));
        b.call(normalise, x, field(record, "gain"), field(record, "shift"), scratch, rows);
        clear(b, normedGradient, i32.mul(rows, 4 * width));
        const weight = b.let("weight", field(record, "weight"));
        const weightGradient = b.let("weightGradient", field(record, "weightGradient"));
        const gradient = b.let("gradient", i32.add(field(record, "headGradients"), headOffset));
        const places = [
          { place: weight, stride: weightBytes },
          { place: weightGradient, stride: weightBytes },
          { place: gradient, stride: headStride },
        ];
        forHeads(b, spec, places, () => {
          b.call(pullWeight, gradient, scratch, weightGradient, headWidth, 0, rows, 0);
          b.call(pullNormed, gradient, weight, normedGradient, rows, 0, 0, 0);
        });
        const [gain, gainGradient, shiftGradient] = (["gain", "gainGradient", "shiftGradient"] as const).map(
          (name) => field(record, name),
        );
        const dx = i32.add(field(record, "inputGradient"), rowOffset);
        const before = i32.add(field(record, "outGradient"), rowOffset);
        b.call(pullNorm, x, gain, normedGradient, before, dx, gainGradient, shiftGradient, rows);
      });
    },
  );
  return denseModule(
    `projection after ${norm} norm: width ${spec.width}, ${heads} heads of ${spec.headWidth}`,
    spec,
    [toHead, pullNormed, pullWeight, normalise, pullNorm],
    [packTask("packWide", width, relaxed), forward, backward, sumTask(relaxed)],
  );
}
