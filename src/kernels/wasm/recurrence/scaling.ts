/**
 * @file Rows scaled by running products of decays, which is all that decays do within a chunk: no factor is above 1, none
 * is divided by, and none is the exponential of a difference that has lost digits.
 */
import {
  defineFunction,
  f32x4,
  type FunctionBuilder,
  i32,
  type Local,
  type Value,
  type WasmFunction,
} from "../assembler/assembler.ts";
import { vectorOperations } from "../assembler/vector-math.ts";
import { chunkTokens, extentsOf, field, type RecurrenceSpec } from "./spec.ts";

/**
 * Which decays a row is scaled by, of the rows of a call: those up to its own (`after`), those before its own (`before`),
 * or those behind it (`until`).
 */
export type Sight = "after" | "before" | "until";

/** `name(from, to, decay, rows)` by sight: to = from⊙f, or to += from⊙f. */
export interface Scalings {
  readonly set: Readonly<Record<Sight, WasmFunction>>;
  readonly add: Readonly<Record<Sight, WasmFunction>>;
  readonly functions: readonly WasmFunction[];
}

/**
 * Factors below it count as 0: beside a number that was not scaled nothing of them is left in float32, and products of
 * two of them, which a processor is slow with, do not arise.
 */
const smallestFactor = 2 ** -60;

/** The decay of token `row` for the channels of four lanes. */
export function decayAt(spec: RecurrenceSpec, address: Value, offset = 0): Value {
  return spec.core.decay === "head" ? f32x4.splatAt(address, offset) : f32x4.load(address, offset);
}

/** Bytes from the decay of a token to the next token's. */
export const decayRowBytes = (spec: RecurrenceSpec): number =>
  spec.core.decay === "head" ? 4 : 4 * extentsOf(spec).width;

/** Bytes from the decay of four channels to that of the next four. */
export const decayStep = (spec: RecurrenceSpec): number => (spec.core.decay === "head" ? 0 : 16);

const comments: Readonly<Record<Sight, string>> = {
  after: "x_i⊙Π_{s ≤ i} w_s",
  before: "x_i⊙Π_{s < i} w_s",
  until: "x_j⊙Π_{s > j} w_s",
};

export function scalings(spec: RecurrenceSpec): Scalings {
  const ofSights = (make: (sight: Sight) => WasmFunction): Record<Sight, WasmFunction> => ({
    after: make("after"),
    before: make("before"),
    until: make("until"),
  });
  const set = ofSights((sight) => scaling(spec, sight, false));
  const add = ofSights((sight) => scaling(spec, sight, true));
  return { set, add, functions: [...Object.values(set), ...Object.values(add)] };
}

/** Vectors whose products run beside each other, so that one does not wait for itself. */
const vectorsAtOnce = 2;

function scaling(spec: RecurrenceSpec, sight: Sight, adds: boolean): WasmFunction {
  const rowBytes = 4 * extentsOf(spec).width;
  const decayBytes = decayRowBytes(spec);
  const name = `${adds ? "addScaled" : "scale"}${sight[0].toUpperCase()}${sight.slice(1)}`;
  const comment = `to ${adds ? "+=" : "="} ${comments[sight]}`;
  return defineFunction(name, comment, ["from", "to", "decay", "rows"], spec.relaxed, (b, ...given) => {
    const [from, to, decay, rows] = given;
    const [column, row] = [b.local("i32", "column"), b.local("i32", "row")];
    const factors = Array.from({ length: vectorsAtOnce }, (_, index) => b.local("v128", `factor${index}`));
    const direction = sight === "until" ? -1 : 1;
    b.for(column, 0, rowBytes, 16 * vectorsAtOnce, () => {
      const start = b.let("start", sight === "until" ? i32.sub(rows, 1) : 0);
      const place = b.let("place", i32.add(column, i32.mul(start, rowBytes)));
      const source = b.let("source", i32.add(from, place));
      const target = b.let("target", i32.add(to, place));
      const ofChannels = spec.core.decay === "head" ? decay : i32.add(decay, column);
      const w = b.let("w", i32.add(ofChannels, i32.mul(start, decayBytes)));
      for (const factor of factors) b.set(factor, f32x4.constant(1));
      const grow = (): void =>
        factors.forEach((factor, index) => {
          const next = b.let("next", f32x4.mul(factor, decayAt(spec, w, decayStep(spec) * index)));
          b.set(factor, f32x4.andNot(next, f32x4.less(next, f32x4.constant(smallestFactor))));
        });
      b.for(row, 0, rows, 1, () => {
        if (sight === "after") grow();
        factors.forEach((factor, index) => {
          const x = f32x4.load(source, 16 * index);
          const sum = adds ? b.madd(x, factor, f32x4.load(target, 16 * index)) : f32x4.mul(x, factor);
          b.store(target, sum, 16 * index);
        });
        if (sight !== "after") grow();
        b.set(source, i32.add(source, direction * rowBytes));
        b.set(target, i32.add(target, direction * rowBytes));
        b.set(w, i32.add(w, direction * decayBytes));
      });
    });
  });
}

