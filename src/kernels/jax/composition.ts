/**
 * @file Any attention of the algebra as one pure jax-js function, and its pullback: for training by automatic
 * differentiation, and the measure of fused kernels.
 */
import { lax, type numpy as np, type OwnedFunction, tree, vjp } from "@jax-js/jax";
import { type Composition, type ExtraOutput } from "../../attention/index.ts";
import { type PairLimits } from "./allowed-pairs.ts";
import { zeroOf } from "./array-tools.ts";
import {
  type ComposedInputs,
  type ComposedOutputs,
  type DifferentiableInputs,
  evaluation,
  type KnownValues,
} from "./evaluation.ts";

/** What is decided when the function is made. */
export interface ComposedOptions {
  /** The place of the first query (default 0). */
  readonly offset?: number;
  /** What to return beside `out`; `lse` exists under softmax only. */
  readonly extras?: readonly ExtraOutput[];
  /** Whether the function will be differentiated (default true). Without, the same numbers at less cost. */
  readonly gradient?: boolean;
  /** The smallest square under a root (default `guards.f32`). */
  readonly guard?: number;
}

/**
 * An attention as a jax-js function. It is meant for `jit`, which also frees its intermediate arrays: patterns and tables
 * of positions become constants of the compiled function, and sizes come from the shapes of its inputs.
 *
 * @param composition - a complete attention; a position that belongs to token embeddings has no part in it
 * @param options - see {@link ComposedOptions}
 * @returns a function of named arrays
 * @throws UnsupportedError `jax-…` when it is called, for parts that are not written for jax-js; ShapeError for inputs that
 *   do not fit
 * @example
 * ```ts
 * import { causal, compose, l2 } from "qklab";
 * import { composedAttention, startJax } from "qklab/jax";
 * import { jit, numpy as np } from "@jax-js/jax";
 * await startJax();
 * const attend = jit(composedAttention(compose({ similarity: l2(), pattern: causal() })));
 * const x = np.ones([1, 2, 8, 4]);
 * const { out } = attend({ q: x.ref, k: x.ref, v: x, parameters: { beta: np.array([0.5, 1]) } });
 * out.shape; // [1, 2, 8, 4]
 * ```
 */
export function composedAttention(
  composition: Composition,
  options: ComposedOptions = {},
): (inputs: ComposedInputs) => ComposedOutputs {
  const { gradient = true, ...rest } = options;
  return (inputs) => {
    const decided = { ...rest, isDifferentiated: gradient };
    if (!gradient) return evaluation(composition, inputs, decided).outputs();
    const { mask, keyLengths, ...variables } = inputs;
    const fixed = tree.map(lax.stopGradient, tree.ref(variables as never)) as DifferentiableInputs;
    const limits = {
      ...(mask === undefined ? {} : { mask }),
      ...(keyLengths === undefined ? {} : { keyLengths }),
    };
    const { outputs: outputsOf, tangent } = evaluation(composition, { ...fixed, ...limits }, decided);
    const outputs = outputsOf();
    const changes = tangent(tree.map(zeroOf, variables as never));
    const names = Object.keys(outputs) as (keyof ComposedOutputs)[];
    return Object.fromEntries(
      names.map((name) => [name, outputs[name]!.add(changes[name]!)]),
    ) as unknown as ComposedOutputs;
  };
}

/** Weights are kept for the pullback up to this many numbers (16 MiB); above, it computes them again. */
const mostKeptWeights = 2 ** 22;

/**
 * The output of an attention, with what its pullback can use again; for `jit` as well.
 *
 * @param composition - a complete attention
 */
export function attentionForward(
  composition: Composition,
  options: Pick<ComposedOptions, "offset" | "guard"> = {},
): (inputs: ComposedInputs) => KnownValues {
  const { normaliser } = composition;
  const weighs = normaliser.name !== "none" || normaliser.nonNegative;
  return (inputs) => {
    const { weights, ...known } = evaluation(composition, inputs, {
      ...options,
      isDifferentiated: false,
    }).known();
    return weighs && weights.size <= mostKeptWeights ? { ...known, weights } : known;
  };
}

/** What a pullback reads. */
export interface PullbackInputs {
  /** The inputs to differentiate by. */
  readonly wanted: Partial<DifferentiableInputs>;
  /** All other inputs. */
  readonly others: Partial<DifferentiableInputs> & PairLimits;
  /** The gradient of `out`. */
  readonly dOut: np.Array;
  /** What the forward call found, where it is still there: less to compute. */
  readonly known?: KnownValues;
}

/**
 * The gradients of Σ out·dOut by the wanted inputs, as a jax-js function; for `jit` as well.
 *
 * @param composition - a complete attention
 */
export function attentionPullback(
  composition: Composition,
  options: Pick<ComposedOptions, "offset" | "guard"> = {},
): (inputs: PullbackInputs) => Partial<DifferentiableInputs> {
  return ({ wanted, others, dOut, known }) => {
    const parameters = { ...others.parameters, ...wanted.parameters };
    const inputs = { ...others, ...wanted, parameters } as ComposedInputs;
    const { tangent } = evaluation(composition, inputs, { ...options, isDifferentiated: true }, known);
    const outOf = (changes: Partial<DifferentiableInputs>): np.Array => tangent(changes).out;
    // The map is linear: where it is transposed does not matter, and its own values are never computed.
    const [value, pull] = vjp(outOf as never, [tree.ref(wanted as never)] as never) as unknown as [
      np.Array,
      OwnedFunction<(dOut: np.Array) => [Partial<DifferentiableInputs>]>,
    ];
    value.dispose();
    const [gradients] = pull(dOut);
    pull.dispose();
    return gradients;
  };
}
