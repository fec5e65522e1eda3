/** @file The core of the recurrent class on an engine: forward and backward over chunks. */
import { checkCoreShapes, requireCoreNumbers, requireShape } from "../../../recurrence/core.ts";
import {
  type CoreSizes,
  type Core,
  type CoreCotangents,
  type CoreInputs,
} from "../../../recurrence/index.ts";
import { areFinite, requireFinite, type Tensor } from "../../../base/tensor.ts";
import { type WasmEngine } from "../engine/engine.ts";
import { type HeadRows, RecurrenceCall } from "./recurrence-call.ts";
import { type FusedRecurrenceGradients, readGradients } from "./read-gradients.ts";

/** What a forward pass knows that its backward pass would compute again. */
export interface RecurrenceSaved {
  /** The inputs that it was computed from, and their extents: they need not be checked twice. */
  readonly inputs: CoreInputs<Tensor>;
  readonly sizes: CoreSizes;
  /** States at the starts of chunks and behind the last, as the kernels hold them. */
  readonly states: Float32Array;
  /** What the corrections read, [B, H, N, E'] of whole chunks. */
  readonly corrections?: Float32Array;
  /** Outputs and the sums that they were divided by, [B, H, N, E'] of whole chunks. */
  readonly divided?: Float32Array;
}

/** What a recurrence computes. */
export interface FusedRecurrenceResult {
  /** [B, H, N, E] */
  readonly out: Tensor;
  /** M after the last token, [B, H, D, E], or [B, H, D, E + 1] where normalised. */
  readonly state: Tensor;
  /** Where asked for. */
  readonly saved?: RecurrenceSaved;
}

/** What a call is asked for. */
export interface FusedRecurrenceOptions {
  /** Whether to return what {@link fusedRecurrenceBackward} would compute again (default no). */
  readonly saves?: boolean;
}

/**
 * Outputs and last state of the core that the recurrent class shares, in time and memory that grow with N.
 *
 * @param core - the terms of the update
 * @param inputs - q [B, H, N, D], k [B, G, N, D], v [B, G, N, E] and what else the terms need
 * @throws ShapeError, DomainError or NumbersError when inputs do not fit; UnsupportedError `memory` beyond 4 GiB
 * @example
 * ```ts
 * import { tensor } from "qklab";
 * import { fusedRecurrence, openEngine } from "qklab/wasm";
 * const engine = await openEngine({ threads: 1 });
 * const core = { decay: "none", correction: false, read: "after", normalised: false, epsilon: 0 } as const;
 * const rows = tensor([1, 0, 1, 1], [1, 1, 2, 2]);
 * fusedRecurrence(engine, core, { q: rows, k: rows, v: rows }).out.data; // [1, 0, 3, 2]
 * engine.close();
 * ```
 */
export function fusedRecurrence(
  engine: WasmEngine,
  core: Core,
  inputs: CoreInputs<Tensor>,
  { saves = false }: FusedRecurrenceOptions = {},
): FusedRecurrenceResult {
  const sizes = checkCoreShapes(core, inputs);
  const result = inCall(engine, core, inputs, sizes, (call) => {
    const places = takeForward(call);
    call.writeStates(places.states, 0, inputs.state);
    const isFine = runForward(call, places);
    const { batch, heads, tokens, valueWidth } = call.sizes;
    return {
      out: call.readRows(places.out!, [batch, heads, tokens, valueWidth]),
      state: call.readStates(places.states, call.chunks),
      ...(saves ? { saved: { inputs, sizes, ...saveForward(call, places) } } : {}),
      isFine,
    };
  });
  const { isFine, ...rest } = result;
  // What is not finite in the inputs reaches the outputs or the last state, so that those alone are looked at.
  if (!isFine || !areFinite(rest.state)) {
    requireCoreNumbers(inputs);
    requireFinite("the output of the recurrence", rest.out);
    requireFinite("the last state of the recurrence", rest.state);
  }
  return rest;
}

