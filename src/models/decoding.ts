/**
 * @file Decoding: a decoder that reads and writes one token at a time, or a prompt at once. What lies between its mixers are the
 * stages of training; each mixer keeps keys and values, or the state of its rule, whose size does not grow.
 */
import { numpy as np } from "@jax-js/jax";
import { countsKeys } from "../attention/reach.ts";
import { type Operation, stage, type Tape, type Value } from "../autodiff/index.ts";
import { UnsupportedError } from "../base/errors.ts";
import { type Tensor } from "../base/tensor.ts";
import { arrayOf } from "../kernels/jax/tensors.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { pick, type Values, withoutGradient } from "./assemble-model.ts";
import { type AttentionGroup } from "./attention-group.ts";
import { type AttentionLayer, type LayerValues, type MixingGroup } from "./attention-layer.ts";
import { embeddingBlock, type EmbeddingBlock, type HeadBlock } from "./decoder-blocks.ts";
import { type ResolvedDecoderConfig } from "./decoder-config.ts";
import { type ComputedLayers, type DecoderLayer, namesOf } from "./decoder-layers.ts";
import { TokensBefore } from "./decoding-before.ts";
import { recurrenceState } from "./decoding-recurrence.ts";
import { type GroupState } from "./decoding-group.ts";
import { type Decoding, decodingSession, type DecodingStages } from "./decoding-session.ts";
import { attentionState } from "./decoding-states.ts";
import { fusedLayers } from "./fused-layers.ts";
import { type ModelArrays } from "./model.ts";
import { forwardStreams } from "./reversible-layers.ts";
import { stagedLayers } from "./staged-layers.ts";

/** What makes decodings. */
export interface DecoderDecoding {
  readonly config: ResolvedDecoderConfig;
  readonly layers: readonly DecoderLayer[];
  readonly head: HeadBlock;
  /** What is added to the embedding at each place: numbers [maximumLength, width], or the name of the parameter that has them. */
  readonly places: Float32Array | string | undefined;
  readonly engine: WasmEngine | undefined;
}

/** Makes what decodings share; stages are compiled at the first step. */
export function decodingStages(parts: DecoderDecoding): DecodingStages<ModelArrays> {
  const { config, layers, head, places, engine } = parts;
  const running = new WeakMap<Tape, readonly LayerState[]>();
  const stepped = layers.map((layer, index): DecoderLayer => ({
    ...layer,
    attention: {
      ...layer.attention,
      attend: (tape, projected) => stepLayer(tape, projected, layer.attention, running.get(tape)![index]),
    },
  }));
  const embedding = embeddingBlock(config, places === undefined ? "none" : "table");
  const formOn = (own: WasmEngine | undefined): DecodingForm => {
    const computed = layersOf(config, embedding, stepped, own);
    return { computed, last: lastLogits(computed, head), reads: [...computed.reads, ...namesOf(head)] };
  };
  const oneByOne = formOn(undefined);
  const atOnce = engine === undefined ? oneByOne : formOn(engine);

  const start = (arrays: ModelArrays, batch: number): Decoding => {
    requireCausalNumbers(layers);
    const states = layers.map(({ attention }): LayerState => ({
      groups: attention.groups.map((group) => stateOf(group, engine)),
      before: new TokensBefore(attention.convolution),
    }));
    let table: Float32Array | undefined;
    const tableOf = async (): Promise<Float32Array | undefined> => {
      if (typeof places !== "string") return places;
      return (await arrays[places].ref.data()) as Float32Array;
    };
    const compute = async (tokens: Int32Array, first: number): Promise<Float32Array> => {
      const count = tokens.length / batch;
      table ??= await tableOf();
      const place = table?.slice(first * config.width, (first + count) * config.width);
      const { computed, last, reads } = count === 1 ? oneByOne : atOnce;
      return withoutGradient(arrays, async (tape, values) => {
        running.set(tape, states);
        const inputs: Values = {
          tokens: tape.constant(np.array(tokens, { shape: [batch, count] })),
          ...(place === undefined
            ? {}
            : { places: tape.constant(np.array(place, { shape: [count, config.width] })) }),
        };
        const { inputs: rows } = await computed.run(tape, inputs, values);
        const { logits: ofLast } = await tape.run(last, { ...rows, ...pick(values, reads) });
        return (await ofLast.read()) as Float32Array;
      });
    };
    return decodingSession({
      batch,
      config,
      compute,
      size: () =>
        states.flatMap(({ groups, before }) => [before, ...groups]).reduce((sum, { size }) => sum + size, 0),
      release: () => states.flatMap(({ groups }) => groups).forEach((state) => state.dispose()),
    });
  };
  return {
    start,
    dispose() {
      for (const { computed, last } of new Set([oneByOne, atOnce])) {
        computed.dispose();
        last.dispose();
      }
    },
  };
}

/** How tokens go through the layers: one by one, or many at once. */
interface DecodingForm {
  readonly computed: ComputedLayers;
  /** Logits of every sequence's last token. */
  readonly last: Operation<string, "logits">;
  /** Names of the parameters that `last` reads. */
  readonly reads: readonly string[];
}

function layersOf(
  config: ResolvedDecoderConfig,
  embedding: EmbeddingBlock,
  layers: readonly DecoderLayer[],
  engine: WasmEngine | undefined,
): ComputedLayers {
  if (config.residual === "reversible") return forwardStreams(embedding, layers, engine);
  return engine === undefined
    ? stagedLayers(config, embedding, layers)
    : fusedLayers(embedding, layers, engine);
}

function lastLogits(computed: ComputedLayers, head: HeadBlock): Operation<string, "logits"> {
  return stage("logits of the last tokens", (arrays: ModelArrays) => {
    const [batch, length] = arrays["x"].shape;
    const rows = computed.rows(arrays);
    const last = rows.reshape([batch, length, rows.shape[1]]).slice([], length - 1);
    return { logits: head.apply(last, arrays) };
  });
}

/** What a layer keeps. */
interface LayerState {
  readonly groups: readonly GroupState[];
  readonly before: TokensBefore;
}

/** What a group keeps. */
export function stateOf(group: MixingGroup, engine: WasmEngine | undefined): GroupState {
  if ("recurrence" in group) {
    const { recurrence } = group;
    const names = recurrence.rule.parameters.map(({ name }) => name);
    return recurrenceState(recurrence, names, engine);
  }
  const trained = group.trained.map(({ parameter }) => parameter.name);
  return attentionState(group.composition, [...trained, ...Object.keys(group.fixed)], engine);
}

/** The mixers of a layer at the next tokens: what {@link AttentionLayer.attend} is for all of them. */
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
    const out = tape.constant(arrayOf(states[index].take(tensors)));
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

/** Refuses what no token can know: how many come after it. */
export function requireCausalNumbers(layers: readonly DecoderLayer[]): void {
  const counting = layers
    .flatMap(({ attention }) => attention.groups)
    .find((group) => "composition" in group && countsKeys(group.composition));
  if (counting === undefined) return;
  throw new UnsupportedError(
    "decoding-normaliser",
    "Cannot decode token by token as no weight may depend on how many tokens come later: a sigmoid's bias is −ln S of all S keys. " +
      "Fix it, as in sigmoid:bias=-5, or call logits() with all tokens",
  );
}
