/** @file The code of the projection out of an attention: out = x + W·o, with the outputs o of all heads where attention left them. */
import { defineFunction, i32, type WasmModule } from "../assembler/assembler.ts";
import {
  columnsOf,
  copy,
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

/** Everything that the code depends on. */
export interface MergeSpec extends HeadLayout {
  readonly relaxed: boolean;
  readonly shared: boolean;
}

/** The module: tasks `packWide`, `merge`, `mergeBackward`, `sumParts`. */
export function mergeModule(spec: MergeSpec): WasmModule {
  const { heads, relaxed } = spec;
  const [width, headWidth] = [roundUp(spec.width, 8), roundUp(spec.headWidth, 8)];
  const joined = heads * headWidth;
  const product = productMaker(relaxed);
  const fromHead = product("fromHead", "out_m += W·o_m, W in panels", {
    a: rowsOf(headWidth),
    b: panelsOf(joined),
    steps: headWidth,
    columns: width,
    start: "add",
  });
  const pullHead = product("headGradient", "do_m = Wᵀ·dout_m", {
    a: rowsOf(width),
    b: plain(joined),
    steps: width,
    columns: headWidth,
    start: "zero",
  });
  const pullWeight = product("weightGradient", "dW += Σ_m dout_m ⊗ o_m", {
    a: columnsOf(width),
    b: plain(headWidth),
    steps: "given",
    columns: headWidth,
    row: joined,
    start: "add",
  });

  const forward = defineFunction(
    "merge",
    "x + W·o of some blocks of rows",
    ["record", "scratch"],
    relaxed,
    (b, record) => {
      const headStride = b.let("headStride", field(record, "headStride"));
      forRowBlocks(b, record, spec, ({ rows, rowOffset, headOffset }) => {
        const x = b.let("x", i32.add(field(record, "input"), rowOffset));
        const out = b.let("out", i32.add(field(record, "out"), rowOffset));
        copy(b, x, out, i32.mul(rows, 4 * width));
        const weight = b.let("weight", field(record, "packed"));
        const source = b.let("source", i32.add(field(record, "heads"), headOffset));
        const places = [
          { place: weight, stride: 4 * 8 * headWidth },
          { place: source, stride: headStride },
        ];
        forHeads(b, spec, places, () => b.call(fromHead, source, weight, out, rows, 0, 0, 0));
      });
    },
  );
  const backward = defineFunction(
    "mergeBackward",
    "do of some blocks of rows, and their part of the gradient of the weight",
    ["record", "scratch"],
    relaxed,
    (b, record) => {
      const headStride = b.let("headStride", field(record, "headStride"));
      forRowBlocks(b, record, spec, ({ rows, rowOffset, headOffset }) => {
        const dout = b.let("dout", i32.add(field(record, "outGradient"), rowOffset));
        const weight = b.let("weight", field(record, "weight"));
        const weightGradient = b.let("weightGradient", field(record, "weightGradient"));
        const source = b.let("source", i32.add(field(record, "heads"), headOffset));
        const gradient = b.let("gradient", i32.add(field(record, "headGradients"), headOffset));
        const places = [
          { place: weight, stride: 4 * headWidth },
          { place: weightGradient, stride: 4 * headWidth },
          { place: source, stride: headStride },
          { place: gradient, stride: headStride },
        ];
        forHeads(b, spec, places, () => {
          b.call(pullHead, dout, weight, gradient, rows, 0, 0, 0);
          b.call(pullWeight, dout, source, weightGradient, width, 0, rows, 0);
        });
      });
    },
  );
  return denseModule(
    `merge: ${heads} heads of ${spec.headWidth}, width ${spec.width}`,
    spec,
    [fromHead, pullHead, pullWeight],
    [packTask("packWide", joined, relaxed), forward, backward, sumTask(relaxed)],
  );
}
