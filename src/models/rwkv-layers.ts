/**
 * @file The layers of an RWKV on a tape: stages of jax-js around the recurrence of each, which an engine's kernels compute where there is
 * one. A layer enters its recurrence with ln1 and a time mix, and leaves it with the rest of that, ln2 and a channel mix.
 */
import { type numpy as np } from "@jax-js/jax";
import { recurrenceOperation, stage, type Value } from "../autodiff/index.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { takeRows } from "../nn/embedding.ts";
import { layerNorm } from "../nn/layer-norm.ts";
import { pick, type Values } from "./assemble-model.ts";
import { type ComputedLayers, rowsOf } from "./decoder-layers.ts";
import { type ModelArrays, type ModelParameter } from "./model.ts";
import { type ResolvedRwkvConfig } from "./rwkv-config.ts";
import { parameterOf } from "./rwkv-initialisation.ts";
import { channelMix, type Neighbours, neighbours, timeMix } from "./rwkv-mixes.ts";
import {
  channelMixParameters,
  embeddingParameter,
  layerNormParameters,
  timeMixParameters,
} from "./rwkv-parameters.ts";

/** A layer's parameters and its two stages' functions. */
export interface RwkvLayer {
  readonly parameters: readonly ModelParameter[];
  /** What `leave` reads of what `enter` made. */
  readonly carried: readonly string[];
  readonly entering: readonly string[];
  readonly leaving: readonly string[];
  /**
   * `x` [B, N, C], `first` (the values of the first layer, where a later one reads them), `before` (the normed token before the first,
   * [B, 1, C]; zeros when absent) and the parameters `entering`, to the inputs of the rule, what is carried, and `last`, the normed
   * tokens, where `before` was there.
   */
  enter(arrays: ModelArrays): Record<string, np.Array>;
  /** `x`, `out` of the rule, what is carried, `before` and the parameters `leaving`, to `x`, and `last` as of `enter`. */
  leave(arrays: ModelArrays): Record<string, np.Array>;
}

/** Whether a layer reads the values of the first. */
export function readsFirst({ version }: ResolvedRwkvConfig, layer: number): boolean {
  return version === "rwkv7" && layer > 0;
}

/** Makes layer number `index`. */
export function rwkvLayer(config: ResolvedRwkvConfig, index: number): RwkvLayer {
  const { width, version } = config;
  const at = (part: string): string => `blocks.${index}.${part}.`;
  const time = timeMix(config, index);
  const channel = channelMix(version);
  const norms = ["weight", "bias"];
  const named = (part: string, names: readonly string[]): readonly string[] =>
    names.map((name) => at(part) + name);
  const own = (part: string, names: readonly string[], arrays: ModelArrays): ModelArrays =>
    Object.fromEntries(names.map((name) => [name, arrays[at(part) + name]]));
  const parametersOf = (part: string, given: Parameters<typeof parameterOf>[0][]): ModelParameter[] =>
    given.map((parameter) => parameterOf(parameter, at(part)));

  /** After the norm of a part: each token beside the one before it, and the normed tokens where somebody steps. */
  const normed = (
    x: np.Array,
    part: string,
    arrays: ModelArrays,
  ): { readonly rows: Neighbours; readonly last: Record<string, np.Array> } => {
    const [batch] = x.shape;
    const { shape } = x;
    const normal = layerNorm(rowsOf(x), arrays[`${at(part)}weight`], arrays[`${at(part)}bias`]);
    const before = arrays["before"] as np.Array | undefined;
    const last = before === undefined ? undefined : normal.ref.reshape([...shape]);
    return { rows: neighbours(normal, batch, before), last: last === undefined ? {} : { last } };
  };

  return {
    parameters: [
      ...parametersOf("ln1", [...layerNormParameters(width)]),
      ...parametersOf("ln2", [...layerNormParameters(width)]),
      ...parametersOf("att", [...timeMixParameters(config, index)]),
      ...parametersOf("ffn", [...channelMixParameters(config, index)]),
    ],
    carried: time.carried,
    entering: [...named("ln1", norms), ...named("att", time.entering)],
    leaving: [...named("att", time.leaving), ...named("ln2", norms), ...named("ffn", channel.reads)],
    enter(arrays) {
      const { x } = arrays;
      const [batch] = x.shape;
      const { rows, last } = normed(x, "ln1", arrays);
      const first = arrays["first"] as np.Array | undefined;
      return { ...time.enter(rows, own("att", time.entering, arrays), batch, first), ...last };
    },
    leave(arrays) {
      const { x, out } = arrays;
      const [batch, length] = x.shape;
      const carried = Object.fromEntries(time.carried.map((name) => [name, arrays[name]]));
      const mixed = time.leave(out, { ...carried, ...own("att", time.leaving, arrays) });
      const rows = rowsOf(x).add(mixed);
      const beside = normed(rows.ref.reshape([batch, length, width]), "ln2", arrays);
      const fed = channel.apply(beside.rows, own("ffn", channel.reads, arrays));
      return { x: rows.add(fed).reshape([batch, length, width]), ...beside.last };
    },
  };
}

