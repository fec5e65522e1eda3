/** @file What computes a recurrence: the f64 reference here; kernels are others. */
import { narrow, type Tensor, type Tensor64, zeros64 } from "../base/tensor.ts";
import { requireShape } from "./core.ts";
import { checkCall, givenGradients, type RecurrenceInputs } from "./check-call.ts";
import { type RecurrenceComposition } from "./composition.ts";
import { type CoreResult, type Form } from "./core-reference.ts";
import { type InputName, narrowState, type RuleCall, type RuleGradients } from "./rule.ts";

/** The result of a call. */
export interface RecurrenceResult<T = Tensor> {
  /** [B, H, N, E] */
  readonly out: T;
  /** The state after the last token; its shape is the rule's. */
  readonly state: T;
}

/** The name of an input's gradient: dq for q, dDecay for decay. */
export type GradientName = "dq" | "dk" | "dv" | `d${Capitalize<Exclude<InputName, "q" | "k" | "v">>}`;

/** Gradients of a call, each of the shape of its input; those of inputs that were given. */
export type RecurrenceGradients<T = Tensor> = Partial<Record<GradientName, T>> & {
  readonly dParameters: Readonly<Record<string, T>>;
};

/** Computes recurrences. Calls are checked before they come here. */
export interface RecurrenceBackend {
  readonly name: string;
  forward(composition: RecurrenceComposition, call: RuleCall): Promise<RecurrenceResult>;
  backward(
    composition: RecurrenceComposition,
    call: RuleCall,
    cotangents: { readonly dOut: Tensor; readonly dState?: Tensor },
  ): Promise<RecurrenceGradients>;
}

/** The name of an input's gradient. */
export function gradientName(name: InputName): GradientName {
  const written = name.length === 1 && "qkv".includes(name) ? name : name[0].toUpperCase() + name.slice(1);
  return `d${written}` as GradientName;
}

/** Gradients under their names. */
export function namedGradients({ inputs, parameters }: RuleGradients): RecurrenceGradients<Tensor64> {
  const named = Object.entries(inputs).map(([name, gradient]) => [gradientName(name as InputName), gradient]);
  return { ...(Object.fromEntries(named) as object), dParameters: parameters };
}

/**
 * Outputs and last state in f64.
 *
 * @param composition - of `composeRecurrence` or `parseRecurrence`
 * @param inputs - named tensors, those that the rule takes
 * @param form - the default is chunks where the rule names their length, else token by token
 * @param offset - the place of the first token (default 0); only a rope reads it
 * @throws ShapeError, DomainError or NumbersError when inputs do not fit
 */
export function recurrenceForward(
  composition: RecurrenceComposition,
  inputs: RecurrenceInputs,
  form: Form = formOf(composition),
  offset?: number,
): RecurrenceResult<Tensor64> {
  return composition.rule.forward(checkCall(composition, inputs, offset), form);
}

/**
 * Gradients of Σ out·dOut + Σ state·dState in f64.
 *
 * @param offset - as of {@link recurrenceForward}
 * @throws ShapeError, DomainError or NumbersError when inputs do not fit
 */
export function recurrenceBackward(
  composition: RecurrenceComposition,
  inputs: RecurrenceInputs,
  cotangents: { readonly dOut: Tensor | Tensor64; readonly dState?: Tensor | Tensor64 },
  offset?: number,
): RecurrenceGradients<Tensor64> {
  return backwardOf(composition, checkCall(composition, inputs, offset), cotangents);
}

function backwardOf(
  composition: RecurrenceComposition,
  call: RuleCall,
  { dOut, dState }: { readonly dOut: Tensor | Tensor64; readonly dState?: Tensor | Tensor64 },
): RecurrenceGradients<Tensor64> {
  const { rule } = composition;
  const { batch, heads, queries, valueWidth } = call.sizes;
  requireShape("dOut", dOut.shape, [batch, heads, queries, valueWidth]);
  if (dState !== undefined) requireShape("dState", dState.shape, rule.stateShape(call.sizes));
  const wide = ({ data, shape }: Tensor | Tensor64): Tensor64 => {
    const copy = zeros64(shape);
    copy.data.set(data);
    return copy;
  };
  const cotangents = { out: wide(dOut), ...(dState === undefined ? {} : { state: wide(dState) }) };
  return namedGradients(givenGradients(composition, rule.backward(call, cotangents), call.offset));
}

function formOf({ rule }: RecurrenceComposition): Form {
  return rule.chunk === undefined ? "recurrent" : { chunk: rule.chunk };
}

/** The f64 reference, rounded to f32 at its surface. */
export const recurrentReference: RecurrenceBackend = {
  name: "reference",
  async forward(composition, call) {
    const { out, state }: CoreResult = composition.rule.forward(call, formOf(composition));
    return { out: narrow(out), state: narrowState(composition.rule, state) };
  },
  async backward(composition, call, cotangents) {
    const { dParameters, ...ofInputs } = backwardOf(composition, call, cotangents);
    return { ...narrowAll(ofInputs), dParameters: narrowAll(dParameters) };
  },
};

function narrowAll(tensors: Readonly<Record<string, Tensor64>>): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, narrow(tensor)]));
}
