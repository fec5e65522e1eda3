/**
 * @file What a recurrence keeps while a decoder generates: on an engine the core's state in its memory, where a token changes it in
 * place; without one, and for a rule that is not the core's, the state that its whole form returns.
 */
import { narrow, sizeOf, type Tensor, type Tensor64, zeros64 } from "../base/tensor.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { liftedForward } from "../kernels/wasm/recurrence/lifted-recurrence.ts";
import { type RecurrentState, wasmRecurrence } from "../kernels/wasm/recurrence/recurrent-state.ts";
import { checkCall } from "../recurrence/check-call.ts";
import {
  type CoreInputs,
  type Lifted,
  type RecurrenceComposition,
  type RecurrenceInputs,
  type RecurrentRule,
  type RuleCall,
} from "../recurrence/index.ts";
import { narrowState } from "../recurrence/rule.ts";
import { type GroupState, type TokenTensors } from "./decoding-group.ts";

/** The state of a recurrence. */
export function recurrenceState(
  { rule: given, position }: RecurrenceComposition,
  parameterNames: readonly string[],
  engine: WasmEngine | undefined,
): GroupState {
  // Tokens are taken as they come, whatever the chunk of longer calls.
  const rule = { ...given, chunk: undefined };
  let taken = 0;
  const callOf = (tensors: TokenTensors, state?: Tensor): RuleCall => {
    const offset = taken;
    taken += tensors["k"].shape[2];
    const entries = Object.entries(tensors);
    const inputs = entries.filter(([name]) => !parameterNames.includes(name));
    return checkCall(
      { rule, ...(position === undefined ? {} : { position }), whole: false },
      {
        ...(Object.fromEntries(inputs) as unknown as RecurrenceInputs<Tensor>),
        parameters: Object.fromEntries(entries.filter(([name]) => parameterNames.includes(name))),
        ...(state === undefined ? {} : { state }),
      },
      position === undefined ? undefined : offset,
    );
  };
  const { lift } = rule;
  return engine === undefined || lift === undefined
    ? returnedState(engine, rule, callOf)
    : coreState(engine, rule, lift, callOf);
}

function returnedState(
  engine: WasmEngine | undefined,
  rule: RecurrentRule,
  callOf: (tensors: TokenTensors, state?: Tensor) => RuleCall,
): GroupState {
  let state: Tensor | undefined;
  return {
    take(inputs) {
      const { out, state: next } =
        engine === undefined
          ? rule.forward(callOf(inputs, state), "recurrent")
          : liftedForward(engine, rule, callOf(inputs, state), false);
      state = narrowState(rule, next);
      return narrow(out);
    },
    get size() {
      return state?.data.length ?? 0;
    },
    dispose() {
      state = undefined;
    },
  };
}

function coreState(
  engine: WasmEngine,
  rule: RecurrentRule,
  lift: (call: RuleCall) => Lifted,
  callOf: (tensors: TokenTensors) => RuleCall,
): GroupState {
  let kept: RecurrentState | undefined;
  let scales: Tensor64 | undefined;
  let size = 0;
  return {
    take(tensors) {
      const call = callOf(tensors);
      const { core, inputs, close } = lift(rule.hasLogScales ? withoutValues(call, scales) : call);
      const { q, v } = { ...inputs, ...(rule.hasLogScales ? { v: call.inputs.v } : {}) };
      const [batch, heads, , width] = q.shape;
      kept ??= wasmRecurrence(engine, core, { batch, heads, width, valueWidth: v.shape[3] });
      const out = kept.step({ ...narrowAll(inputs), v: narrow(v) });
      if (rule.hasLogScales) scales = close!(ones([batch, heads, width, 1]));
      size = sizeOf(rule.stateShape(call.sizes));
      return out;
    },
    get size() {
      return size;
    },
    dispose: () => kept?.dispose(),
  };
}

/**
 * Logarithms of features are lifted by the largest key so far, which is the last column of the state; the numbers of the others
 * are asked for none: a state of values without width holds the largest keys, and a sum of 1 to say that they are there.
 */
function withoutValues(call: RuleCall, scales: Tensor64 | undefined): RuleCall {
  const { batch, keyHeads, tokens } = call.sizes;
  const v = zeros64([batch, keyHeads, tokens, 0]);
  return {
    ...call,
    inputs: { ...call.inputs, v, ...(scales === undefined ? {} : { state: scales }) },
    sizes: { ...call.sizes, valueWidth: 0 },
  };
}

function ones(shape: readonly number[]): Tensor64 {
  const tensor = zeros64(shape);
  tensor.data.fill(1);
  return tensor;
}

/** Inputs of the core but for the state, which is there already. */
function narrowAll(inputs: CoreInputs<Tensor64>): Omit<CoreInputs<Tensor>, "state"> {
  return Object.fromEntries(
    Object.entries(inputs as unknown as Readonly<Record<string, Tensor64>>)
      .filter(([name]) => name !== "state")
      .map(([name, value]) => [name, narrow(value)]),
  ) as unknown as Omit<CoreInputs<Tensor>, "state">;
}
