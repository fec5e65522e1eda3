/** @file Forward and backward of an attention on an engine: phases of tasks, and what goes in and comes out. */
import {
  type AttentionGradients,
  type AttentionInputs,
  type AttentionResult,
  type Composition,
  type ExtraOutput,
} from "../../../attention/index.ts";
import { sizeOf, type Tensor } from "../../../base/tensor.ts";
import { type Arena } from "../engine/arena.ts";
import { type WasmEngine } from "../engine/engine.ts";
import { backwardOf } from "./backward-call.ts";
import { type CallPlan } from "./call-plan.ts";
import { chosenCall } from "../choices/chosen-call.ts";
import { type CopiedArray } from "./copied-arrays.ts";
import { KernelCall } from "./kernel-call.ts";
import { prepareRows } from "./prepare-rows.ts";
import { runForward } from "./split-keys.ts";
import { requireSupported } from "./supported.ts";
import { finishRows } from "./value-rows.ts";

/** What a forward pass knows that its backward pass would compute again. */
export interface ForwardState {
  /** Weighted sums of values before an aggregation finished them, [B, H, Q, E as the kernel pads it]. */
  readonly joined: Float32Array;
  /** Log-sum-exp without the row's own part of the scores, [B, H, Q]. */
  readonly logSumExp: Float32Array;
  /** What a selection chose by the vectors. */
  readonly plans?: readonly CallPlan[];
}

/** Result of {@link fusedForward}. */
export interface FusedResult extends AttentionResult {
  readonly state: ForwardState;
}

/**
 * Forward pass, without waiting for anything.
 *
 * @param inputs - q [B, H, Q, D], k [B, G, S, D], v [B, G, S, E]: inputs that `checkInputs` accepts
 * @throws UnsupportedError `wasm-…` for parts that the kernels do not know, `memory` for calls beyond 4 GiB
 */
export function fusedForward(
  engine: WasmEngine,
  composition: Composition,
  inputs: AttentionInputs<Tensor>,
  extras: readonly ExtraOutput[] = [],
): FusedResult {
  requireSupported(composition);
  const chosen = chosenCall(engine, composition, inputs, { showsPairs: showsPairs(extras) });
  const { plans } = chosen;
  const result = inCall(
    engine.arena,
    () =>
      new KernelCall(engine, chosen.composition, chosen.inputs, { showsPairs: showsPairs(extras), plans }),
    (call) => forwardOf(call, extras),
  );
  return plans === undefined ? result : { ...result, state: { ...result.state, plans } };
}

const showsPairs = (extras: readonly ExtraOutput[]): boolean =>
  extras.includes("scores") || extras.includes("weights");

/** The forward pass of a call that no backward pass follows, and that shows no pairs. */
export function outOf(call: KernelCall, extras: readonly "lse"[]): Pick<AttentionResult, "out" | "lse"> {
  sumRows(call);
  const { paddedValueWidth } = call.kernel.spec;
  const out = rowsOut(call, rowsOf(call, call.out, paddedValueWidth));
  return extras.includes("lse") ? { out, lse: lseOf(call) } : { out };
}

function forwardOf(call: KernelCall, extras: readonly ExtraOutput[]): FusedResult {
  sumRows(call);
  const state = stateOf(call);
  const out = rowsOut(call, state.joined);
  const scores = showsPairs(extras) ? scoresOf(call) : undefined;
  return {
    // The state must stay what it is, whatever becomes of the output.
    out: out.data === state.joined ? { ...out, data: out.data.slice() } : out,
    state,
    ...(extras.includes("lse") ? { lse: lseOf(call) } : {}),
    ...(scores !== undefined && extras.includes("scores") ? { scores } : {}),
    ...(scores !== undefined && extras.includes("weights") ? { weights: weightsOf(call, scores) } : {}),
  };
}

/** What a backward pass may be told. */
export interface BackwardOptions {
  /** What the forward pass of the same inputs returned; without it the forward pass runs again. */
  readonly state?: ForwardState;
  /** Names of the parameters whose gradients are asked for; all when absent. Fewer cost less. */
  readonly learned?: readonly string[];
}

/**
 * Backward pass: gradients of Σ out·dOut.
 *
 * @returns gradients of all inputs, and of the parameters asked for
 */
export function fusedBackward(
  engine: WasmEngine,
  composition: Composition,
  inputs: AttentionInputs<Tensor>,
  dOut: Tensor,
  { state, learned }: BackwardOptions = {},
): AttentionGradients {
  requireSupported(composition);
  const chosen = chosenCall(engine, composition, inputs, { showsPairs: false, known: state?.plans });
  const makeCall = (): KernelCall =>
    new KernelCall(engine, chosen.composition, chosen.inputs, { learned, plans: chosen.plans });
  return inCall(engine.arena, makeCall, (call) => {
    const { spec } = call.kernel;
    prepareRows(call);
    select(call);
    if (state === undefined || spec.weighing === "maxplus") join(call);
    else {
      setRows(call, call.out, spec.paddedValueWidth, state.joined);
      setRows(call, call.logSumExp, 1, state.logSumExp);
    }
    return backwardOf(call, dOut, learned);
  });
}

/** Runs a call and gives its memory back. */
export function inCall<T>(arena: Arena, makeCall: () => KernelCall, run: (call: KernelCall) => T): T {
  const mark = arena.mark;
  try {
    return run(makeCall());
  } finally {
    arena.giveBack(mark);
  }
}