/**
 * Gradients of Σ out·dOut + Σ state·dState by every input.
 *
 * @param cotangents - gradients of the outputs and, where they are used, of the last state
 * @param saved - what {@link fusedRecurrence} saved of the same inputs; computed again when absent, or of others
 * @throws ShapeError, DomainError or NumbersError when inputs do not fit; UnsupportedError `memory` beyond 4 GiB
 */
export function fusedRecurrenceBackward(
  engine: WasmEngine,
  core: Core,
  inputs: CoreInputs<Tensor>,
  cotangents: CoreCotangents<Tensor>,
  saved?: RecurrenceSaved,
): FusedRecurrenceGradients {
  const isSaved = saved?.inputs === inputs;
  const sizes = isSaved ? saved.sizes : checkCoreShapes(core, inputs);
  checkCotangents(sizes, cotangents);
  const gradients = inCall(engine, core, inputs, sizes, (call) => {
    const places = takeForward(call, core.normalised);
    if (isSaved) {
      call.runDecays(call.takeNotes());
      restoreForward(call, places, saved);
    } else {
      call.writeStates(places.states, 0, inputs.state);
      if (!runForward(call, places)) requireCoreNumbers(inputs);
    }
    return runBackward(call, inputs, cotangents, places);
  });
  const { isFine, ...ofInputs } = gradients;
  if (isFine) return ofInputs;
  requireCoreNumbers(inputs);
  requireFinite("the gradient of out", cotangents.out);
  for (const [name, gradient] of Object.entries(ofInputs)) {
    requireFinite(`the gradient of ${name}`, gradient);
  }
  return ofInputs;
}

function checkCotangents(sizes: CoreSizes, { out, state }: CoreCotangents<Tensor>): void {
  const { batch, heads, tokens, width, valueWidth, stateWidth } = sizes;
  requireShape("the gradient of out", out.shape, [batch, heads, tokens, valueWidth]);
  if (state === undefined) return;
  requireShape("the gradient of the state", state.shape, [batch, heads, width, stateWidth]);
  requireFinite("the gradient of the state", state);
}

/** Where a forward pass writes. */
interface ForwardPlaces {
  readonly states: HeadRows;
  readonly out: HeadRows | undefined;
  readonly reader: HeadRows | undefined;
  readonly writer: HeadRows | undefined;
  readonly corrections: HeadRows | undefined;
}

function takeForward(call: RecurrenceCall, hasOut = true): ForwardPlaces {
  const { core, extents } = call;
  const rows = (isThere: boolean, floats: number): HeadRows | undefined =>
    isThere ? call.takeRows(floats) : undefined;
  const reader = rows(core.correction, extents.width);
  return {
    states: call.takeStates(),
    out: rows(hasOut, extents.columns),
    reader,
    // Without decay, writers are the rows themselves.
    writer: core.decay === "none" ? call.rows.a : rows(core.correction, extents.width),
    corrections: rows(core.correction, extents.columns),
  };
}

/** Whether the decays are such, and what was read is finite, as far as it was asked for. */
function runForward(call: RecurrenceCall, { states, out, ...correcting }: ForwardPlaces): boolean {
  const [ofDecays, ofOut] = [call.takeNotes(), call.takeNotes()];
  call.runDecays(ofDecays);
  call.run(
    "writeChunk",
    call.chunkRecords(correcting, (head, chunk) => ({ state: call.at(states, head, chunk + 1) })),
  );
  call.runScan(1, states, correcting);
  if (out !== undefined) {
    const places = { ...correcting, state: states, out };
    call.run(
      "readChunk",
      call.chunkRecords(places, (head, chunk) => call.noteOf(ofOut, head, chunk)),
    );
  }
  return call.areFine(ofDecays) && call.areFine(ofOut);
}

const floatsOf = (call: RecurrenceCall, { headFloats }: HeadRows): number => call.heads.length * headFloats;

