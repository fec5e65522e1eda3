/**
 * @file The code of a feed-forward block, out = down·f(gate·x, up·x), on the register tile of attention: blocks of rows go
 * through all its products while they are in the cache. Backward computes gate and up again, as scores are in attention.
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
} from "./assembler.ts";
import { mostPages } from "./emit-kernel.ts";
import { roundUp } from "./kernel-spec.ts";
import { type TileProduct, tileProduct } from "./micro-kernel.ts";
import { packFunction, sumFunction } from "./preparation-kernel.ts";
import { vectorOperations } from "./vector-math.ts";

/** SwiGLU: f(g, u) = silu(g)·u (Shazeer 2020). GELU: f(u) = u·σ(2√(2/π)·(u + 0.044715u³)), without a gate (GPT-2). */
export type FeedForwardKind = "swiglu" | "gelu";

/** Everything that the code depends on. */
export interface FeedForwardSpec {
  readonly kind: FeedForwardKind;
  readonly width: number;
  readonly hidden: number;
  readonly relaxed: boolean;
  readonly shared: boolean;
}

/** Rows that go through all products at a time. */
export const blockRows = 64;

/** Fields of a task's record, each an i32. */
export const feedForwardFields = [
  "task",
  "rows",
  "input",
  "out",
  "outGradient",
  "inputGradient",
  /** Weights as they are, [out, in]. */
  "gate",
  "up",
  "down",
  /** Weights in panels of eight rows. */
  "packedGate",
  "packedUp",
  "packedDown",
  "gateGradient",
  "upGradient",
  "downGradient",
  /** For packing and for sums. */
  "from",
  "to",
  "count",
  "stride",
] as const;
export type FeedForwardField = (typeof feedForwardFields)[number];

const field = (record: Local, name: FeedForwardField): Value =>
  i32.load(record, 4 * feedForwardFields.indexOf(name));

const packPlaces = (record: Local): { readonly from: Value; readonly to: Value; readonly rows: Value } => ({
  from: field(record, "from"),
  to: field(record, "to"),
  rows: field(record, "rows"),
});

/** Bytes of one thread's scratch memory: three blocks of hidden rows. */
export const feedForwardScratchBytes = (hidden: number): number => 3 * hiddenBlockBytes(hidden);
const hiddenBlockBytes = (hidden: number): number => 4 * blockRows * roundUp(hidden, 8);

