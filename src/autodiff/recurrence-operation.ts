/**
 * @file A rule of the recurrent class as an operation of a tape: the fused kernels where there is an engine, else the f64
 * reference.
 */
import { narrow, type Tensor } from "../base/tensor.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import {
  liftedBackward,
  liftedForward,
  type LiftedSaved,
  requireOnEngine,
} from "../kernels/wasm/recurrence/lifted-recurrence.ts";
import { checkCall, givenGradients } from "../recurrence/check-call.ts";
import {
  printRecurrence,
  type RecurrenceComposition,
  type RecurrenceInputs,
  type RuleCall,
  type RuleGradients,
} from "../recurrence/index.ts";
import { narrowState } from "../recurrence/rule.ts";
import { type Operation, type Tensors } from "./operation.ts";
import { onlyWanted, tensorOperation } from "./tensor-operation.ts";

/** How a recurrence of a tape is computed. */
export interface RecurrenceOperationOptions {
  /** Fused kernels that compute it; the f64 reference when absent. */
  readonly engine?: WasmEngine | undefined;
}

/**
 * A recurrence for a tape: the inputs of its rule and every parameter under their names, `state` where it does not begin
 * empty; outputs `out` [B, H, N, E] and the last `state`.
 *
 * @param composition - a complete recurrence, in order of time
 * @param options - see {@link RecurrenceOperationOptions}
 * @throws UnsupportedError `recurrence-engine` for chunks that an engine does not have
 * @example
 * ```ts
 * import { parseRecurrence } from "qklab";
 * import { recurrenceOperation } from "qklab/jax";
 * recurrenceOperation(parseRecurrence("deltanet")).name; // "deltanet"
 * ```
 */
export function recurrenceOperation(
  composition: RecurrenceComposition,
  options: RecurrenceOperationOptions = {},
): Operation<string, "out" | "state"> {
  const { rule } = composition;
  const engine = composition.whole ? undefined : options.engine;
  if (engine !== undefined) requireOnEngine(rule);
  const form = rule.chunk === undefined ? "recurrent" : { chunk: rule.chunk };
  const callOf = (tensors: Tensors): RuleCall => checkCall(composition, namedInputs(composition, tensors));
  return tensorOperation(printRecurrence(composition), {
    forward(tensors, wanted): { outputs: Tensors<"out" | "state">; state?: LiftedSaved } {
      const call = callOf(tensors);
      if (engine === undefined) {
        const { out, state } = rule.forward(call, form);
        return { outputs: { out: narrow(out), state: narrowState(rule, state) } };
      }
      const { out, state, saved } = liftedForward(engine, rule, call, wanted.size > 0);
      const outputs = { out, state: narrowState(rule, state) };
      return saved === undefined ? { outputs } : { outputs, state: saved };
    },
    backward(tensors, { out, state }, wanted, saved) {
      const cotangents = {
        ...(out === undefined ? {} : { out }),
        ...(state === undefined ? {} : { state }),
      };
      const given = (gradients: RuleGradients): Tensors =>
        wantedOf(givenGradients(composition, gradients, 0), wanted);
      if (engine !== undefined) return given(liftedBackward(engine, saved!, cotangents));
      const call = callOf(tensors);
      const { batch, heads, queries, valueWidth } = call.sizes;
      const wide = ({ data, shape }: Tensor) => ({ data: Float64Array.from(data), shape });
      const shape = [batch, heads, queries, valueWidth];
      const size = shape.reduce((product, extent) => product * extent, 1);
      return given(
        rule.backward(call, {
          out: out === undefined ? { data: new Float64Array(size), shape } : wide(out),
          ...(state === undefined ? {} : { state: wide(state) }),
        }),
      );
    },
  });
}

function wantedOf({ inputs, parameters }: RuleGradients, wanted: ReadonlySet<string>): Tensors {
  const named = Object.entries({ ...inputs, ...parameters }).map(([name, gradient]) => [
    name,
    wanted.has(name) ? narrow(gradient) : undefined,
  ]);
  return onlyWanted(Object.fromEntries(named) as Record<string, Tensor | undefined>, wanted);
}

function namedInputs({ rule }: RecurrenceComposition, tensors: Tensors): RecurrenceInputs<Tensor> {
  const names = new Set(rule.parameters.map(({ name }) => name));
  const entries = Object.entries(tensors);
  const parameters = entries.filter(([name]) => names.has(name));
  const inputs = entries.filter(([name]) => !names.has(name));
  return {
    ...(Object.fromEntries(inputs) as unknown as RecurrenceInputs<Tensor>),
    parameters: Object.fromEntries(parameters),
  };
}
