/**
 * @file The layers of an RWKV on a tape: stages of jax-js around the recurrence of each, which an engine's kernels compute where there is
 * one. A layer enters its recurrence with ln1 and a time mix, and leaves it with the rest of that, ln2 and a channel mix.
 */
import { type numpy as np } from "@jax-js/jax";
import { type Operation, recurrenceOperation, stage, type Value } from "../autodiff/index.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { takeRows } from "../nn/embedding.ts";
import { layerNorm } from "../nn/layer-norm.ts";
import { pick, type Values } from "./assemble-model.ts";
import { type ComputedLayers, rowsOf } from "./decoder-layers.ts";
import { type ModelArrays, type ModelParameter } from "./model.ts";
import { channelMix } from "./rwkv-channel-mix.ts";
import { type ResolvedRwkvConfig } from "./rwkv-config.ts";
import { parameterOf } from "./rwkv-initialisation.ts";
import {
  channelMixParameters,
  embeddingParameter,
  layerNormParameters,
  timeMixParameters,
} from "./rwkv-parameters.ts";
import { timeMix } from "./rwkv-time-mix.ts";
import { type Neighbours, neighbours } from "./rwkv-token-shift.ts";

/** A layer's parameters and its two stages' functions, which name them without the layer's prefix. */
export interface RwkvLayer {
  /** `blocks.i.` */
  readonly prefix: string;
  readonly parameters: readonly ModelParameter[];
  /** Whether it reads the values of the first layer. Layers that do are alike, and those that do not. */
  readonly readsFirst: boolean;
  /** What `leave` reads of what `enter` made. */
  readonly carried: readonly string[];
  readonly entering: readonly string[];
  readonly leaving: readonly string[];
  /**
   * `x` [B, N, C], `first` (the values of the first layer, where a later one reads them), `before` (the normed token before the first,
   * [B, 1, C]; zeros when absent) and the parameters `entering`, to the inputs of the rule, what is carried, and `last`, the last
   * normed token, where `before` was there.
   */
  enter(arrays: ModelArrays): Record<string, np.Array>;
  /** `x`, `out` of the rule, what is carried, `before` and the parameters `leaving`, to `x`, and `last` as of `enter`. */
  leave(arrays: ModelArrays): Record<string, np.Array>;
}

/** Makes layer number `index`. */
export function rwkvLayer(config: ResolvedRwkvConfig, index: number): RwkvLayer {
  const { width, version } = config;
  const time = timeMix(config, index);
  const channel = channelMix(version);
  const parts = {
    ln1: layerNormParameters(width),
    ln2: layerNormParameters(width),
    att: timeMixParameters(config, index),
    ffn: channelMixParameters(config, index),
  };
  const named = (
    part: keyof typeof parts,
    names = ["weight", "bias"] as readonly string[],
  ): readonly string[] => names.map((name) => `${part}.${name}`);
  const own = (part: keyof typeof parts, names: readonly string[], arrays: ModelArrays): ModelArrays =>
    Object.fromEntries(names.map((name) => [name, arrays[`${part}.${name}`]]));

  /** After the norm of a part: each token beside the one before it, and the last normed one where somebody decodes. */
  const normed = (
    x: np.Array,
    part: "ln1" | "ln2",
    arrays: ModelArrays,
  ): { readonly rows: Neighbours; readonly last: Record<string, np.Array> } => {
    const [batch, length] = x.shape;
    const normal = layerNorm(rowsOf(x), arrays[`${part}.weight`], arrays[`${part}.bias`]);
    const before = arrays["before"] as np.Array | undefined;
    const last = before === undefined ? undefined : lastOf(normal.ref, batch, length);
    return { rows: neighbours(normal, batch, before), last: last === undefined ? {} : { last } };
  };

  return {
    prefix: `blocks.${index}.`,
    parameters: Object.entries(parts).flatMap(([part, given]) =>
      given.map((parameter) => parameterOf(parameter, `blocks.${index}.${part}.`)),
    ),
    readsFirst: version === "rwkv7" && index > 0,
    carried: time.carried,
    entering: [...named("ln1"), ...named("att", time.entering)],
    leaving: [...named("att", time.leaving), ...named("ln2"), ...named("ffn", channel.reads)],
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

/** The last token of every sequence, of rows [B·N, C]: [B, 1, C]. */
export function lastOf(rows: np.Array, batch: number, length: number): np.Array {
  return rows.reshape([batch, length, rows.shape[1]]).slice([], [length - 1, length]);
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

/** A layer with its two stages. */
export interface StagedRwkvLayer extends RwkvLayer {
  readonly entered: Operation<string, string>;
  readonly left: Operation<string, string>;
}

/** Stages for all layers, of which those that are alike share theirs, compiled once. */
export function rwkvStages(layers: readonly RwkvLayer[]): {
  readonly layers: readonly StagedRwkvLayer[];
  dispose(): void;
} {
  const kinds = [false, true].map((readsFirst) => {
    const layer = layers.find((each) => each.readsFirst === readsFirst);
    if (layer === undefined) return undefined;
    return {
      entered: stage("enter", (arrays: ModelArrays) => layer.enter(arrays)),
      left: stage("leave", (arrays: ModelArrays) => layer.leave(arrays)),
    };
  });
  return {
    layers: layers.map((layer) => ({ ...layer, ...kinds[Number(layer.readsFirst)]! })),
    dispose() {
      for (const kind of kinds) {
        kind?.entered.dispose();
        kind?.left.dispose();
      }
    },
  };
}

/** Parameters of a layer, by their names without its prefix. */
export function ownValues({ prefix }: RwkvLayer, names: readonly string[], values: Values): Values {
  return Object.fromEntries(names.map((name) => [name, values[prefix + name]]));
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
  const mix = recurrenceOperation(config.recurrence, { engine });
  const stages = rwkvStages(layers);
  return {
    async run(tape, given, values) {
      let { x } = await tape.run(embed, { ...given, ...pick(values, embedReads) });
      tape.release(...Object.values(given));
      let first: Value | undefined;
      for (const layer of stages.layers) {
        const inputs: Values = { x, ...(layer.readsFirst && first !== undefined ? { first } : {}) };
        const made = await tape.run(layer.entered, {
          ...inputs,
          ...ownValues(layer, layer.entering, values),
        });
        first ??= made["v"];
        const { out, state } = await tape.run(mix, ruleInputs(config, made));
        const { x: next } = await tape.run(layer.left, {
          x,
          out,
          ...pick(made, layer.carried),
          ...ownValues(layer, layer.leaving, values),
        });
        tape.release(x, out, state, ...Object.values(made).filter((value) => value !== first));
        x = next;
      }
      if (first !== undefined) tape.release(first);
      return { inputs: { x }, balances: [] };
    },
    reads: [],
    rows: ({ x }) => rowsOf(x),
    dispose: () => [embed, mix, stages].forEach((own) => own.dispose()),
  };
}

/** Of what `enter` made, what the rule takes. */
export function ruleInputs({ recurrence }: ResolvedRwkvConfig, made: Values): Values {
  const names = recurrence.rule.inputs.map(({ name }) => name).filter((name) => name in made);
  return pick(made, names);
}