/** The module: tasks `packWide`, `packHidden`, `feedForward`, `feedForwardBackward`, `sumParts`. */
export function feedForwardModule(spec: FeedForwardSpec): WasmModule {
  const { kind, relaxed, shared } = spec;
  const [width, hidden] = [roundUp(spec.width, 8), roundUp(spec.hidden, 8)];
  /** C [rows, columns] ⊕= A·B, C as wide as its columns. */
  const product = (
    name: string,
    comment: string,
    shape: Pick<TileProduct, "a" | "b" | "steps" | "start"> & { readonly columns: number },
  ): WasmFunction =>
    tileProduct(relaxed, { name, comment, ...shape, c: { row: shape.columns }, step: "multiply" });
  const rowsOf = (columns: number): TileProduct["a"] => ({ row: columns, step: 1 });
  const columnsOf = (columns: number): TileProduct["a"] => ({ row: 1, step: columns });
  const panelsOf = (steps: number): TileProduct["b"] => ({ step: 8, panel: 8 * steps });
  const plain = (columns: number): TileProduct["b"] => ({ step: columns, panel: 8 });
  const toHidden = { a: rowsOf(width), steps: width, columns: hidden, start: "zero" } as const;
  const toWidth = { a: rowsOf(hidden), steps: hidden, columns: width } as const;
  const toWeight = { steps: "given", start: "add" } as const;
  const widen = product("toHidden", "h_m = W·x_m, W in panels", { ...toHidden, b: panelsOf(width) });
  const narrow = product("fromHidden", "out_m = W·h_m, W in panels", {
    ...toWidth,
    b: panelsOf(hidden),
    start: "zero",
  });
  const pullHidden = product("hiddenGradient", "dh_m = Wᵀ·dout_m", { ...toHidden, b: plain(hidden) });
  const pullInput = product("inputGradient", "dx_m += Wᵀ·dh_m", {
    ...toWidth,
    b: plain(width),
    start: "add",
  });
  const pullWide = product("wideWeightGradient", "dW += Σ_m dh_m ⊗ x_m", {
    ...toWeight,
    a: columnsOf(hidden),
    b: plain(width),
    columns: width,
  });
  const pullLong = product("longWeightGradient", "dW += Σ_m dout_m ⊗ h_m", {
    ...toWeight,
    a: columnsOf(width),
    b: plain(hidden),
    columns: hidden,
  });
  const activate = activateFunction(kind, relaxed);
  const slopes = slopesFunction(kind, relaxed);
  const block = hiddenBlockBytes(spec.hidden);

  /** Fills the scratch blocks of gate (SwiGLU) and up. */
  const project = (b: FunctionBuilder, record: Local, scratch: Value, input: Value, rows: Value): void => {
    if (kind === "swiglu") b.call(widen, input, field(record, "packedGate"), scratch, rows, 0, 0, 0);
    b.call(widen, input, field(record, "packedUp"), i32.add(scratch, block), rows, 0, 0, 0);
  };

  const forward = defineFunction(
    "feedForward",
    "out = down·f(gate·x, up·x) of a block of rows",
    ["record", "scratch"],
    relaxed,
    (b, record, scratch) => {
      const rows = b.let("rows", field(record, "rows"));
      project(b, record, scratch, field(record, "input"), rows);
      b.call(activate, scratch, i32.add(scratch, block), i32.mul(rows, 4 * hidden));
      b.call(narrow, scratch, field(record, "packedDown"), field(record, "out"), rows, 0, 0, 0);
    },
  );
  const backward = defineFunction(
    "feedForwardBackward",
    "dx of some blocks of rows, and their part of the gradients of the weights",
    ["record", "scratch"],
    relaxed,
    (b, record, scratch) => {
      const [input, outGradient, inputGradient] = (["input", "outGradient", "inputGradient"] as const).map(
        (name) => b.let(name, field(record, name)),
      );
      const total = b.let("total", field(record, "rows"));
      const up = b.let("upBlock", i32.add(scratch, block));
      const hiddenGradient = b.let("hiddenBlock", i32.add(scratch, 2 * block));
      const first = b.local("i32", "first");
      const at = b.local("i32", "at");
      b.for(first, 0, total, blockRows, () => {
        const rows = b.let("rows", i32.min(i32.sub(total, first), blockRows));
        const place = b.let("place", i32.mul(first, 4 * width));
        const x = b.let("x", i32.add(input, place));
        const dout = b.let("dout", i32.add(outGradient, place));
        const dx = b.let("dx", i32.add(inputGradient, place));
        project(b, record, scratch, x, rows);
        b.call(pullHidden, dout, field(record, "down"), hiddenGradient, rows, 0, 0, 0);
        b.call(slopes, scratch, up, hiddenGradient, i32.mul(rows, 4 * hidden));
        b.for(at, 0, i32.mul(rows, 4 * width), 16, () => b.store(i32.add(dx, at), f32x4.constant(0)));
        b.call(pullLong, dout, hiddenGradient, field(record, "downGradient"), width, 0, rows, 0);
        b.call(pullWide, up, x, field(record, "upGradient"), hidden, 0, rows, 0);
        b.call(pullInput, up, field(record, "up"), dx, rows, 0, 0, 0);
        if (kind === "swiglu") {
          b.call(pullWide, scratch, x, field(record, "gateGradient"), hidden, 0, rows, 0);
          b.call(pullInput, scratch, field(record, "gate"), dx, rows, 0, 0, 0);
        }
      });
    },
  );
  const tasks = [
    packFunction("packWide", width, packPlaces, relaxed),
    packFunction("packHidden", hidden, packPlaces, relaxed),
    forward,
    backward,
    sumFunction(
      "sumParts",
      "the gradients of a weight, Σ over parts",
      (record) => ({
        to: field(record, "to"),
        bytes: i32.mul(field(record, "rows"), 4),
        count: field(record, "count"),
        stride: field(record, "stride"),
      }),
      relaxed,
    ),
  ];
  return {
    header: [
      `qklab feed-forward ${kind}: width ${spec.width}, hidden ${spec.hidden}; ${relaxed ? "relaxed" : "plain"} SIMD`,
    ],
    functions: [widen, narrow, pullHidden, pullInput, pullWide, pullLong, activate, slopes, ...tasks],
    exports: tasks.map(({ name }) => name),
    memory: { minimum: 1, maximum: mostPages, shared },
  };
}

