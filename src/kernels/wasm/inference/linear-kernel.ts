/**
 * @file The code of a linear map whose weights stay in the engine, y = s⊙((W − z)·x) + b, with what follows it in a block: nothing, a
 * sum with what was there, a function of y, or silu(y)⊙y' with another map's y'. Weights lie in panels of eight outputs, as float32 or as 8-bit
 * numbers: few rows read every weight once, widened as it comes; many rows go through the register tile, over a block of weights
 * that was widened for all of them. Both sum in one order, so that a token's numbers do not depend on how many came with it.
 */
import {
  defineFunction,
  f32x4,
  type FunctionBuilder,
  i16x8,
  i32,
  i32x4,
  type Local,
  type Value,
  type WasmFunction,
  type WasmModule,
} from "../assembler/assembler.ts";
import { tileProduct } from "../assembler/micro-kernel.ts";
import { vectorOperations } from "../assembler/vector-math.ts";
import { mostPages } from "../engine/tasks.ts";
import { geluGate } from "../dense/feed-forward-kernel.ts";

/** How weights are stored: float32, or 8-bit numbers with and without a sign. */
export type WeightKind = "f32" | "i8" | "u8";

/** What becomes of a map's outputs. */
export type LinearFinish = "none" | "add" | "swiglu" | "gelu" | "gelu-exact" | "relu";

/** Everything that the code depends on; inputs are a multiple of 8. */
export interface LinearSpec {
  readonly kind: WeightKind;
  readonly inputs: number;
  readonly finish: LinearFinish;
  readonly relaxed: boolean;
  readonly shared: boolean;
}

/** Outputs, and rows, that a task computes at most. */
export const blockOutputs = 64;
export const blockRows = 128;
/** From so many rows on, a multiple of which they then are, rows go through the register tile. */
export const tileRows = 4;

/** Fields of a task's record: `outRow` is the bytes from one row of outputs to the next, `gate…` the map whose silu is a factor. */
export const linearFields = [
  "task",
  "rows",
  "outputs",
  "input",
  "out",
  "outRow",
  "weight",
  "scale",
  "bias",
  "zero",
  "gateWeight",
  "gateScale",
  "gateBias",
  "gateZero",
] as const;
export type LinearField = Exclude<(typeof linearFields)[number], "task">;

const field = (record: Local, name: LinearField): Value => i32.load(record, 4 * linearFields.indexOf(name));

/** Bytes from one panel of eight outputs to the next. */
export const panelBytes = (kind: WeightKind, inputs: number): number => inputs * (kind === "f32" ? 32 : 8);

/** Bytes of one thread's scratch memory: sums of both maps, and a block of widened weights. */
export const linearScratchBytes = (inputs: number): number => 2 * sumBytes + 4 * blockOutputs * inputs;
const sumBytes = 4 * blockOutputs * blockRows;

const formulas: Readonly<Record<LinearFinish, string>> = {
  none: "out = y",
  add: "out += y",
  swiglu: "out = silu(y_gate)⊙y",
  gelu: "out = gelu(y)",
  "gelu-exact": "out = y·Φ(y)",
  relu: "out = max(y, 0)",
};

/** The module: the task `linear`. */
export function linearModule(spec: LinearSpec): WasmModule {
  const { kind, inputs, finish, relaxed, shared } = spec;
  const widen = kind === "f32" ? undefined : widenFunction(spec);
  const multiplyMany = tileProduct(relaxed, product(spec, "multiplyMany", 4));
  const multiplyFew =
    kind === "f32" ? tileProduct(relaxed, product(spec, "multiplyFew", 1)) : widenAndMultiply(spec);
  const finishing = finishFunction(spec);
  const linear = defineFunction(
    "linear",
    `y = s⊙((W − z)·x) + b for some rows and some outputs; ${formulas[finish]}`,
    ["record", "scratch"],
    relaxed,
    (b, record, scratch) => {
      const rows = b.let("rows", field(record, "rows"));
      const count = b.let("count", field(record, "outputs"));
      const input = b.let("input", field(record, "input"));
      const widened = b.let("widened", i32.add(scratch, 2 * sumBytes));
      const panels = b.local("i32", "panels");
      const multiply = (sums: Value, weight: LinearField, zero: LinearField): void => {
        b.set(panels, field(record, weight));
        b.if(
          i32.less(rows, tileRows),
          () => b.call(multiplyFew, input, panels, sums, rows, count, 0, field(record, zero)),
          () => {
            if (widen !== undefined) {
              b.call(widen, panels, widened, count, field(record, zero));
              b.set(panels, widened);
            }
            b.call(multiplyMany, input, panels, sums, rows, count, 0, 0);
          },
        );
      };
      multiply(scratch, "weight", "zero");
      if (finish === "swiglu") multiply(i32.add(scratch, sumBytes), "gateWeight", "gateZero");
      b.call(finishing, record, scratch, field(record, "out"), rows, i32.mul(count, 4));
    },
  );
  return {
    header: [
      `qklab linear map that stays in memory: ${inputs} inputs, ${kind} weights; ${formulas[finish]}; ` +
        `${relaxed ? "relaxed" : "plain"} SIMD`,
    ],
    functions: [...(widen === undefined ? [] : [widen]), multiplyMany, multiplyFew, finishing, linear],
    exports: [linear.name],
    memory: { minimum: 1, maximum: mostPages, shared },
  };
}

