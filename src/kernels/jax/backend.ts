/** @file jax-js as a backend of `attention()`: tensors in, tensors out, compiled once per attention and shape. */
import { jit, numpy as np, type OwnedFunction } from "@jax-js/jax";
import {
  type AttentionBackend,
  type AttentionGradients,
  type AttentionInputs,
  type AttentionResult,
  checkInputs,
  type Composition,
  type ExtraOutput,
  resolveParameters,
} from "../../attention/index.ts";
import { type MaskedCall, maskedCall } from "../../attention/chosen-pairs.ts";
import { narrow, type Tensor } from "../../base/tensor.ts";
import { type PairLimits } from "./allowed-pairs.ts";
import { maskArray } from "./choice-mask.ts";
import { compiledCache } from "./compiled-cache.ts";
import { attentionPullback, composedAttention, type PullbackInputs } from "./composition.ts";
import { type DifferentiableInputs } from "./evaluation.ts";
import { startJax } from "./start.ts";
import { arrayOf, tensorsOf } from "./tensors.ts";

type Compiled = OwnedFunction<(inputs: never) => Record<string, np.Array>>;

/** How many compiled functions stay: those of a few attentions at a few shapes, forward and backward. */
const capacity = 64;
const compiled = compiledCache<Compiled>(capacity);

/**
 * The composition on jax-js: one thread or several of WebAssembly, float32.
 *
 * @example
 * ```ts
 * import { attention, causal, l1, tensor } from "qklab";
 * import { jaxBackend } from "qklab/jax";
 * const attend = attention({ similarity: l1(), pattern: causal() }, { backend: jaxBackend });
 * const x = tensor([1, 0, 0, 1], [1, 1, 2, 2]);
 * const { out } = await attend(x, x, x);
 * ```
 */
export const jaxBackend: AttentionBackend = {
  name: "jax",
  async forward(given, givenInputs, extras) {
    await startJax();
    const { composition, inputs } = withoutChoice(given, givenInputs);
    const { offset = 0 } = inputs;
    const wanted = extras.filter((extra) => extra !== "lse" || composition.normaliser.name === "softmax");
    const attend = compile("forward", composition, inputs, wanted, () =>
      composedAttention(composition, { offset, extras: wanted, gradient: false }),
    );
    const { variables, limits } = toArrays(composition, inputs);
    return (await tensorsOf(attend({ ...variables, ...limits } as never))) as unknown as AttentionResult;
  },
  async backward(given, givenInputs, _result, dOut) {
    await startJax();
    const { composition, inputs } = withoutChoice(given, givenInputs);
    const { offset = 0 } = inputs;
    const pullback = compile("backward", composition, inputs, [], () =>
      attentionPullback(composition, { offset }),
    );
    const { variables, limits } = toArrays(composition, inputs);
    const arrays: PullbackInputs = { wanted: variables, others: limits, dOut: arrayOf(dOut) };
    const { parameters, ...gradients } = pullback(arrays as never) as unknown as DifferentiableInputs;
    const { q, k, v, bias } = await tensorsOf(gradients);
    const result: AttentionGradients = {
      dq: q,
      dk: k,
      dv: v,
      ...(bias === undefined ? {} : { dBias: bias }),
      dParameters: await tensorsOf(parameters),
    };
    return result;
  },
};

/** Pairs that a selection chooses by the vectors are found outside of the compiled function, which reads them as a mask. */
function withoutChoice(composition: Composition, inputs: AttentionInputs<Tensor>): MaskedCall {
  return maskedCall(composition, inputs, checkInputs(inputs));
}

/** A function compiled for this attention and these shapes: the cache frees what it drops, shape by shape. */
function compile(
  direction: "forward" | "backward",
  composition: Composition,
  { offset = 0, keyLengths, q, k, v, mask, bias }: AttentionInputs<Tensor>,
  extras: readonly ExtraOutput[],
  make: () => unknown,
): Compiled {
  const shapes = [q, k, v, mask, bias].map((tensor) => tensor?.shape);
  const key = [direction, identity(composition), offset, keyLengths === undefined, extras, shapes];
  return compiled.get(JSON.stringify(key), () => jit(make() as never) as unknown as Compiled);
}

const identities = new WeakMap<Composition, number>();
let nextIdentity = 0;

/** A number per composition object: two similarities may share a name and differ in their formula. */
function identity(composition: Composition): number {
  const known = identities.get(composition) ?? nextIdentity++;
  identities.set(composition, known);
  return known;
}

function toArrays(
  composition: Composition,
  { q, k, v, bias, mask, keyLengths, parameters }: AttentionInputs<Tensor>,
): { readonly variables: DifferentiableInputs; readonly limits: PairLimits } {
  const values = resolveParameters(composition, { heads: q.shape[1], width: q.shape[3] }, parameters);
  return {
    variables: {
      q: arrayOf(q),
      k: arrayOf(k),
      v: arrayOf(v),
      ...(bias === undefined ? {} : { bias: arrayOf(bias) }),
      parameters: Object.fromEntries(
        Object.entries(values).map(([name, value]) => [name, arrayOf(narrow(value))]),
      ),
    },
    limits: {
      ...(mask === undefined ? {} : { mask: maskArray(mask) }),
      ...(keyLengths === undefined ? {} : { keyLengths: np.array(Int32Array.from(keyLengths)) }),
    },
  };
}
