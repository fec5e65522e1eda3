/** @file The recurrent core on our kernels as problems: whole sequences, and single tokens over a state. */
import { random, type Tensor } from "../../src/index.ts";
import {
  fusedRecurrence,
  fusedRecurrenceBackward,
  type WasmEngine,
  wasmRecurrence,
} from "../../src/kernels/wasm/index.ts";
import { type RecurrenceProblem, type RecurrentStepProblem } from "../protocol.ts";
import { gradientName } from "../recurrence/correctness.ts";
import { coreInputsOf, coreOf } from "../recurrence/problems.ts";
import { type Inputs, type Prepared } from "./serve.ts";

type Arrays = Record<string, Float32Array>;

export function prepareRecurrence(
  engine: WasmEngine,
  problem: RecurrenceProblem,
  arrays: Inputs,
): Prepared<Arrays> {
  const core = coreOf(problem);
  const { inputs, dOut } = coreInputsOf(problem, arrays);
  const run = (): Arrays => {
    const { out, saved } = fusedRecurrence(engine, core, inputs, { saves: dOut !== undefined });
    if (dOut === undefined) return { out: out.data };
    const gradients = fusedRecurrenceBackward(engine, core, inputs, { out: dOut }, saved);
    const named = Object.keys(inputs).map((name) => [
      gradientName(name),
      gradients[name as keyof typeof inputs]!.data,
    ]);
    return { out: out.data, ...Object.fromEntries(named) };
  };
  return { run, read: (result) => result, facts: () => ({ arenaBytes: engine.arena.sizeBytes }) };
}

/** Tokens of a run, so that it is long enough to be timed. */
const tokensPerRun = 32;

/** A state that has taken the problem's tokens before the first run. */
export function prepareSteps(
  engine: WasmEngine,
  { heads, width, length }: RecurrentStepProblem,
): Prepared<Tensor> {
  const core = coreOf({ terms: "gla" });
  const stream = random("bench", "steps");
  const shape = [1, heads, 1, width];
  const normals = (): Tensor => ({ data: stream.normals(heads * width, 1), shape });
  const logDecay = { data: new Float32Array(heads * width).fill(-0.05), shape };
  const token = { q: normals(), k: normals(), v: normals(), logDecay };
  const state = wasmRecurrence(engine, core, { heads, width });
  let out = state.step(token);
  const first = { arenaBytes: engine.arena.sizeBytes, stateBytes: state.sizeBytes };
  while (state.length < length) out = state.step(token);
  return {
    run: () => {
      for (let count = 0; count < tokensPerRun; count++) out = state.step(token);
      return out;
    },
    read: () => ({}),
    facts: () => ({
      firstArenaBytes: first.arenaBytes,
      firstStateBytes: first.stateBytes,
      arenaBytes: engine.arena.sizeBytes,
      stateBytes: state.sizeBytes,
      tokens: tokensPerRun,
    }),
    release: () => state.dispose(),
  };
}