/** Sums of a block: rows of inputs times panels of float32. */
const product = ({ inputs }: LinearSpec, name: string, rows: 1 | 4) =>
  ({
    name,
    comment: `sums_m = W·x_m, W in panels, ${rows} rows at a time`,
    a: { row: inputs, step: 1 },
    b: { step: 8, panel: 8 * inputs },
    c: { row: blockOutputs },
    steps: inputs,
    columns: "given",
    start: "zero",
    step: "multiply",
    rows,
  }) as const;

/** Eight bytes less the zero point, as two vectors of float32. */
function widenedBytes(
  b: FunctionBuilder,
  kind: WeightKind,
  address: Value,
  zero: Local,
  offset = 0,
): readonly [Value, Value] {
  const words = b.let("words", i16x8.sub(i16x8.bytes(address, kind === "i8", offset), zero));
  return [i32x4.toFloat(i16x8.widenLow(words)), i32x4.toFloat(i16x8.widenHigh(words))];
}

/** `widen(panels, to, outputs, zero)`: panels of bytes to panels of float32. */
function widenFunction({ kind, inputs, relaxed }: LinearSpec): WasmFunction {
  return defineFunction(
    "widen",
    "W − z as float32, panel by panel",
    ["panels", "to", "outputs", "zero"],
    relaxed,
    (b, panels, to, outputs, zero) => {
      const zeros = b.let("zeros", i16x8.splat(zero));
      const at = b.local("i32", "at");
      b.for(at, 0, i32.mul(outputs, inputs), 8, () => {
        const target = b.let("target", i32.add(to, i32.mul(at, 4)));
        widenedBytes(b, kind, i32.add(panels, at), zeros).forEach((vector, half) =>
          b.store(target, vector, 16 * half),
        );
      });
    },
  );
}

/** `multiplyFew(x, panels, sums, rows, outputs, steps, zero)`: two panels at a time, every byte read once for each row. */
function widenAndMultiply({ kind, inputs, relaxed }: LinearSpec): WasmFunction {
  const side = panelBytes(kind, inputs);
  const unrolled = 4;
  return defineFunction(
    "multiplyFew",
    "sums_m = (W − z)·x_m, W in panels of bytes",
    ["x", "panels", "sums", "rows", "outputs", "steps", "zero"],
    relaxed,
    (b, x, panels, sums, rows, outputs, _, zero) => {
      const zeros = b.let("zeros", i16x8.splat(zero));
      const [row, output, k] = ["row", "output", "k"].map((name) => b.local("i32", name));
      const [from, to, xAt, at] = ["from", "to", "xAt", "at"].map((name) => b.local("i32", name));
      const totals = ["sum0", "sum1", "sum2", "sum3"].map((name) => b.local("v128", name));
      const splat = b.local("v128", "a");
      const panelsAtOnce = (count: 1 | 2): void => {
        const own = totals.slice(0, 2 * count);
        for (const total of own) b.set(total, f32x4.constant(0));
        b.set(xAt, i32.add(x, i32.mul(row, 4 * inputs)));
        b.set(at, from);
        b.for(k, 0, inputs, unrolled, () => {
          for (let step = 0; step < unrolled; step++) {
            b.set(splat, f32x4.splatAt(xAt, 4 * step));
            for (let panel = 0; panel < count; panel++) {
              widenedBytes(b, kind, at, zeros, 8 * step + side * panel).forEach((vector, half) => {
                const total = own[2 * panel + half];
                b.set(total, b.madd(splat, vector, total));
              });
            }
          }
          b.set(xAt, i32.add(xAt, 4 * unrolled));
          b.set(at, i32.add(at, 8 * unrolled));
        });
        own.forEach((total, index) => b.store(to, total, 16 * index));
      };
      b.for(row, 0, rows, 1, () => {
        b.set(from, panels);
        b.set(to, i32.add(sums, i32.mul(row, 4 * blockOutputs)));
        b.set(output, 0);
        b.for(output, 8, outputs, 16, () => {
          panelsAtOnce(2);
          b.set(from, i32.add(from, 2 * side));
          b.set(to, i32.add(to, 64));
        });
        // `output` is 8 too far: one panel is left where the number of panels is odd.
        b.if(i32.notEqual(i32.and(outputs, 8), 0), () => panelsAtOnce(1));
      });
    },
  );
}

