/**
 * @file A layer's experts, which take the place of its feed-forward, norm and residual included. Their router is an attention
 * of the tokens, as queries of about unit length, over one key an expert.
 */
import { numpy as np } from "@jax-js/jax";
import { type Operation, stage, type Tape, type Value } from "../autodiff/index.ts";
import { routerComposition, type WasmEngine } from "../kernels/wasm/index.ts";
import { valuesOf } from "../nn/attention-parameters.ts";
import { normalWeights, residualDeviation, weightDeviation } from "../nn/initialisation.ts";
import { mixtureOfExperts } from "../nn/moe.ts";
import { pick, type Values } from "./assemble-model.ts";
import { attentionGroup, heldParameters, operationInputs } from "./attention-group.ts";
import { normBlock } from "./decoder-blocks.ts";
import { type ResolvedDecoderConfig } from "./decoder-config.ts";
import { countParameters, type ModelArrays, type ModelParameter } from "./model.ts";
import { type LayerObserver } from "./observe-scores.ts";

/** x + experts(norm(x)). */
export interface RoutedFeedForward {
  readonly parameters: readonly ModelParameter[];
  /** How many of the parameters a token does not meet. */
  readonly idleParameterCount: number;
  /**
   * On the tape: what becomes of rows, and `balance`, a scalar to add to the loss.
   *
   * @param x - [B, N, width]; released
   * @param values - all parameters of the model
   * @param observe - sees the router first, and may turn its parameters
   */
  run(
    tape: Tape,
    x: Value,
    values: Values,
    observe?: LayerObserver,
  ): Promise<Readonly<Record<"x" | "balance", Value>>>;
  dispose(): void;
}

/** Makes the experts of layer number `layer`; undefined in a decoder without experts. */
export function routedFeedForward(
  config: ResolvedDecoderConfig,
  layer: number,
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
  const reads = [...norm.parameters, keys, ...held].map(({ name }) => name);
  const ask: Operation<string, string> = stage("ask the router", (arrays: ModelArrays) => {
    const [batch, length] = arrays["x"].shape;
    const normed = norm.apply(arrays["x"].reshape([batch * length, width]), arrays);
    return {
      [group.names.q]: normed.ref.mul(width ** -0.5).reshape([1, 1, ...normed.shape]),
      [group.names.k]: arrays[keys.name].reshape([1, 1, count, width]),
      ...Object.fromEntries(
        group.trained.map(({ parameter, held, output }) => [output, valuesOf(parameter, arrays[held])]),
      ),
      normed,
    };
  });
  const add: Operation<string, "x"> = stage("add what experts made", ({ x, fed }: ModelArrays) => {
    const { shape } = x;
    return { x: x.add(fed.reshape([...shape])) };
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
    async run(tape, x, values, observe) {
      const { normed, ...router } = await tape.run(ask, { x, ...pick(values, reads) });
      const scores = await scoresOf(tape, router, observe);
      const own = Object.fromEntries(Object.entries(weights).map(([role, { name }]) => [role, values[name]]));
      const { out: fed, balance } = await mixture.run(tape, {
        x: normed,
        scores,
        ...(own as Record<keyof typeof weights, Value>),
      });
      tape.release(normed, scores);
      const { x: sum } = await tape.run(add, { x, fed });
      tape.release(x, fed);
      return { x: sum, balance };
    },
    dispose() {
      ask.dispose();
      add.dispose();
      group.operation.dispose();
      mixture.dispose();
    },
  };
}

/** How many parameters a token meets, where there are some that it does not. */
export function activeCountOf(
  parameters: readonly ModelParameter[],
  blocks: readonly (RoutedFeedForward | undefined)[],
): { readonly activeParameterCount?: number } {
  const idle = blocks.reduce((sum, block) => sum + (block?.idleParameterCount ?? 0), 0);
  return idle === 0 ? {} : { activeParameterCount: countParameters(parameters) - idle };
}
