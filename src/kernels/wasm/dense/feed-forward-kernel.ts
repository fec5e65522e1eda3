/**
 * @file The code of a feed-forward block, out = x + down·f(gate·n, up·n) with n = norm(x), on the register tile of attention:
 * blocks of rows go through all its products while they are in the cache. Backward finds gate·n and up·n where forward kept
 * them, or computes them again.
 */
import {
  defineFunction,
  f32x4,
  type FunctionBuilder,
  i32,
  type Integer,
  type Local,
  type WasmFunction,
  type WasmModule,
} from "../assembler/assembler.ts";
import {
  blockRows,
  clear,
  columnsOf,
  copy,
  type DenseField,
  denseFields,
  denseModule,
  fieldReader,
  packTask,
  panelsOf,
  plain,
  productMaker,
  rowsOf,
  sumTask,
} from "./dense-code.ts";
import { roundUp } from "../attention/kernel-spec.ts";
import { type NormKind, normaliseFunction, pullNormFunction } from "./norm-code.ts";
import { vectorOperations } from "../assembler/vector-math.ts";

/** SwiGLU: f(g, u) = silu(g)·u (Shazeer 2020). GELU: f(u) = u·σ(2√(2/π)·(u + 0.044715u³)), without a gate (GPT-2). */
export type FeedForwardKind = "swiglu" | "gelu";

/** Everything that the code depends on. */
export interface FeedForwardSpec {
  readonly kind: FeedForwardKind;
  readonly norm: NormKind;
  /** ε of the norm. */
  readonly epsilon: number;
  readonly width: number;
  readonly hidden: number;
  readonly relaxed: boolean;
  readonly shared: boolean;
}

const ownFields = [
  "input",
  "out",
  "outGradient",
  "inputGradient",
  "gain",
  "shift",
  "gainGradient",
  "shiftGradient",
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
  /** Rows of gate·n and of up·n that stay between forward and backward; 0 where none do. */
  "keptGate",
  "keptUp",
] as const;
export type FeedForwardField = DenseField | (typeof ownFields)[number];
/** Fields of a task's record, each an i32. */
export const feedForwardFields: readonly ("task" | FeedForwardField)[] = [...denseFields, ...ownFields];

const field = fieldReader(feedForwardFields);

/** Bytes of one thread's scratch memory: three blocks of hidden rows, and the normalised rows with their gradients. */
export const feedForwardScratchBytes = ({
  width,
  hidden,
}: Pick<FeedForwardSpec, "width" | "hidden">): number => 3 * blockBytes(hidden) + 2 * blockBytes(width);
const blockBytes = (width: number): number => 4 * blockRows * roundUp(width, 8);