/** `finish(record, sums, out, rows, bytes)`: scales, biases and what follows, from the sums of a block to the rows of the outputs. */
function finishFunction({ kind, finish, relaxed }: LinearSpec): WasmFunction {
  return defineFunction(
    "finish",
    `y = s⊙sums + b; ${formulas[finish]}`,
    ["record", "sums", "out", "rows", "bytes"],
    relaxed,
    (b, record, sums, out, rows, bytes) => {
      const pointer = (name: LinearField): Local => b.let(name, field(record, name));
      const scaled = (from: Value, at: Local, scale: Local | undefined, bias: Local): Value => {
        const sum = f32x4.load(from);
        const shift = f32x4.load(i32.add(bias, at));
        return scale === undefined
          ? f32x4.add(sum, shift)
          : b.madd(sum, f32x4.load(i32.add(scale, at)), shift);
      };
      const hasScale = kind !== "f32";
      const own = { scale: hasScale ? pointer("scale") : undefined, bias: pointer("bias") };
      const gate =
        finish === "swiglu"
          ? { scale: hasScale ? pointer("gateScale") : undefined, bias: pointer("gateBias") }
          : undefined;
      const [row, at] = ["row", "at"].map((name) => b.local("i32", name));
      const from = b.let("from", sums);
      const to = b.let("to", out);
      const outRow = pointer("outRow");
      b.for(row, 0, rows, 1, () => {
        b.for(at, 0, bytes, 16, () => {
          const place = b.let("place", i32.add(from, at));
          const target = b.let("target", i32.add(to, at));
          const y = b.let("y", scaled(place, at, own.scale, own.bias));
          if (gate !== undefined) {
            const g = b.let("g", scaled(i32.add(place, sumBytes), at, gate.scale, gate.bias));
            b.store(target, f32x4.mul(f32x4.mul(g, vectorOperations.logistic(b, g, g)), y));
          } else if (finish !== "swiglu") b.store(target, finished(b, finish, y, target));
        });
        b.set(from, i32.add(from, 4 * blockOutputs));
        b.set(to, i32.add(to, outRow));
      });
    },
  );
}

/** What is stored of y, where no gate is a factor. */
function finished(
  b: FunctionBuilder,
  finish: Exclude<LinearFinish, "swiglu">,
  y: Local,
  target: Local,
): Value {
  switch (finish) {
    case "none":
      return y;
    case "add":
      return f32x4.add(f32x4.load(target), y);
    case "relu":
      return f32x4.max(y, f32x4.constant(0));
    case "gelu":
      return f32x4.mul(y, geluGate(b, y).gate);
    case "gelu-exact":
      return exactGelu(b, y);
  }
}

/** erfc x = (a₁t + … + a₅t⁵)·e^{−x²}, t = 1/(1 + px), x ≥ 0, off by ≤ 1.5e-7 (Abramowitz & Stegun 1964, 7.1.26). */
const errorFunction = {
  p: 0.3275911,
  a: [0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429],
} as const;

/** y·Φ(y) = max(y, 0) − |y|·erfc(|y|/√2)/2: nothing is lost where y is far below 0. */
function exactGelu(b: FunctionBuilder, y: Local): Value {
  const size = b.let("size", f32x4.max(y, f32x4.neg(y)));
  const one = f32x4.constant(1);
  const t = b.let("t", f32x4.div(one, b.madd(size, f32x4.constant(errorFunction.p * Math.SQRT1_2), one)));
  const series = b.let("series", f32x4.constant(0));
  for (const a of errorFunction.a.toReversed()) {
    b.set(series, f32x4.mul(t, f32x4.add(series, f32x4.constant(a))));
  }
  const exponent = b.let("exponent", f32x4.mul(f32x4.mul(y, y), f32x4.constant(-0.5)));
  const half = f32x4.mul(f32x4.constant(0.5), size);
  const tail = f32x4.mul(half, f32x4.mul(series, vectorOperations.exp(b, exponent, exponent)));
  return f32x4.sub(f32x4.max(y, f32x4.constant(0)), tail);
}
