/**
 * @file A layer's end with experts: what comes after its attention, up to the sum with the residual stream. Its router is an
 * attention of the tokens, as queries of about unit length, over one key an expert.
 */
import { numpy as np } from "@jax-js/jax";
import { type Operation, stage, type Tape, type Value } from "../autodiff/index.ts";
import { routerComposition, type WasmEngine } from "../kernels/wasm/index.ts";
import { valuesOf } from "../nn/attention-parameters.ts";
import { normalWeights, residualDeviation, weightDeviation } from "../nn/initialisation.ts";
import { mixtureOfExperts } from "../nn/moe.ts";
import { pick, type Values } from "./assemble-model.ts";
import { attentionGroup, heldParameters, operationInputs } from "./attention-group.ts";
import { type AttentionLayer } from "./attention-layer.ts";
import { normBlock } from "./decoder-blocks.ts";
import { type ResolvedDecoderConfig } from "./decoder-config.ts";
import { countParameters, type ModelArrays, type ModelParameter } from "./model.ts";
import { type LayerObserver } from "./observe-scores.ts";

/** A layer's end with experts. */
export interface RoutedFeedForward {
  readonly parameters: readonly ModelParameter[];
  /** How many of the parameters a token does not meet. */
  readonly idleParameterCount: number;
  /**
   * On the tape: from the layer's `x` and the outputs of its attention to `x` and `fed`, whose sum is what the layer makes of
   * it, and `balance`, a scalar to add to the loss. What it read is released.
   *
   * @param observe - sees the router first, and may turn its parameters
   */
  run(
    tape: Tape,
    inputs: Values,
    values: Values,
    observe?: LayerObserver,
  ): Promise<Record<"x" | "fed" | "balance", Value>>;
  dispose(): void;
}

/** Makes the end of layer number `layer`; undefined in a decoder without experts. */
export function routedFeedForward(
  config: ResolvedDecoderConfig,
  layer: number,
  attention: AttentionLayer,
  engine: WasmEngine | undefined,
): RoutedFeedForward | undefined {
  const { width, hidden, layers, feedForward, experts } = config;
  if (experts === undefined) return undefined;
  const { count, rule, similarity } = experts;
  const prefix = `model.layers.${layer}.mlp`;
  const norm = normBlock(config, `model.layers.${layer}.post_attention_layernorm`);
  const group = {
    ...attentionGroup(
      { composition: routerComposition(similarity), heads: 1, keyValueHeads: 1 },
      0,
      `${prefix}.router`,
      width,
      engine,
    ),
    routing: rule,
  };
  const weight = (name: string, shape: readonly number[], deviation: number): ModelParameter => ({
    name: `${prefix}.${name}`,
    shape,
    decays: true,
    initial: (seed) => normalWeights(seed, `${prefix}.${name}`, shape, deviation),
  });
  // Expert keys are about as long as the queries that they are compared with.
  const keys = weight("router.weight", [count, width], width ** -0.5);
  const into = weightDeviation(width);
  const weights = {
    ...(feedForward === "swiglu"
      ? { gate: weight("experts.gate_proj.weight", [count, hidden, width], into) }
      : {}),
    up: weight("experts.up_proj.weight", [count, hidden, width], into),
    down: weight("experts.down_proj.weight", [count, width, hidden], residualDeviation(width, layers)),
  };
  const held = heldParameters(group, width);
  const reads = [...attention.merged, ...[...norm.parameters, keys, ...held].map(({ name }) => name)];
  const merge: Operation<string, string> = stage("merge and ask the router", (arrays: ModelArrays) => {
    const { shape } = arrays["x"];
    const [batch, length] = shape;
    const rows = arrays["x"].reshape([batch * length, width]).add(attention.merge(arrays));
    const normed = norm.apply(rows.ref, arrays);
    return {
      x: rows.reshape([...shape]),
      [group.names.q]: normed.ref.mul(width ** -0.5).reshape([1, 1, batch * length, width]),
      [group.names.k]: arrays[keys.name].reshape([1, 1, count, width]),
      ...Object.fromEntries(
        group.trained.map(({ parameter, held, output }) => [output, valuesOf(parameter, arrays[held])]),
      ),
      normed,
    };
  });
  const mixture = mixtureOfExperts({ rule, experts: count, engine });

  const scoresOf = async (tape: Tape, router: Values, observe: LayerObserver | undefined): Promise<Value> => {
    const known = { ...router, [group.names.v]: tape.constant(np.eye(count).reshape([1, 1, count, count])) };
    const arrays = Object.fromEntries(Object.entries(known).map(([name, { array }]) => [name, array]));
    const turned = observe === undefined ? {} : await observe([group], arrays);
    const values: Values = {
      ...known,
      ...Object.fromEntries(Object.entries(turned).map(([name, array]) => [name, tape.constant(array)])),
    };
    const { out } = await tape.run(
      group.operation,
      operationInputs(group, values, (array) => tape.constant(array)),
    );
    tape.release(...Object.values(values));
    return out;
  };

  return {
    parameters: [...norm.parameters, keys, ...held, ...Object.values(weights)],
    idleParameterCount: (count - rule.choices) * Object.keys(weights).length * hidden * width,
    async run(tape, inputs, values, observe) {
      const { x, normed, ...router } = await tape.run(merge, { ...inputs, ...pick(values, reads) });
      tape.release(...Object.values(inputs));
      const scores = await scoresOf(tape, router, observe);
      const own = Object.fromEntries(Object.entries(weights).map(([role, { name }]) => [role, values[name]]));
      const { out, balance } = await mixture.run(tape, {
        x: normed,
        scores,
        ...(own as Record<keyof typeof weights, Value>),
      });
      tape.release(normed, scores);
      return { x, fed: out, balance };
    },
    dispose() {
      merge.dispose();
      group.operation.dispose();
      mixture.dispose();
    },
  };
}

/** Before the numbers of layers in the names of what they add to the loss. */
export const balancePrefix = "balance.";

/** What layers with experts add to the loss, and all other arrays. */
export function withoutBalances(inputs: ModelArrays): {
  readonly balances: readonly np.Array[];
  readonly arrays: ModelArrays;
} {
  const isBalance = ([name]: readonly [string, np.Array]): boolean => name.startsWith(balancePrefix);
  const entries = Object.entries(inputs);
  return {
    balances: entries.filter(isBalance).map(([, balance]) => balance),
    arrays: Object.fromEntries(entries.filter((entry) => !isBalance(entry))),
  };
}

/** How many parameters a token meets, where there are some that it does not. */
export function activeCountOf(
  parameters: readonly ModelParameter[],
  ends: readonly (RoutedFeedForward | undefined)[],
): { readonly activeParameterCount?: number } {
  const idle = ends.reduce((sum, end) => sum + (end?.idleParameterCount ?? 0), 0);
  return idle === 0 ? {} : { activeParameterCount: countParameters(parameters) - idle };
}