/** Tokens to the residual stream. */
export interface RwkvEmbedding {
  readonly parameters: readonly ModelParameter[];
  /** `tokens` [B, N] and the parameters to `x` [B, N, C]. */
  apply(arrays: ModelArrays): Record<"x", np.Array>;
}

/** The table of embeddings, and the norm after it where there is one. */
export function rwkvEmbedding({ vocabulary, width, embeddingNorm }: ResolvedRwkvConfig): RwkvEmbedding {
  const table = parameterOf(embeddingParameter(vocabulary, width), "");
  const norm = embeddingNorm
    ? layerNormParameters(width).map((parameter) => parameterOf(parameter, "blocks.0.ln0."))
    : [];
  return {
    parameters: [table, ...norm],
    apply(arrays) {
      const { tokens } = arrays;
      const [batch, length] = tokens.shape;
      const rows = takeRows(arrays[table.name], tokens.reshape([batch * length]));
      const [weight, bias] = norm.map(({ name }) => arrays[name]);
      const x = norm.length === 0 ? rows : layerNorm(rows, weight, bias);
      return { x: x.reshape([batch, length, width]) };
    },
  };
}

/** Makes the operations. */
export function rwkvLayers(
  config: ResolvedRwkvConfig,
  embedding: RwkvEmbedding,
  layers: readonly RwkvLayer[],
  engine: WasmEngine | undefined,
): ComputedLayers {
  const embed = stage("embed", (arrays: ModelArrays) => embedding.apply(arrays));
  const embedReads = embedding.parameters.map(({ name }) => name);
  const stages = layers.map((layer, index) => ({
    ...layer,
    enterOperation: stage("enter", (arrays: ModelArrays) => layer.enter(arrays)),
    mixOperation: recurrenceOperation(config.recurrence, { engine }),
    leaveOperation: stage("leave", (arrays: ModelArrays) => layer.leave(arrays)),
    readsFirst: readsFirst(config, index),
  }));
  return {
    async run(tape, given, values) {
      let { x } = await tape.run(embed, { ...given, ...pick(values, embedReads) });
      tape.release(...Object.values(given));
      let first: Value | undefined;
      for (const layer of stages) {
        const made = await tape.run(layer.enterOperation, {
          x,
          ...(layer.readsFirst && first !== undefined ? { first } : {}),
          ...pick(values, layer.entering),
        });
        first ??= made["v"];
        const { out, state } = await tape.run(layer.mixOperation, ruleInputs(config, made));
        const { x: next } = await tape.run(layer.leaveOperation, {
          x,
          out,
          ...pick(made, layer.carried),
          ...pick(values, layer.leaving),
        });
        tape.release(x, out, state, ...Object.values(made).filter((value) => value !== first));
        x = next;
      }
      if (first !== undefined) tape.release(first);
      return { inputs: { x }, balances: [] };
    },
    reads: [],
    rows: ({ x }) => rowsOf(x),
    dispose() {
      embed.dispose();
      for (const { enterOperation, mixOperation, leaveOperation } of stages) {
        for (const operation of [enterOperation, mixOperation, leaveOperation]) operation.dispose();
      }
    },
  };
}

/** Of what `enter` made, what the rule takes. */
export function ruleInputs({ recurrence }: ResolvedRwkvConfig, made: Values): Values {
  const names = recurrence.rule.inputs.map(({ name }) => name).filter((name) => name in made);
  return pick(made, names);
}
