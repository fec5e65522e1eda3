/**
 * @file Decoding: a decoder that reads and writes one token at a time. What lies between its mixers are the stages of training at
 * N = 1; each mixer keeps keys and values, or the state of its rule, whose size does not grow.
 */
import { numpy as np } from "@jax-js/jax";
import { type Operation, stage, type Tape, type Value } from "../autodiff/index.ts";
import { ShapeError, UnsupportedError } from "../base/errors.ts";
import { type Tensor } from "../base/tensor.ts";
import { arrayOf } from "../kernels/jax/tensors.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { pick, type Values, withoutGradient } from "./assemble-model.ts";
import { type AttentionGroup } from "./attention-group.ts";
import { type AttentionLayer, type LayerValues, type MixingGroup } from "./attention-layer.ts";
import { embeddingBlock, type HeadBlock } from "./decoder-blocks.ts";
import { type ResolvedDecoderConfig } from "./decoder-config.ts";
import { type ComputedLayers, type DecoderLayer, namesOf } from "./decoder-layers.ts";
import { attentionState, type GroupState, recurrenceState, TokensBefore } from "./decoding-states.ts";
import { type ModelArrays } from "./model.ts";
import { stagedLayers } from "./staged-layers.ts";

/** A decoder while it generates. Made by `decoder(…).decode`. */
export interface Decoding {
  /**
   * Takes the next token of every sequence.
   *
   * @param tokens - [B]
   * @returns logits of the token after it, [B, V]
   * @throws ShapeError `decoder-tokens`, `decoder-length`; DomainError `decoder-token`; UnsupportedError `decoding-disposed`
   */
  step(tokens: Int32Array): Promise<Tensor>;
  /** Tokens that were taken. */
  readonly length: number;
  /** Bytes that all mixers keep now, in f32, for all sequences. */
  readonly stateBytes: number;
  /** Frees what is kept; the arrays stay the caller's. */
  dispose(): void;
}

/** What decodings of one decoder share. */
export interface DecodingStages {
  /** @param arrays - of the decoder; they stay the caller's, and must outlive the decoding */
  start(arrays: ModelArrays, batch: number): Decoding;
  dispose(): void;
}

/** What makes decodings. */
export interface DecodingParts {
  readonly config: ResolvedDecoderConfig;
  readonly layers: readonly DecoderLayer[];
  readonly head: HeadBlock;
  /** What is added to the embedding at each place: numbers [maximumLength, width], or the name of the parameter that has them. */
  readonly places: Float32Array | string | undefined;
  readonly engine: WasmEngine | undefined;
  /** Refuses tokens that the decoder does not have. */
  readonly requireTokens: (tokens: Int32Array) => void;
}

/** Makes what decodings share; stages are compiled at the first step. */
export function decodingStages(parts: DecodingParts): DecodingStages {
  const { config, layers, head, places, engine, requireTokens } = parts;
  const running = new WeakMap<Tape, readonly LayerState[]>();
  const stepped = layers.map((layer, index): DecoderLayer => ({
    ...layer,
    attention: {
      ...layer.attention,
      attend: (tape, projected) => stepLayer(tape, projected, layer.attention, running.get(tape)![index]),
    },
  }));
  const embedding = embeddingBlock(config, places === undefined ? "none" : "table");
  const computed: ComputedLayers = stagedLayers(config, embedding, stepped);
  const headOperation: Operation<string, "logits"> = stage("decode", (arrays: ModelArrays) => ({
    logits: head.apply(computed.rows(arrays), arrays),
  }));
  const reads = [...computed.reads, ...namesOf(head)];

  const start = (arrays: ModelArrays, batch: number): Decoding => {
    if (config.residual === "reversible") refuseStreams();
    const states = layers.map(({ attention }): LayerState => ({
      groups: attention.groups.map((group) => stateOf(group, engine)),
      before: new TokensBefore(attention.convolution),
    }));
    let length = 0;
    let isDisposed = false;
    let table: Float32Array | undefined;
    let turn: Promise<unknown> = Promise.resolve();

    const tableOf = async (): Promise<Float32Array | undefined> => {
      if (typeof places !== "string") return places;
      return (await arrays[places].ref.data()) as Float32Array;
    };
    const compute = async (tokens: Int32Array): Promise<Tensor> => {
      if (isDisposed) refuseDisposed();
      requireOneEach(tokens, batch);
      requireRoom(length, config.maximumLength);
      requireTokens(tokens);
      table ??= await tableOf();
      const place = table?.slice(length * config.width, (length + 1) * config.width);
      const logits = await withoutGradient(arrays, async (tape, values) => {
        running.set(tape, states);
        const inputs: Values = {
          tokens: tape.constant(np.array(tokens, { shape: [batch, 1] })),
          ...(place === undefined
            ? {}
            : { places: tape.constant(np.array(place, { shape: [1, config.width] })) }),
        };
        const { inputs: rows } = await computed.run(tape, inputs, values);
        const { logits: last } = await tape.run(headOperation, { ...rows, ...pick(values, reads) });
        return (await last.read()) as Float32Array;
      });
      length += 1;
      return { data: logits, shape: [batch, config.vocabulary] };
    };
    return {
      // One after the other, also where somebody does not wait.
      step: (tokens) => {
        const result = turn.then(() => compute(tokens));
        turn = result.catch(() => undefined);
        return result;
      },
      get length() {
        return length;
      },
      get stateBytes() {
        return (
          4 *
          states.flatMap(({ groups, before }) => [before, ...groups]).reduce((sum, { size }) => sum + size, 0)
        );
      },
      dispose() {
        isDisposed = true;
        for (const state of states.flatMap(({ groups }) => groups)) state.dispose();
      },
    };
  };
  return { start, dispose: () => [computed, headOperation].forEach((owned) => owned.dispose()) };
}

