/**
 * @file Rules of the recurrent class on an engine: a call is lifted into the core's terms, the core runs on the fused kernels,
 * and gradients are turned back.
 */
import { UnsupportedError } from "../../../base/errors.ts";
import { narrow, type Tensor, type Tensor64, widen, zeros64 } from "../../../base/tensor.ts";
import {
  type LiftedChannels,
  type RecurrentRule,
  type RuleCall,
  type RuleGradients,
} from "../../../recurrence/index.ts";
import { type CoreForms, wholeBackward, wholeForward } from "../../../recurrence/whole-form.ts";
import { type WasmEngine } from "../engine/engine.ts";
import { type ChannelsSaved, fusedChannels, fusedChannelsBackward } from "./fused-channels.ts";
import { type EngineLift, liftOnEngine, mapInputs } from "./engine-lift.ts";
import { chunkTokens } from "./spec.ts";
import { fusedRecurrence, fusedRecurrenceBackward, type RecurrenceSaved } from "./fused-recurrence.ts";

/** What a forward call knows that its backward call would compute again. */
export type LiftedSaved = MatrixSaved | ChannelRuleSaved;

interface MatrixSaved {
  readonly kind: "matrix";
  readonly lifted: EngineLift;
  readonly saved: RecurrenceSaved;
  /** The core's last state, which is not always the one that callers see. */
  readonly last: Tensor64;
  readonly outShape: readonly number[];
}

interface ChannelRuleSaved {
  readonly kind: "channels";
  readonly lifted: LiftedChannels;
  readonly saved: ChannelsSaved;
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
 * @throws UnsupportedError `recurrence-engine` for rules that are neither the core's nor of channels
 */
export function liftedForward(
  engine: WasmEngine,
  rule: RecurrentRule,
  call: RuleCall,
  saves: boolean,
): LiftedResult {
  requireOnEngine(rule);
  if (rule.liftChannels !== undefined) return channelsForward(engine, rule.liftChannels(call), saves);
  const lifted = liftOnEngine(engine, rule, call);
  const { out, state, saved } = fusedRecurrence(engine, lifted.core, lifted.inputs, { saves });
  const last = widen(state);
  return {
    out,
    state: lifted.close?.(last) ?? last,
    ...(saved === undefined ? {} : { saved: { kind: "matrix", lifted, saved, last, outShape: out.shape } }),
  };
}

/**
 * Gradients by the rule's inputs and parameters.
 *
 * @param cotangents - of the outputs and of the state that callers see; one at least
 */
export function liftedBackward(
  engine: WasmEngine,
  known: LiftedSaved,
  cotangents: { readonly out?: Tensor; readonly state?: Tensor },
): RuleGradients {
  if (known.kind === "channels") return channelsBackward(engine, known, cotangents);
  const { lifted, saved, last, outShape } = known;
  const { core, inputs, open, pullBack } = lifted;
  const dState = cotangents.state === undefined ? undefined : widen(cotangents.state);
  const out = cotangents.out ?? narrow(zeros64(outShape));
  const gradients = fusedRecurrenceBackward(
    engine,
    core,
    inputs,
    { out, ...(dState === undefined ? {} : { state: narrow(open?.(dState) ?? dState) }) },
    saved,
  );
  return pullBack(gradients, dState === undefined ? undefined : { last, dState });
}

function channelsForward(engine: WasmEngine, lifted: LiftedChannels, saves: boolean): LiftedResult {
  const { k, v, logDecay, u, state: first } = lifted.inputs;
  const { out, state, saved } = fusedChannels(
    engine,
    {
      k: narrow(k),
      v: narrow(v),
      logDecay: narrow(logDecay),
      u: narrow(u),
      ...(first === undefined ? {} : { state: first }),
    },
    { saves },
  );
  return {
    out,
    state,
    ...(saved === undefined ? {} : { saved: { kind: "channels", lifted, saved, outShape: out.shape } }),
  };
}

function channelsBackward(
  engine: WasmEngine,
  { lifted, saved, outShape }: ChannelRuleSaved,
  { out, state }: { readonly out?: Tensor; readonly state?: Tensor },
): RuleGradients {
  const cotangents = {
    out: out ?? narrow(zeros64(outShape)),
    ...(state === undefined ? {} : { state: widen(state) }),
  };
  return lifted.pullBack(fusedChannelsBackward(engine, saved, cotangents));
}

/** Whether the kernels compute a rule in order of time. */
export const isOnEngine = ({ lift, liftChannels }: RecurrentRule): boolean =>
  lift !== undefined || liftChannels !== undefined;

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
  if (isOnEngine(rule)) return;
  throw new UnsupportedError(
    "recurrence-engine",
    `Cannot compute '${name}' on the fused kernels as they know states of matrices and of channels: '${name}' lifts to neither. ` +
      "Use the reference",
  );
}

/** A call that sees all tokens in the core's terms, which every rule with such a form has. */
function wholeLift(engine: WasmEngine, rule: RecurrentRule, call: RuleCall): EngineLift {
  requireOnEngine(rule);
  return liftOnEngine(engine, rule, call);
}

/** A rule of which every query sees all tokens, by the core twice. */
export function wholeOnEngine(
  engine: WasmEngine,
  rule: RecurrentRule,
  call: RuleCall,
): Omit<LiftedResult, "saved"> {
  const { core, inputs, close } = wholeLift(engine, rule, call);
  const { out, state } = wholeForward(core, mapInputs(inputs, widen), coreOn(engine));
  return { out: narrow(out), state: close?.(state) ?? state };
}

/** Its gradients, as {@link liftedBackward} gives those in order of time. */
export function wholeBackwardOnEngine(
  engine: WasmEngine,
  rule: RecurrentRule,
  call: RuleCall,
  { out, state }: { readonly out: Tensor; readonly state?: Tensor },
): RuleGradients {
  const { core, inputs: narrowed, open, pullBack } = wholeLift(engine, rule, call);
  const inputs = mapInputs(narrowed, widen);
  const forms = coreOn(engine);
  const dState = state === undefined ? undefined : widen(state);
  const ofCore = wholeBackward(
    core,
    inputs,
    { out: widen(out), ...(dState === undefined ? {} : { state: open?.(dState) ?? dState }) },
    forms,
  );
  const gradients = mapInputs(ofCore, narrow);
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
      return mapInputs(gradients, widen);
    },
  };
}