/** The module: tasks `packWide`, `packHidden`, `feedForward`, `feedForwardBackward`, `sumParts`. */
export function feedForwardModule(spec: FeedForwardSpec): WasmModule {
  const { kind, norm, relaxed } = spec;
  const [width, hidden] = [roundUp(spec.width, 8), roundUp(spec.hidden, 8)];
  const product = productMaker(relaxed);
  const toHidden = { a: rowsOf(width), steps: width, columns: hidden, start: "zero" } as const;
  const toWidth = { a: rowsOf(hidden), steps: hidden, columns: width, start: "add" } as const;
  const toWeight = { steps: "given", start: "add" } as const;
  const widen = product("toHidden", "h_m = W·n_m, W in panels", { ...toHidden, b: panelsOf(width) });
  const narrow = product("fromHidden", "out_m += W·h_m, W in panels", { ...toWidth, b: panelsOf(hidden) });
  const pullHidden = product("hiddenGradient", "dh_m = Wᵀ·dout_m", { ...toHidden, b: plain(hidden) });
  const pullNormed = product("normedGradient", "dn_m += Wᵀ·dh_m", { ...toWidth, b: plain(width) });
  const pullWide = product("wideWeightGradient", "dW += Σ_m dh_m ⊗ n_m", {
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
  const normalise = normaliseFunction(spec);
  const pullNorm = pullNormFunction({ ...spec, residual: true });
  const activate = activateFunction(kind, relaxed);
  const slopes = slopesFunction(kind, relaxed);

  /** The blocks of a thread's scratch memory. */
  const scratchBlocks = (
    b: FunctionBuilder,
    scratch: Local,
  ): Record<"gate" | "up" | "hidden" | "normed" | "normedGradient", Local> => {
    const block = blockBytes(spec.hidden);
    const place = (name: string, offset: number): Local => b.let(name, i32.add(scratch, offset));
    return {
      gate: scratch,
      up: place("upBlock", block),
      hidden: place("hiddenBlock", 2 * block),
      normed: place("normedBlock", 3 * block),
      normedGradient: place("normedGradient", 3 * block + blockBytes(spec.width)),
    };
  };
  /** Where gate·n and up·n of rows from `first` on are: kept, or in the scratch memory. */
  const hiddenPlaces = (
    b: FunctionBuilder,
    record: Local,
    blocks: Readonly<Record<"gate" | "up", Local>>,
    first: Integer,
  ): Record<"gate" | "up" | "isKept", Local> => {
    const isKept = b.let("isKept", i32.notEqual(field(record, "keptUp"), 0));
    const gate = b.let("gate", blocks.gate);
    const up = b.let("up", blocks.up);
    b.if(isKept, () => {
      b.set(gate, i32.add(field(record, "keptGate"), i32.mul(first, 4 * hidden)));
      b.set(up, i32.add(field(record, "keptUp"), i32.mul(first, 4 * hidden)));
    });
    return { gate, up, isKept };
  };
  /** gate·n (SwiGLU) and up·n. */
  const widenBoth = (
    b: FunctionBuilder,
    record: Local,
    normed: Local,
    { gate, up }: Readonly<Record<"gate" | "up", Local>>,
    rows: Local,
  ): void => {
    if (kind === "swiglu") b.call(widen, normed, field(record, "packedGate"), gate, rows, 0, 0, 0);
    b.call(widen, normed, field(record, "packedUp"), up, rows, 0, 0, 0);
  };

  const forward = defineFunction(
    "feedForward",
    "out = x + down·f(gate·n, up·n) of a block of rows",
    ["record", "scratch"],
    relaxed,
    (b, record, scratch) => {
      const blocks = scratchBlocks(b, scratch);
      const rows = b.let("rows", field(record, "rows"));
      const input = b.let("input", field(record, "input"));
      const out = b.let("out", field(record, "out"));
      const places = hiddenPlaces(b, record, blocks, 0);
      b.call(normalise, input, field(record, "gain"), field(record, "shift"), blocks.normed, rows);
      widenBoth(b, record, blocks.normed, places, rows);
      b.call(activate, places.gate, places.up, blocks.hidden, i32.mul(rows, 4 * hidden));
      copy(b, input, out, i32.mul(rows, 4 * width));
      b.call(narrow, blocks.hidden, field(record, "packedDown"), out, rows, 0, 0, 0);
    },
  );
  const backward = defineFunction(
    "feedForwardBackward",
    "dx of some blocks of rows, and their part of the gradients of gain, shift and weights",
    ["record", "scratch"],
    relaxed,
    (b, record, scratch) => {
      const blocks = scratchBlocks(b, scratch);
      const { gate, up, hidden: hiddenBlock, normed, normedGradient } = blocks;
      const [input, outGradient, inputGradient] = (["input", "outGradient", "inputGradient"] as const).map(
        (name) => b.let(name, field(record, name)),
      );
      const total = b.let("total", field(record, "rows"));
      const first = b.local("i32", "first");
      b.for(first, 0, total, blockRows, () => {
        const rows = b.let("rows", i32.min(i32.sub(total, first), blockRows));
        const place = b.let("place", i32.mul(first, 4 * width));
        const x = b.let("x", i32.add(input, place));
        const dout = b.let("dout", i32.add(outGradient, place));
        const places = hiddenPlaces(b, record, blocks, first);
        b.call(normalise, x, field(record, "gain"), field(record, "shift"), normed, rows);
        b.if(i32.equal(places.isKept, 0), () => widenBoth(b, record, normed, places, rows));
        b.call(pullHidden, dout, field(record, "down"), hiddenBlock, rows, 0, 0, 0);
        b.call(slopes, places.gate, places.up, hiddenBlock, gate, up, i32.mul(rows, 4 * hidden));
        clear(b, normedGradient, i32.mul(rows, 4 * width));
        b.call(pullLong, dout, hiddenBlock, field(record, "downGradient"), width, 0, rows, 0);
        b.call(pullWide, up, normed, field(record, "upGradient"), hidden, 0, rows, 0);
        b.call(pullNormed, up, field(record, "up"), normedGradient, rows, 0, 0, 0);
        if (kind === "swiglu") {
          b.call(pullWide, gate, normed, field(record, "gateGradient"), hidden, 0, rows, 0);
          b.call(pullNormed, gate, field(record, "gate"), normedGradient, rows, 0, 0, 0);
        }
        const [gain, gainGradient, shiftGradient] = (["gain", "gainGradient", "shiftGradient"] as const).map(
          (name) => field(record, name),
        );
        const dx = i32.add(inputGradient, place);
        b.call(pullNorm, x, gain, normedGradient, dout, dx, gainGradient, shiftGradient, rows);
      });
    },
  );
  return denseModule(
    `feed-forward ${kind} after ${norm} norm: width ${spec.width}, hidden ${spec.hidden}`,
    spec,
    [widen, narrow, pullHidden, pullNormed, pullWide, pullLong, normalise, pullNorm, activate, slopes],
    [
      packTask("packWide", width, relaxed),
      packTask("packHidden", hidden, relaxed),
      forward,
      backward,
      sumTask(relaxed),
    ],
  );
}

/** 2√(2/π), and the coefficient of the cube. */
const gelu = { linear: 2 * Math.sqrt(2 / Math.PI), cubic: 2 * Math.sqrt(2 / Math.PI) * 0.044715 };

/** σ(2√(2/π)·(u + 0.044715u³)), and u². */
export function geluGate(b: FunctionBuilder, u: Local): { readonly gate: Local; readonly square: Local } {
  const square = b.let("square", f32x4.mul(u, u));
  const factor = b.madd(square, f32x4.constant(gelu.cubic), f32x4.constant(gelu.linear));
  const argument = b.let("argument", f32x4.mul(u, factor));
  return { gate: b.let("gate", vectorOperations.logistic(b, argument, argument)), square };
}

/** `activate(gate, up, out, bytes)`: out ← f(gate, up). */
export function activateFunction(kind: FeedForwardKind, relaxed: boolean): WasmFunction {
  const comment = kind === "swiglu" ? "silu(g)·u" : "u·σ(2√(2/π)·(u + 0.044715u³))";
  const parameters = ["gate", "up", "out", "bytes"];
  return defineFunction("activate", comment, parameters, relaxed, (b, gate, up, out, bytes) => {
    const at = b.local("i32", "at");
    b.for(at, 0, bytes, 16, () => {
      const to = b.let("to", i32.add(out, at));
      const u = b.let("u", f32x4.load(i32.add(up, at)));
      if (kind === "gelu") {
        b.store(to, f32x4.mul(u, geluGate(b, u).gate));
        return;
      }
      const g = b.let("g", f32x4.load(i32.add(gate, at)));
      const sigmoid = vectorOperations.logistic(b, g, g);
      b.store(to, f32x4.mul(f32x4.mul(g, sigmoid), u));
    });
  });
}

/** `slopes(gate, up, dh, gateGradient, upGradient, bytes)`: dh·∂f/∂gate, dh·∂f/∂up, and dh ← f. */
export function slopesFunction(kind: FeedForwardKind, relaxed: boolean): WasmFunction {
  return defineFunction(
    "slopes",
    "dh·∂f/∂gate, dh·∂f/∂up, and f itself",
    ["gate", "up", "dh", "gateGradient", "upGradient", "bytes"],
    relaxed,
    (b, gate, up, hiddenGradient, gateGradient, upGradient, bytes) => {
      const at = b.local("i32", "at");
      b.for(at, 0, bytes, 16, () => {
        const gradientAt = b.let("gradientAt", i32.add(hiddenGradient, at));
        const toUp = b.let("toUp", i32.add(upGradient, at));
        const u = b.let("u", f32x4.load(i32.add(up, at)));
        const gradient = b.let("gradient", f32x4.load(gradientAt));
        const one = f32x4.constant(1);
        if (kind === "gelu") {
          const { gate: sigma, square } = geluGate(b, u);
          b.store(gradientAt, f32x4.mul(u, sigma));
          // σ + u·σ(1 − σ)·(a + 3b·u²)
          const slope = b.madd(square, f32x4.constant(3 * gelu.cubic), f32x4.constant(gelu.linear));
          const curve = b.let("curve", f32x4.mul(f32x4.mul(u, slope), f32x4.sub(one, sigma)));
          b.store(toUp, f32x4.mul(gradient, b.madd(sigma, curve, sigma)));
          return;
        }
        const g = b.let("g", f32x4.load(i32.add(gate, at)));
        const sigma = b.let("sigma", vectorOperations.logistic(b, g, g));
        const silu = b.let("silu", f32x4.mul(g, sigma));
        b.store(gradientAt, f32x4.mul(silu, u));
        b.store(toUp, f32x4.mul(gradient, silu));
        // σ + g·σ(1 − σ)
        const slope = b.madd(silu, f32x4.sub(one, sigma), sigma);
        b.store(i32.add(gateGradient, at), f32x4.mul(f32x4.mul(gradient, u), slope));
      });
    },
  );
}
