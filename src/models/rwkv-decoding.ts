/**
 * @file Decoding with an RWKV, token by token or a prompt at once: the stages of training, with the token before from what is kept. Each layer keeps two tokens and
 * the state of its rule, whose size does not grow.
 */
import { numpy as np } from "@jax-js/jax";
import { stage, type Tape, type Value } from "../autodiff/index.ts";
import { ShapeError } from "../base/errors.ts";
import { type Tensor } from "../base/tensor.ts";
import { arrayOf } from "../kernels/jax/tensors.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { pick, type Values, withoutGradient } from "./assemble-model.ts";
import { type HeadBlock } from "./decoder-blocks.ts";
import { namesOf, rowsOf } from "./decoder-layers.ts";
import {
  type Decoding,
  type DecodingStages,
  refuseDisposed,
  requireOneEach,
  requireRoom,
} from "./decoding.ts";
import { type GroupState, recurrenceState } from "./decoding-states.ts";
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
import { requireTokens } from "./token-model.ts";

/** What makes decodings. */
export interface RwkvDecodingParts {
  readonly config: ResolvedRwkvConfig;
  readonly embedding: RwkvEmbedding;
  readonly layers: readonly RwkvLayer[];
  readonly head: HeadBlock;
  readonly engine: WasmEngine | undefined;
}

/** An RWKV while it generates. */
export interface RwkvDecoding extends Decoding {
  /**
   * Takes the next N tokens of every sequence in one pass, such as a prompt: what is kept, and the logits, are those of N steps.
   *
   * @param tokens - [B, N], N ≥ 1
   * @returns logits of the token after the last, [B, V]
   * @throws as {@link Decoding.step}
   */
  take(tokens: Int32Array): Promise<Tensor>;
}

/** What decodings of one RWKV share. */
export interface RwkvDecodingStages extends DecodingStages {
  start(arrays: ModelArrays, batch: number): RwkvDecoding;
}

/** What a layer keeps. */
interface LayerState {
  readonly rule: GroupState;
  /** The normed token that the time mix and the channel mix took last, [B, 1, C]. */
  time: Tensor;
  channel: Tensor;
}

/** Makes what decodings share; stages are compiled at the first step. */
export function rwkvDecodingStages(parts: RwkvDecodingParts): RwkvDecodingStages {
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
        out: tape.constant(arrayOf(state.rule.step(tensors))),
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
      const { width, vocabulary, maximumLength, recurrence } = config;
      const none: Tensor = { data: new Float32Array(batch * width), shape: [batch, 1, width] };
      const states = layers.map((): LayerState => ({
        rule: recurrenceState(recurrence, [], engine),
        time: none,
        channel: none,
      }));
      let length = 0;
      let isDisposed = false;
      let turn: Promise<unknown> = Promise.resolve();
      const compute = async (tokens: Int32Array): Promise<Tensor> => {
        if (isDisposed) refuseDisposed();
        const count = tokens.length / batch;
        requireRoom(length + count - 1, maximumLength);
        requireTokens(tokens, vocabulary);
        const logits = await withoutGradient(arrays, (tape, values) =>
          step(tape, values, np.array(tokens, { shape: [batch, count] }), states),
        );
        length += count;
        return { data: logits, shape: [batch, vocabulary] };
      };
      // One after the other, also where somebody does not wait.
      const inTurn = (tokens: Int32Array, requireShape: typeof requireOneEach): Promise<Tensor> => {
        const result = turn.then(() => {
          requireShape(tokens, batch);
          return compute(tokens);
        });
        turn = result.catch(() => undefined);
        return result;
      };
      return {
        step: (tokens) => inTurn(tokens, requireOneEach),
        take: (tokens) => inTurn(tokens, requireSequences),
        get length() {
          return length;
        },
        get stateBytes() {
          return 4 * states.reduce((sum, { rule }) => sum + rule.size + 2 * batch * width, 0);
        },
        dispose() {
          isDisposed = true;
          for (const { rule } of states) rule.dispose();
        },
      };
    },
    dispose: () => [embed, headOperation, stages].forEach((own) => own.dispose()),
  };
}

function requireSequences(tokens: Int32Array, batch: number): void {
  if (tokens.length > 0 && tokens.length % batch === 0) return;
  throw new ShapeError(
    "decoder-tokens",
    `Cannot decode as every sequence takes as many tokens, one at least: ${tokens.length} tokens, batch ${batch}. ` +
      "Pass [B, N] tokens",
  );
}