/** 2√(2/π), and the coefficient of the cube. */
const gelu = { linear: 2 * Math.sqrt(2 / Math.PI), cubic: 2 * Math.sqrt(2 / Math.PI) * 0.044715 };

/** σ(2√(2/π)·(u + 0.044715u³)), and u². */
function geluGate(b: FunctionBuilder, u: Local): { readonly gate: Local; readonly square: Local } {
  const square = b.let("square", f32x4.mul(u, u));
  const factor = b.madd(square, f32x4.constant(gelu.cubic), f32x4.constant(gelu.linear));
  const argument = b.let("argument", f32x4.mul(u, factor));
  return { gate: b.let("gate", vectorOperations.logistic(b, argument, argument)), square };
}

/** `activate(gate, up, bytes)`: gate ← f(gate, up). */
export function activateFunction(kind: FeedForwardKind, relaxed: boolean): WasmFunction {
  const comment = kind === "swiglu" ? "silu(g)·u" : "u·σ(2√(2/π)·(u + 0.044715u³))";
  return defineFunction("activate", comment, ["gate", "up", "bytes"], relaxed, (b, gate, up, bytes) => {
    const at = b.local("i32", "at");
    b.for(at, 0, bytes, 16, () => {
      const to = b.let("to", i32.add(gate, at));
      const u = b.let("u", f32x4.load(i32.add(up, at)));
      if (kind === "gelu") {
        b.store(to, f32x4.mul(u, geluGate(b, u).gate));
        return;
      }
      const g = b.let("g", f32x4.load(to));
      const sigmoid = vectorOperations.logistic(b, g, g);
      b.store(to, f32x4.mul(f32x4.mul(g, sigmoid), u));
    });
  });
}

/** `slopes(gate, up, dh, bytes)`: gate ← dh·∂f/∂gate, up ← dh·∂f/∂up, dh ← f. */
export function slopesFunction(kind: FeedForwardKind, relaxed: boolean): WasmFunction {
  const comment = "dh·∂f/∂gate, dh·∂f/∂up, and f itself";
  return defineFunction(
    "slopes",
    comment,
    ["gate", "up", "dh", "bytes"],
    relaxed,
    (b, gate, up, hiddenGradient, bytes) => {
      const at = b.local("i32", "at");
      b.for(at, 0, bytes, 16, () => {
        const upAt = b.let("upAt", i32.add(up, at));
        const gradientAt = b.let("gradientAt", i32.add(hiddenGradient, at));
        const u = b.let("u", f32x4.load(upAt));
        const gradient = b.let("gradient", f32x4.load(gradientAt));
        const one = f32x4.constant(1);
        if (kind === "gelu") {
          const { gate: sigma, square } = geluGate(b, u);
          b.store(gradientAt, f32x4.mul(u, sigma));
          // σ + u·σ(1 − σ)·(a + 3b·u²)
          const slope = b.madd(square, f32x4.constant(3 * gelu.cubic), f32x4.constant(gelu.linear));
          const curve = b.let("curve", f32x4.mul(f32x4.mul(u, slope), f32x4.sub(one, sigma)));
          b.store(upAt, f32x4.mul(gradient, b.madd(sigma, curve, sigma)));
          return;
        }
        const gateAt = b.let("gateAt", i32.add(gate, at));
        const g = b.let("g", f32x4.load(gateAt));
        const sigma = b.let("sigma", vectorOperations.logistic(b, g, g));
        const silu = b.let("silu", f32x4.mul(g, sigma));
        b.store(gradientAt, f32x4.mul(silu, u));
        b.store(upAt, f32x4.mul(gradient, silu));
        // σ + g·σ(1 − σ)
        const slope = b.madd(silu, f32x4.sub(one, sigma), sigma);
        b.store(gateAt, f32x4.mul(f32x4.mul(gradient, u), slope));
      });
    },
  );
}
