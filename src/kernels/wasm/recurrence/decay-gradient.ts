/**
 * @file The gradient of decays. A cumulative log L_t scales what token t reads and divides what it has written, so that
 * ∂L/∂L_t = q_t⊙dq_t − k_t⊙dk_t, and log w_t is part of all L_s with s ≥ t. What a token reads of itself has no part
 * in it and is added to dq and dk afterwards.
 */
import { f32x4, type FunctionBuilder, i32, type Local, type Value } from "../assembler/assembler.ts";
import { type Reader, type Writer } from "./pairs.ts";
import { clear, decayRowBytes } from "./scaling.ts";
import { chunkTokens, extentsOf } from "./spec.ts";
import { type TaskCode } from "./task-code.ts";

/** Gradients by log w of a chunk: suffix sums that begin with Σ_e ∂L/∂M⊙M at its end. */
export function decayGradients(
  b: FunctionBuilder,
  { spec, layout }: TaskCode,
  call: {
    readonly readers: readonly Reader[];
    readonly writers: readonly Writer[];
    /** M and ∂L/∂M after the chunk. */
    readonly state: Local;
    readonly stateGradient: Local;
    readonly to: Local;
    readonly scratch: Value;
  },
): void {
  const { width, columns } = extentsOf(spec);
  const rowBytes = 4 * width;
  const ofHead = spec.core.decay === "head";
  const { readers, writers, to } = call;
  const sums = b.let("sums", i32.add(call.scratch, layout.row));
  clear(b, sums, rowBytes);
  sumRows(b, call.state, call.stateGradient, sums, { width, columns, ofHead });

  const [row, column] = [b.local("i32", "row"), b.local("i32", "column")];
  const last = b.let("last", (chunkTokens - 1) * rowBytes);
  const target = b.let("target", i32.add(to, (chunkTokens - 1) * decayRowBytes(spec)));
  const sum = b.local("v128", "sum");
  const signed = [
    ...readers.map((reader) => ({ ...reader, sign: 1 })),
    ...writers.map((writer) => ({ ...writer, sight: "after", sign: -1 })),
  ];
  const addOf = (sight: string): void => {
    for (const { rows, gradient, sign } of signed.filter((each) => each.sight === sight)) {
      const at = i32.add(last, column);
      const x = f32x4.load(i32.add(rows, at));
      const dx = f32x4.load(i32.add(gradient!, at));
      b.set(sum, sign === 1 ? b.madd(x, dx, sum) : b.nmadd(x, dx, sum));
    }
  };
  b.for(row, 0, chunkTokens, 1, () => {
    if (ofHead) {
      b.set(sum, f32x4.load(sums));
      b.for(column, 0, rowBytes, 16, () => addOf("after"));
      b.storeLane(target, b.sumLanes(sum), 0);
      b.for(column, 0, rowBytes, 16, () => addOf("before"));
      b.store(sums, sum);
    } else {
      b.for(column, 0, rowBytes, 16, () => {
        const place = b.let("place", i32.add(sums, column));
        b.set(sum, f32x4.load(place));
        addOf("after");
        b.store(i32.add(target, column), sum);
        addOf("before");
        b.store(place, sum);
      });
    }
    b.set(last, i32.sub(last, rowBytes));
    b.set(target, i32.sub(target, decayRowBytes(spec)));
  });
}

/** Σ_e x⊙y of every row, or all rows' four lanes in the first four numbers. */
function sumRows(
  b: FunctionBuilder,
  x: Local,
  y: Local,
  to: Local,
  { width, columns, ofHead }: { readonly width: number; readonly columns: number; readonly ofHead: boolean },
): void {
  const [row, column] = [b.local("i32", "row"), b.local("i32", "column")];
  const sum = b.local("v128", "sum");
  const [xAt, yAt, target] = [b.let("xAt", x), b.let("yAt", y), b.let("target", to)];
  b.set(sum, f32x4.constant(0));
  b.for(row, 0, width, 1, () => {
    if (!ofHead) b.set(sum, f32x4.constant(0));
    b.for(column, 0, 4 * columns, 16, () => {
      b.set(sum, b.madd(f32x4.load(i32.add(xAt, column)), f32x4.load(i32.add(yAt, column)), sum));
    });
    if (!ofHead) {
      b.storeLane(target, b.sumLanes(sum), 0);
      b.set(target, i32.add(target, 4));
    }
    b.set(xAt, i32.add(xAt, 4 * columns));
    b.set(yAt, i32.add(yAt, 4 * columns));
  });
  if (ofHead) b.store(to, sum);
}
