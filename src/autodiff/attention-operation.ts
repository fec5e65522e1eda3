/** @file Attention as an operation of a tape. Models know only this, so that a fused kernel can take the composition's place. */
import { jit, type numpy as np, type OwnedFunction, tree } from "@jax-js/jax";
import { type Composition, parametersOf, printSelector } from "../attention/index.ts";
import { openComposition } from "../attention/chosen-pairs.ts";
import { choiceMask } from "../kernels/jax/choice-mask.ts";
import {
  attentionForward,
  attentionPullback,
  type ComposedInputs,
  type DifferentiableInputs,
  type KnownValues,
  type PullbackInputs,
} from "../kernels/jax/index.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { fusedAttentionOperation } from "./fused-attention-operation.ts";
import { type Arrays, type Operation } from "./operation.ts";

/** How an attention of a tape is computed. */
export interface AttentionOperationOptions {
  /** The place of the first query (default 0). */
  readonly offset?: number;
  /** Fused kernels that compute it; the composition of jax-js operations when absent. */
  readonly engine?: WasmEngine | undefined;
}

/**
 * An attention for a tape: inputs `q` [B, H, Q, D], `k` [B, G, S, D], `v` [B, G, S, E], every parameter of
 * `parametersOf(composition)` under its name, and, where wanted, `bias`, `mask` (bool) and `keyLengths` (int32, [B]);
 * output `out` [B, H, Q, E]. On jax-js it is compiled once for every set of shapes, on an engine once for every pair of widths.
 *
 * @param composition - a complete attention
 * @param options - see {@link AttentionOperationOptions}
 * @example
 * ```ts
 * import { causal, compose, dot } from "qklab";
 * import { attentionOperation } from "qklab/jax";
 * const attend = attentionOperation(compose({ similarity: dot(), pattern: causal() }));
 * attend.name; // "dot+causal"
 * ```
 */
export function attentionOperation(
  composition: Composition,
  options: AttentionOperationOptions = {},
): Operation<string, "out"> {
  const { offset = 0, engine } = options;
  if (engine !== undefined) return fusedAttentionOperation(composition, engine, offset);
  if (composition.selection.choose === undefined) return composedOperation(composition, offset);
  return choosingOperation(composition, offset);
}

/** Pairs are chosen outside of the compiled functions, which read them as a mask; backward reads those of forward. */
function choosingOperation(composition: Composition, offset: number): Operation<string, "out"> {
  const open = composedOperation(openComposition(composition), offset);
  return {
    name: printSelector(composition),
    async forward(inputs, wanted) {
      const choice = (await choiceMask(composition, inputs, offset))!;
      const { outputs, saved } = await open.forward({ ...inputs, mask: choice }, wanted);
      if (saved !== undefined) return { outputs, saved: { ...saved, choice } };
      choice.dispose();
      return { outputs };
    },
    backward(inputs, saved, gradients, wanted) {
      const { choice, ...others } = saved!;
      return open.backward({ ...inputs, mask: choice }, others, gradients, wanted);
    },
    dispose: () => open.dispose(),
  };
}

function composedOperation(composition: Composition, offset: number): Operation<string, "out"> {
  const names = new Set(parametersOf(composition).map(({ name }) => name));
  const forward = jit(attentionForward(composition, { offset }) as never) as unknown as OwnedFunction<
    (inputs: ComposedInputs) => KnownValues
  >;
  // One function for all sets of wanted inputs: they are part of its inputs' structure.
  const pullback = jit(attentionPullback(composition, { offset }) as never) as unknown as OwnedFunction<
    (inputs: PullbackInputs) => Partial<DifferentiableInputs>
  >;
  return {
    name: printSelector(composition),
    forward(inputs, wanted) {
      const { out, weights, statistics } = forward(grouped(inputs, names, () => true) as ComposedInputs);
      const others = { ...statistics, ...(weights === undefined ? {} : { weights }) };
      if (wanted.size > 0) return { outputs: { out }, saved: { out: out.ref, ...others } };
      tree.dispose(others);
      return { outputs: { out } };
    },
    backward(inputs, saved, { out }, wanted) {
      const { parameters, ...gradients } = pullback({
        wanted: grouped(inputs, names, (name) => wanted.has(name)),
        others: grouped(inputs, names, (name) => !wanted.has(name)),
        dOut: out!.ref,
        known: knownFrom(saved!),
      });
      return { ...gradients, ...parameters };
    },
    dispose() {
      forward.dispose();
      pullback.dispose();
    },
  };
}

/** Inputs with one more reference each, parameters under `parameters`. */
function grouped(
  inputs: Arrays,
  parameterNames: ReadonlySet<string>,
  isChosen: (name: string) => boolean,
): Partial<ComposedInputs> & { readonly parameters: Readonly<Record<string, np.Array>> } {
  const chosen = Object.entries(inputs).filter(([name]) => isChosen(name));
  const pick = (isParameter: boolean): Record<string, np.Array> =>
    Object.fromEntries(
      chosen
        .filter(([name]) => parameterNames.has(name) === isParameter)
        .map(([name, array]) => [name, array.ref]),
    );
  return { ...pick(false), parameters: pick(true) };
}

function knownFrom({ out, weights, maximum, divisor }: Arrays): KnownValues {
  const hasStatistics = maximum !== undefined && divisor !== undefined;
  return {
    out: out.ref,
    ...(hasStatistics ? { statistics: { maximum: maximum.ref, divisor: divisor.ref } } : {}),
    ...(weights === undefined ? {} : { weights: weights.ref }),
  };
}
