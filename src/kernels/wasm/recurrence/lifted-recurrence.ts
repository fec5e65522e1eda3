/**
 * @file Rules of the recurrent class on an engine: a call is lifted into the core's terms in f64, the core runs on the fused
 * kernels, and gradients are turned back in f64.
 */
import { UnsupportedError } from "../../../base/errors.ts";
import { narrow, type Tensor, type Tensor64, widen, zeros64 } from "../../../base/tensor.ts";
import {
  type CoreGradients,
  type CoreInputs,
  type Lifted,
  type RecurrentRule,
  type RuleCall,
  type RuleGradients,
} from "../../../recurrence/index.ts";
import { type CoreForms, wholeBackward, wholeForward } from "../../../recurrence/whole-form.ts";
import { type WasmEngine } from "../engine/engine.ts";
import { chunkTokens } from "./spec.ts";
import { fusedRecurrence, fusedRecurrenceBackward, type RecurrenceSaved } from "./fused-recurrence.ts";

/** What a forward call knows that its backward call would compute again. */
export interface LiftedSaved {
  readonly lifted: Lifted;
  readonly inputs: CoreInputs<Tensor>;
  readonly saved: RecurrenceSaved;
  /** The core's last state, which is not always the one that callers see. */
  readonly last: Tensor64;
  readonly outShape: readonly number[];
}

/** What a rule computes on an engine. */
export interface LiftedResult {
  /** [B, H, N, E] */
  readonly out: Tensor;
  /** The state that callers see. */
  readonly state: Tensor64;
  /** Where asked for. */
  readonly saved?: LiftedSaved;
}

/**
 * A rule in order of time on the fused kernels.
 *
 * @param saves - whether backward will be called
 * @throws UnsupportedError `recurrence-engine` for rules that are not the core's
 */
export function liftedForward(
  engine: WasmEngine,
  rule: RecurrentRule,
  call: RuleCall,
  saves: boolean,
): LiftedResult {
  const lifted = liftOf(rule, call);
  const inputs = mapInputs(lifted.inputs, narrow);
  const { out, state, saved } = fusedRecurrence(engine, lifted.core, inputs, { saves });
  const last = widen(state);
  return {
    out,
    state: lifted.close?.(last) ?? last,
    ...(saved === undefined ? {} : { saved: { lifted, inputs, saved, last, outShape: out.shape } }),
  };
}

/**
 * Gradients by the rule's inputs and parameters.
 *
 * @param cotangents - of the outputs and of the state that callers see; one at least
 */
export function liftedBackward(
  engine: WasmEngine,
  { lifted, inputs, saved, last, outShape }: LiftedSaved,
  cotangents: { readonly out?: Tensor; readonly state?: Tensor },
): RuleGradients {
  const { core, open, pullBack } = lifted;
  const dState = cotangents.state === undefined ? undefined : widen(cotangents.state);
  const out = cotangents.out ?? narrow(zeros64(outShape));
  const ofCore = fusedRecurrenceBackward(
    engine,
    core,
    inputs,
    { out, ...(dState === undefined ? {} : { state: narrow(open?.(dState) ?? dState) }) },
    saved,
  );
  const gradients = mapInputs(ofCore, widen) as CoreGradients;
  return pullBack(gradients, dState === undefined ? undefined : { last, dState });
}

/**
 * Refuses what the kernels do not compute.
 *
 * @throws UnsupportedError `recurrence-engine`
 */
export function requireOnEngine(rule: RecurrentRule): void {
  const { name, chunk } = rule;
  if (chunk !== undefined && chunk !== chunkTokens) {
    throw new UnsupportedError(
      "recurrence-engine",
      `Cannot compute '${name}' on the fused kernels as their chunks have ${chunkTokens} tokens: chunk is ${chunk}. ` +
        "Leave chunk out, or use the reference",
    );
  }
  if (rule.lift !== undefined) return;
  throw new UnsupportedError(
    "recurrence-engine",
    `Cannot compute '${name}' on the fused kernels as they know states of matrices, and not of channels: the rule is '${name}'. ` +
      "Use the reference",
  );
}

/** The call in the core's terms. */
function liftOf(rule: RecurrentRule, call: RuleCall): Lifted {
  requireOnEngine(rule);
  return rule.lift!(call);
}

/** A rule of which every query sees all tokens, by the core twice. */
export function wholeOnEngine(
  engine: WasmEngine,
  rule: RecurrentRule,
  call: RuleCall,
): Omit<LiftedResult, "saved"> {
  const { core, inputs, close } = liftOf(rule, call);
  const { out, state } = wholeForward(core, inputs, coreOn(engine));
  return { out: narrow(out), state: close?.(state) ?? state };
}

/** Its gradients, as {@link liftedBackward} gives those in order of time. */
export function wholeBackwardOnEngine(
  engine: WasmEngine,
  rule: RecurrentRule,
  call: RuleCall,
  { out, state }: { readonly out: Tensor; readonly state?: Tensor },
): RuleGradients {
  const { core, inputs, open, pullBack } = liftOf(rule, call);
  const forms = coreOn(engine);
  const dState = state === undefined ? undefined : widen(state);
  const gradients = wholeBackward(
    core,
    inputs,
    { out: widen(out), ...(dState === undefined ? {} : { state: open?.(dState) ?? dState }) },
    forms,
  );
  if (dState === undefined) return pullBack(gradients, undefined);
  return pullBack(gradients, { last: wholeForward(core, inputs, forms).state, dState });
}

/** The core on an engine, with the surface of the f64 reference. */
function coreOn(engine: WasmEngine): CoreForms {
  return {
    forward(core, inputs) {
      const { out, state } = fusedRecurrence(engine, core, mapInputs(inputs, narrow));
      return { out: widen(out), state: widen(state) };
    },
    backward(core, inputs, { out, state }) {
      const cotangents = { out: narrow(out), ...(state === undefined ? {} : { state: narrow(state) }) };
      const gradients = fusedRecurrenceBackward(engine, core, mapInputs(inputs, narrow), cotangents);
      return mapInputs(gradients, widen) as CoreGradients;
    },
  };
}

/** Inputs of the core, each changed. */
function mapInputs<From, To>(inputs: CoreInputs<From>, change: (tensor: From) => To): CoreInputs<To> {
  const entries = Object.entries(inputs as unknown as Readonly<Record<string, From>>);
  return Object.fromEntries(
    entries.map(([name, tensor]) => [name, change(tensor)]),
  ) as unknown as CoreInputs<To>;
}
