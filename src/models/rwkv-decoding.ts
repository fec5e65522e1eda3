/**
 * @file Decoding with an RWKV, token by token or a prompt at once: the stages of training, with the token before from what is kept. Each
 * layer keeps two tokens and the state of its rule, whose size does not grow.
 */
import { numpy as np } from "@jax-js/jax";
import { stage, type Tape, type Value } from "../autodiff/index.ts";
import { type Tensor } from "../base/tensor.ts";
import { arrayOf } from "../kernels/jax/tensors.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { pick, type Values, withoutGradient } from "./assemble-model.ts";
import { type HeadBlock } from "./decoder-blocks.ts";
import { namesOf, rowsOf } from "./decoder-layers.ts";
import { type GroupState } from "./decoding-group.ts";
import { recurrenceState } from "./decoding-recurrence.ts";
import { decodingSession, type DecodingStages } from "./decoding-session.ts";
import { type ModelArrays } from "./model.ts";
import { type ResolvedRwkvConfig } from "./rwkv-config.ts";
import {
  lastOf,
  ownValues,
  ruleInputs,
  type RwkvEmbedding,
  type RwkvLayer,
  rwkvStages,
} from "./rwkv-layers.ts";

/** What makes decodings. */
export interface RwkvDecodingParts {
  readonly config: ResolvedRwkvConfig;
  readonly embedding: RwkvEmbedding;
  readonly layers: readonly RwkvLayer[];
  readonly head: HeadBlock;
  readonly engine: WasmEngine | undefined;
}

/** What a layer keeps. */
interface LayerState {
  readonly rule: GroupState;
  /** The normed token that the time mix and the channel mix took last, [B, 1, C]. */
  time: Tensor;
  channel: Tensor;
}

/** Makes what decodings share; stages are compiled at the first step. */
export function rwkvDecodingStages(parts: RwkvDecodingParts): DecodingStages<ModelArrays> {
  const { config, embedding, layers, head, engine } = parts;
  const embed = stage("embed", (arrays: ModelArrays) => embedding.apply(arrays));
  const embedReads = namesOf(embedding);
  const stages = rwkvStages(layers);
  const headOperation = stage("decode", ({ x, ...arrays }: ModelArrays) => {
    const [batch, length] = x.shape;
    return { logits: head.apply(rowsOf(lastOf(rowsOf(x), batch, length)), arrays) };
  });
  const headReads = namesOf(head);

  /** The next tokens of every sequence, [B, N], through all layers; logits after the last. */
  const step = async (
    tape: Tape,
    values: Values,
    tokens: np.Array,
    states: readonly LayerState[],
  ): Promise<Float32Array> => {
    const given = { tokens: tape.constant(tokens), ...pick(values, embedReads) };
    let { x } = await tape.run(embed, given);
    let first: Value | undefined;
    for (const [index, layer] of stages.layers.entries()) {
      const state = states[index];
      const rows: Values = { x, ...(first !== undefined && layer.readsFirst ? { first } : {}) };
      const made = await tape.run(layer.entered, {
        ...rows,
        before: tape.constant(arrayOf(state.time)),
        ...ownValues(layer, layer.entering, values),
      });
      first ??= made["v"];
      const tensors: Record<string, Tensor> = {};
      for (const [name, value] of Object.entries(ruleInputs(config, made))) {
        tensors[name] = await value.tensor();
      }
      const left = await tape.run(layer.left, {
        x,
        out: tape.constant(arrayOf(state.rule.take(tensors))),
        before: tape.constant(arrayOf(state.channel)),
        ...pick(made, layer.carried),
        ...ownValues(layer, layer.leaving, values),
      });
      state.time = await made["last"].tensor();
      state.channel = await left["last"].tensor();
      ({ x } = left);
    }
    const { logits } = await tape.run(headOperation, { x, ...pick(values, headReads) });
    return (await logits.read()) as Float32Array;
  };

  return {
    start(arrays, batch) {
      const { width, recurrence } = config;
      const none: Tensor = { data: new Float32Array(batch * width), shape: [batch, 1, width] };
      const states = layers.map((): LayerState => ({
        rule: recurrenceState(recurrence, [], engine),
        time: none,
        channel: none,
      }));
      return decodingSession({
        batch,
        config,
        compute: (tokens) =>
          withoutGradient(arrays, (tape, values) =>
            step(tape, values, np.array(tokens, { shape: [batch, tokens.length / batch] }), states),
          ),
        size: () => states.reduce((sum, { rule }) => sum + rule.size + 2 * batch * width, 0),
        release: () => states.forEach(({ rule }) => rule.dispose()),
      });
    },
    dispose: () => [embed, headOperation, stages].forEach((own) => own.dispose()),
  };
}
