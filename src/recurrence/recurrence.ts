/** @file The public recurrence: a rule of the recurrent class, bound to a backend, called on tensors. */
import { ShapeError } from "../base/errors.ts";
import { requireFinite, type Tensor } from "../base/tensor.ts";
import {
  type RecurrenceBackend,
  type RecurrenceGradients,
  type RecurrenceResult,
  recurrentReference,
} from "./backend.ts";
import { checkCall, type RecurrenceInputs } from "./check-call.ts";
import {
  composeRecurrence,
  printRecurrence,
  type RecurrenceComposition,
  type RecurrenceSpec,
} from "./composition.ts";
import { requireShape } from "./core.ts";
import { type RuleCall } from "./rule.ts";

/** The inputs of a call. */
export interface RecurrenceCall extends RecurrenceInputs<Tensor> {
  /** Whether k and v may have fewer heads than q (default false, as in PyTorch). */
  readonly enableGqa?: boolean;
  /** The place of the first token: how many came before it (default 0). Only a rope reads it. */
  readonly offset?: number;
}

/** Inputs of a backward call: those of the forward call, and the gradients of what it returned. */
export interface RecurrenceBackwardCall extends RecurrenceCall {
  /** Gradient of out, [B, H, N, E]. */
  readonly dOut: Tensor;
  /** Gradient of the last state; zeros when absent. */
  readonly dState?: Tensor;
}

/** A recurrence, ready to be called. */
export interface Recurrence {
  /** q [B, H, N, D], k [B, G, N, D], v [B, G, N, E] and what else the rule takes → out [B, H, N, E] and the last state. */
  (call: RecurrenceCall): Promise<RecurrenceResult>;
  /** The same for one token, N = 1: constant memory, the state in and out. */
  step(call: RecurrenceCall): Promise<RecurrenceResult>;
  /** Gradients of Σ out·dOut + Σ state·dState by every input given and every parameter. */
  backward(call: RecurrenceBackwardCall): Promise<RecurrenceGradients>;
  readonly composition: RecurrenceComposition;
  /** The recurrence as a string; `parseRecurrence` reads it. */
  readonly selector: string;
}

/**
 * Makes a recurrence from a rule: attention whose comparison factorises into a running state M, so that a token costs
 * the same wherever it stands.
 *
 * @param spec - the rule, `rope()` to turn queries and keys by their places, and `full()` where every query is to see all tokens (linear and performer)
 * @param options - `backend`: what computes it (default the f64 reference)
 * @returns a function on named tensors of layout [B, H, N, D], with `step` and `backward`
 * @throws UnsupportedError `clash-…` when parts do not fit together; the calls throw ShapeError, DomainError and
 *   NumbersError when inputs do not fit
 * @example
 * ```ts
 * import { gla, recurrence, tensor } from "qklab";
 * const attend = recurrence({ rule: gla() });
 * const [q, k, v] = [1, 2, 3].map((x) => tensor([x, 0, 1, x], [1, 1, 2, 2])); // [B, H, N, D]
 * const decay = tensor([0.9, 0.8, 0.7, 0.6], [1, 1, 2, 2]);
 * const { out, state } = await attend({ q, k, v, decay });
 * const { dq, dDecay } = await attend.backward({ q, k, v, decay, dOut: out });
 * ```
 */
export function recurrence(
  spec: RecurrenceSpec,
  options: { readonly backend?: RecurrenceBackend } = {},
): Recurrence {
  const composition = composeRecurrence(spec);
  const { backend = recurrentReference } = options;

  const check = ({ enableGqa = false, offset, ...inputs }: RecurrenceCall, decoding = false): RuleCall => {
    const { rule } = composition;
    // A step is one token, whatever the chunk of longer calls.
    const checked = checkCall(
      decoding ? { ...composition, rule: { ...rule, chunk: undefined } } : composition,
      inputs,
      offset,
    );
    requireGqaAllowed(checked, enableGqa);
    return checked;
  };
  const run = async (bound: RecurrenceComposition, call: RuleCall): Promise<RecurrenceResult> => {
    const result = await backend.forward(bound, call);
    requireFinite("the output of the recurrence", result.out);
    requireFinite("the state of the recurrence", result.state);
    return result;
  };

  const recur = async (call: RecurrenceCall): Promise<RecurrenceResult> => run(composition, check(call));

  const step = async (call: RecurrenceCall): Promise<RecurrenceResult> => {
    const checked = check(call, true);
    if (checked.sizes.tokens !== 1) {
      throw new ShapeError(
        "step-length",
        `Cannot step as a step is one token: ${checked.sizes.tokens} were given. Pass N = 1, or call the recurrence itself`,
      );
    }
    return run({ ...composition, rule: { ...composition.rule, chunk: undefined } }, checked);
  };

  const backward = async (call: RecurrenceBackwardCall): Promise<RecurrenceGradients> => {
    const { dOut, dState, ...inputs } = call;
    const checked = check(inputs);
    const { batch, heads, queries, valueWidth } = checked.sizes;
    requireShape("dOut", dOut.shape, [batch, heads, queries, valueWidth]);
    requireFinite("dOut", dOut);
    if (dState !== undefined) {
      requireShape("dState", dState.shape, composition.rule.stateShape(checked.sizes));
      requireFinite("dState", dState);
    }
    const gradients = await backend.backward(composition, checked, {
      dOut,
      ...(dState === undefined ? {} : { dState }),
    });
    const { dParameters, ...ofInputs } = gradients;
    for (const [name, gradient] of Object.entries(ofInputs)) requireFinite(name, gradient);
    for (const [name, gradient] of Object.entries(dParameters)) {
      requireFinite(`the gradient of '${name}'`, gradient);
    }
    return gradients;
  };

  return Object.assign(recur, { step, backward, composition, selector: printRecurrence(composition) });
}

function requireGqaAllowed({ sizes: { heads, keyHeads } }: RuleCall, enableGqa: boolean): void {
  if (heads === keyHeads || enableGqa) return;
  throw new ShapeError(
    "gqa",
    `Cannot recur as k and v must have as many heads as q: ${keyHeads} and ${heads}. Pass enableGqa: true to share keys ` +
      "among groups of query heads",
  );
}