function saveForward(
  call: RecurrenceCall,
  { states, out, corrections }: ForwardPlaces,
): Omit<RecurrenceSaved, "inputs" | "sizes"> {
  const copy = (rows: HeadRows): Float32Array => call.view(rows.address, floatsOf(call, rows)).slice();
  return {
    states: copy(states),
    ...(corrections === undefined ? {} : { corrections: copy(corrections) }),
    ...(call.core.normalised ? { divided: copy(out!) } : {}),
  };
}

function restoreForward(call: RecurrenceCall, places: ForwardPlaces, saved: RecurrenceSaved): void {
  const restore = (rows: HeadRows | undefined, data: Float32Array | undefined): void => {
    if (rows !== undefined) call.view(rows.address, floatsOf(call, rows)).set(data!);
  };
  restore(places.states, saved.states);
  restore(places.corrections, saved.corrections);
  restore(places.out, saved.divided);
}

function runBackward(
  call: RecurrenceCall,
  inputs: CoreInputs<Tensor>,
  cotangents: CoreCotangents<Tensor>,
  { states, out, reader, writer, corrections }: ForwardPlaces,
): FusedRecurrenceGradients & { readonly isFine: boolean } {
  const { core, extents, chunks } = call;
  const { width, columns } = extents;
  const outGradient = call.copyRows(cotangents.out, columns);
  const stateGradients = call.takeStates();
  call.writeStates(stateGradients, chunks, cotangents.state);
  const correctionGradient = core.correction ? call.takeRows(columns) : undefined;
  const scanned = { reader, writer: core.decay === "none" ? call.rows.b : writer };
  call.run(
    "chunkStateGradient",
    call.chunkRecords({ ...scanned, state: stateGradients, outGradient, out, correctionGradient }),
  );
  call.runScan(-1, stateGradients, { ...scanned, corrections: correctionGradient });
  const rows = {
    qGradient: call.takeRows(width),
    kGradient: call.takeRows(width),
    vGradient: call.takeRows(columns),
    ...(core.correction ? { aGradient: call.takeRows(width), bGradient: call.takeRows(width) } : {}),
    ...(core.decay === "none" ? {} : { decayGradient: call.takeRows(core.decay === "head" ? 1 : width) }),
  };
  const notes = call.takeNotes();
  const uGradient = core.read === "bonus" ? call.takeFloats(call.heads.length * chunks * width) : 0;
  call.run(
    "chunkGradients",
    call.chunkRecords(
      { ...rows, state: states, outGradient, corrections, correctionGradient },
      (head, chunk) => ({
        stateGradient: call.at(stateGradients, head, chunk + 1),
        uGradient: uGradient + 4 * (head.number * chunks + chunk) * width,
        ...call.noteOf(notes, head, chunk),
      }),
    ),
  );
  const gradients = readGradients(call, inputs, { ...rows, stateGradients, uGradient });
  return { ...gradients, isFine: call.areFine(notes) && areSumsFinite(call, gradients) };
}

/** Whether what was summed on the way out is finite: few numbers, but where heads share their inputs. */
function areSumsFinite({ sizes }: RecurrenceCall, gradients: FusedRecurrenceGradients): boolean {
  const isShared = ({ shape }: Tensor): boolean => shape.length < 3 || shape[1] !== sizes.heads;
  return (Object.entries(gradients) as [string, Tensor][]).every(
    ([name, gradient]) => (name !== "state" && !isShared(gradient)) || areFinite(gradient),
  );
}

function inCall<T>(
  engine: WasmEngine,
  core: Core,
  inputs: CoreInputs<Tensor>,
  sizes: CoreSizes,
  use: (call: RecurrenceCall) => T,
): T {
  const { mark } = engine.arena;
  try {
    return use(new RecurrenceCall(engine, core, inputs, sizes));
  } finally {
    engine.arena.giveBack(mark);
  }
}