/** Everything of a forward pass but what comes out of it. */
function sumRows(call: KernelCall): void {
  prepareRows(call);
  select(call);
  join(call);
}

function select(call: KernelCall): void {
  if (call.kernel.spec.selects) call.run("select", call.rowTileRecords(call.kernel.forward));
}

/** Sums of all rows; those of a row's copies are joined into the row's own. */
function join(call: KernelCall): void {
  runForward(call, call.rowTileRecords(call.kernel.forward));
  const { spec } = call.kernel;
  const width = spec.paddedValueWidth;
  const arrays = call.heads.map(({ number, head }): CopiedArray => {
    const first = number * call.paddedQueries;
    const array = { side: "rows", number, data: call.out + 4 * first * width, width } as const;
    const rows = call.rearrangementOf(number)?.rows;
    if (rows === undefined || spec.weighing !== "softmax") return array;
    const sink = spec.hasSink ? call.normaliserParameter(head) : undefined;
    const [logSumExp, factors] = [call.logSumExp + 4 * first, call.takeFloats(rows.length)];
    return { ...array, join: { logSumExp, factors, sink } };
  });
  call.copies.move(spec.weighing === "softmax" ? "joinCopies" : "addCopies", arrays);
}

function stateOf(call: KernelCall): ForwardState {
  return {
    joined: rowsOf(call, call.out, call.kernel.spec.paddedValueWidth),
    logSumExp: rowsOf(call, call.logSumExp, 1),
  };
}

/** [B, H, Q, width] from a place of the call, without padding and copies. */
function rowsOf(call: KernelCall, address: number, width: number): Float32Array {
  const count = call.sizes.queries * width;
  const data = new Float32Array(call.heads.length * count);
  for (const { number } of call.heads) {
    data.set(call.view(address + 4 * number * call.paddedQueries * width, count), number * count);
  }
  return data;
}

/** The inverse of {@link rowsOf}; padding and copies stay as they are. */
function setRows(call: KernelCall, address: number, width: number, data: Float32Array): void {
  const count = call.sizes.queries * width;
  for (const { number } of call.heads) {
    call
      .view(address + 4 * number * call.paddedQueries * width, count)
      .set(data.subarray(number * count, (number + 1) * count));
  }
}

/** [B, H, Q, E] from weighted sums; the sums themselves where nothing is left to do. */
function rowsOut(call: KernelCall, joined: Float32Array): Tensor {
  const { batch, heads, queries, valueWidth } = call.sizes;
  const { paddedValueWidth } = call.kernel.spec;
  const shape = [batch, heads, queries, valueWidth];
  if (paddedValueWidth === valueWidth) return { data: joined, shape };
  const data = new Float32Array(sizeOf(shape));
  for (const { number, head } of call.heads) {
    finishRows(
      joined.subarray(number * queries * paddedValueWidth),
      data.subarray(number * queries * valueWidth, (number + 1) * queries * valueWidth),
      call.valueLayout(head),
    );
  }
  return { data, shape };
}

function lseOf(call: KernelCall): Tensor {
  const { heads, kernel, paddedQueries, sizes } = call;
  const { rowTerm } = kernel;
  let address = call.logSumExp;
  if (rowTerm !== undefined) {
    address = call.takeFloats(heads.length * paddedQueries);
    call.run(
      "rowTerms",
      heads.map((rows) => ({
        ...call.headRecord(rows, rowTerm),
        fullLogSumExp: address + 4 * rows.number * paddedQueries,
        rows: paddedQueries,
      })),
    );
  }
  const data = new Float32Array(heads.length * sizes.queries);
  for (const { number } of heads) {
    data.set(call.view(address + 4 * number * paddedQueries, sizes.queries), number * sizes.queries);
  }
  return { data, shape: [sizes.batch, sizes.heads, sizes.queries] };
}

function scoresOf(call: KernelCall): Tensor {
  const { batch, heads, queries, keys } = call.sizes;
  const stride = call.paddedKeys;
  const address = call.takeFloats(batch * heads * queries * stride);
  call.view(address, batch * heads * queries * stride).fill(-Infinity);
  const perHead = call.planOf(0).rowStart.length - 1;
  call.run(
    "scores",
    call.rowTileRecords(call.kernel.full).map((record, index) => ({
      ...record,
      scores: address + 4 * Math.floor(index / perHead) * queries * stride,
      scoresStride: 4 * stride,
    })),
  );
  const shape = [batch, heads, queries, keys];
  const data = new Float32Array(sizeOf(shape));
  for (let row = 0; row < batch * heads * queries; row++) {
    data.set(call.view(address + 4 * row * stride, keys), row * keys);
  }
  return { data, shape };
}

/** Weights of scores that a person asked to see, by the normaliser itself. */
function weightsOf(call: KernelCall, { data, shape }: Tensor): Tensor {
  const { heads, queries, keys } = call.sizes;
  const weights = new Float32Array(data.length);
  for (let row = 0; row * keys < data.length; row++) {
    const scores = data.subarray(row * keys, (row + 1) * keys);
    const kept = [...scores.keys()].filter((key) => scores[key] !== -Infinity);
    const parameter = call.normaliserParameter(Math.floor(row / queries) % heads);
    const of = call.composition.normaliser.forward(
      Float64Array.from(kept, (key) => scores[key]),
      { keys, parameter },
    );
    kept.forEach((key, index) => (weights[row * keys + key] = of.weights[index]));
  }
  return { data: weights, shape };
}