/** What a layer keeps. */
interface LayerState {
  readonly groups: readonly GroupState[];
  readonly before: TokensBefore;
}

function stateOf(group: MixingGroup, engine: WasmEngine | undefined): GroupState {
  if ("recurrence" in group) {
    const { recurrence } = group;
    const names = recurrence.rule.parameters.map(({ name }) => name);
    return recurrenceState(recurrence, names, engine);
  }
  const trained = group.trained.map(({ parameter }) => parameter.name);
  return attentionState(group.composition, [...trained, ...Object.keys(group.fixed)], engine);
}

/** The mixers of a layer at one token: what {@link AttentionLayer.attend} is for all of them. */
async function stepLayer(
  tape: Tape,
  given: LayerValues,
  { groups, convolution }: AttentionLayer,
  { groups: states, before }: LayerState,
): Promise<Record<string, Value>> {
  const projected =
    convolution === undefined ? given : await convolution.run(tape, given, await before.take(tape, given));
  const outputs: Record<string, Value> = {};
  for (const [index, group] of groups.entries()) {
    const isRecurrence = "recurrence" in group;
    const inputs = isRecurrence ? group.ruleInputs(projected) : attentionInputs(group, projected);
    const tensors: Record<string, Tensor> = isRecurrence ? {} : { ...group.fixed };
    for (const [name, value] of Object.entries(inputs)) tensors[name] = await value.tensor();
    const out = tape.constant(arrayOf(states[index].step(tensors)));
    outputs[group.names.out] = isRecurrence ? await group.finish(tape, out, projected) : out;
  }
  tape.release(...Object.values(projected));
  return outputs;
}

function attentionInputs({ names, trained }: AttentionGroup, projected: LayerValues): LayerValues {
  return {
    q: projected[names.q],
    k: projected[names.k],
    v: projected[names.v],
    ...Object.fromEntries(trained.map(({ parameter, output }) => [parameter.name, projected[output]])),
  };
}

export function requireOneEach(tokens: Int32Array, batch: number): void {
  if (tokens.length === batch) return;
  throw new ShapeError(
    "decoder-tokens",
    `Cannot decode as a step takes one token of every sequence: ${tokens.length} tokens, batch ${batch}. Pass [B] tokens`,
  );
}

export function requireRoom(length: number, maximumLength: number): void {
  if (length < maximumLength) return;
  throw new ShapeError(
    "decoder-length",
    `Cannot decode as a sequence may have at most maximumLength tokens: ${length} were taken, and ${maximumLength} are allowed. ` +
      "Start again, or make the decoder with a larger maximumLength",
  );
}

function refuseStreams(): never {
  throw new UnsupportedError(
    "decoding-residual",
    "Cannot decode token by token as layers must add to one stream: the decoder's residual is reversible, with two. " +
      'Call logits() with all tokens, or make the decoder with residual: "plain"',
  );
}

export function refuseDisposed(): never {
  throw new UnsupportedError(
    "decoding-disposed",
    "Cannot decode as what mixers keep must be there: it was disposed. Start again with decode()",
  );
}