/**
 * `decays(record, scratch)`: w = e^{log w} of a chunk in the place of the logs, and their product over the chunk as the
 * exponential of a sum, so that products over many chunks keep their digits. At `to` it leaves zeros where all logs are
 * numbers that are not above 0.
 */
export function decaysFunction(spec: RecurrenceSpec): WasmFunction {
  const rowBytes = 4 * extentsOf(spec).width;
  const decayBytes = decayRowBytes(spec);
  return defineFunction(
    "decays",
    "w = e^{log w}, and their product over a chunk",
    ["record", "scratch"],
    spec.relaxed,
    (b, record) => {
      const [decay, total] = [b.let("decay", field(record, "decay")), b.let("total", field(record, "total"))];
      const flags = b.local("v128", "flags");
      b.set(flags, f32x4.constant(0));
      const [column, row] = [b.local("i32", "column"), b.local("i32", "row")];
      const sum = b.local("v128", "sum");
      const at = b.local("i32", "at");
      b.for(column, 0, rowBytes, 16, () => {
        b.set(sum, f32x4.constant(0));
        b.set(at, spec.core.decay === "head" ? decay : i32.add(decay, column));
        b.for(row, 0, chunkTokens, 1, () => {
          b.set(sum, f32x4.add(sum, decayAt(spec, at)));
          b.set(at, i32.add(at, decayBytes));
        });
        b.store(i32.add(total, column), vectorOperations.exp(b, sum, sum));
      });
      b.for(column, 0, chunkTokens * decayBytes, 16, () => {
        b.set(at, i32.add(decay, column));
        const log = b.let("log", f32x4.load(at));
        // NaN where a logarithm is no number, and above 0 where one is.
        const beyond = f32x4.add(f32x4.max(log, f32x4.constant(0)), f32x4.sub(log, log));
        b.set(flags, f32x4.add(flags, beyond));
        b.store(at, vectorOperations.exp(b, log, log));
      });
      b.store(field(record, "to"), flags);
    },
  );
}

/** `noteFinite(rows, bytes, to)`: adds x − x of all numbers to what is at `to`: NaN unless all are finite. */
export function noteFinite(relaxed: boolean): WasmFunction {
  const comment = "Σ x − x, which is NaN unless all are finite";
  return defineFunction("noteFinite", comment, ["rows", "bytes", "to"], relaxed, (b, rows, bytes, to) => {
    const at = b.local("i32", "at");
    const sums = [0, 1].map((index) => b.local("v128", `sum${index}`));
    b.set(sums[0], f32x4.load(to));
    b.set(sums[1], f32x4.constant(0));
    b.for(at, 0, bytes, 32, () =>
      sums.forEach((sum, index) => {
        const x = b.let("x", f32x4.load(i32.add(rows, at), 16 * index));
        b.set(sum, f32x4.add(sum, f32x4.sub(x, x)));
      }),
    );
    b.store(to, f32x4.add(sums[0], sums[1]));
  });
}

/** Fills `bytes` bytes at a place with zeros. */
export function clear(b: FunctionBuilder, to: Local, bytes: number): void {
  const at = b.local("i32", "at");
  b.for(at, 0, bytes, 16, () => b.store(i32.add(to, at), f32x4.constant(0)));
}

/** Copies `bytes` bytes. */
export function copy(b: FunctionBuilder, from: Local, to: Local, bytes: number): void {
  const at = b.local("i32", "at");
  b.for(at, 0, bytes, 16, () => b.store(i32.add(to, at), f32x4.load(i32.add(from, at))));
}
