/**
 * @file BERT (Devlin et al. 2019) as an encoder of sentences: every token sees all others, norms come after the blocks, and a sentence
 * is the mean of its tokens at unit length (Reimers & Gurevych 2019). Its attention is any of the algebra per layer and head group.
 */
import { numpy as np } from "@jax-js/jax";
import * as v from "valibot";
import { type AnyPartFactory } from "../attention/index.ts";
import { type Operation, stage, type Tape, type Value } from "../autodiff/index.ts";
import { DomainError, ShapeError } from "../base/errors.ts";
import { type Tensor } from "../base/tensor.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { takeRows } from "../nn/embedding.ts";
import { residualDeviation, weightDeviation } from "../nn/initialisation.ts";
import { unitLength } from "../nn/unit-length.ts";
import { pick, type Values, withoutGradient } from "./assemble-model.ts";
import { attentionLayer } from "./attention-layer.ts";
import { embeddingBlock, innerFeedForward, matrix, normBlock } from "./decoder-blocks.ts";
import { namesOf, rowsOf } from "./decoder-layers.ts";
import { kindOf, placesOf, placeTable } from "./decoder-places.ts";
import {
  type ComposedGroup,
  composeLayers,
  type LayerAttentions,
  layersOf,
  requireDivides,
} from "./head-groups.ts";
import { countParameters, type ModelArrays, type ModelParameter } from "./model.ts";
import { extent, layerAttentions, positive, readSettings } from "./read-settings.ts";

/** What somebody writes; sizes left out take their default. */
export interface BertConfig {
  /** V, tokens. */
  readonly vocabulary: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  /** Width inside the feed-forward (default 4·width). */
  readonly hidden?: number;
  /** Kinds of tokens, such as those of a first and of a second sentence (default 2). */
  readonly types?: number;
  /** Default `gelu-exact`. */
  readonly feedForward?: "gelu" | "gelu-exact" | "relu";
  /** ε under the root of every LayerNorm (default 1e-12). */
  readonly normEpsilon?: number;
  /** One selector for all layers, or one entry a layer; BERT's own is `dot+learned+full`. */
  readonly attention: LayerAttentions;
  /** The longest sequence; positions that are `learned` have so many rows. */
  readonly maximumLength: number;
}

/** A configuration with every default filled in. */
export interface ResolvedBertConfig extends Required<BertConfig> {
  readonly groups: readonly (readonly ComposedGroup[])[];
}

const schema = v.strictObject({
  vocabulary: extent,
  width: extent,
  layers: extent,
  heads: extent,
  hidden: v.optional(extent),
  types: v.optional(extent, 2),
  feedForward: v.optional(
    v.picklist(["gelu", "gelu-exact", "relu"], "gelu, gelu-exact or relu is needed"),
    "gelu-exact",
  ),
  normEpsilon: v.optional(positive, 1e-12),
  attention: layerAttentions,
  maximumLength: extent,
});

/** Sequences of one length. */
export interface BertBatch {
  /** [B, N] */
  readonly tokens: Int32Array;
  /** B */
  readonly batch: number;
  /** The kind of every token, [B, N]; 0 when absent. */
  readonly types?: Int32Array;
}

/** An encoder of sentences. */
export interface Bert {
  readonly config: ResolvedBertConfig;
  readonly parameters: readonly ModelParameter[];
  readonly parameterCount: number;
  /** On a tape that can go backward: what every token has become, [B, N, width]. */
  run(tape: Tape, arrays: ModelArrays, batch: BertBatch): Promise<Value>;
  /**
   * What every token has become.
   *
   * @returns [B, N, width]
   * @throws ShapeError `bert-tokens`, DomainError `bert-token`
   */
  encode(arrays: ModelArrays, batch: BertBatch): Promise<Tensor>;
  /**
   * Every sentence as the mean of its tokens at unit length.
   *
   * @param sentences - tokens of each, of any lengths
   * @returns [sentences, width]
   */
  embed(arrays: ModelArrays, sentences: readonly Int32Array[]): Promise<Tensor>;
  dispose(): void;
}

/**
 * Makes an encoder. It holds no numbers: its tensors are made from `parameters` and passed to every call. Of every layer,
 * x ← norm(x + attention(x)), then x ← norm(x + feedForward(x)).
 *
 * @param config - see {@link BertConfig}
 * @param options - `similarities`: the caller's own, which selectors may name; `engine`: computes the attentions by fused
 *   kernels, jax-js when absent
 * @throws DomainError, ShapeError, UnsupportedError when the configuration does not fit together
 * @example
 * ```ts
 * import { bert } from "qklab/models";
 * const model = bert({
 *   vocabulary: 99, width: 32, layers: 2, heads: 4, attention: "cosine:beta=10+learned+full", maximumLength: 64,
 * });
 * model.parameterCount; // 30752
 * model.dispose();
 * ```
 */
export function bert(
  config: BertConfig,
  options: {
    readonly similarities?: readonly AnyPartFactory[];
    readonly engine?: WasmEngine | undefined;
  } = {},
): Bert {
  const resolved = resolveBertConfig(config, options.similarities);
  const { width, layers: count, heads, types } = resolved;
  const headWidth = width / heads;
  const places = placesOf(resolved);
  const embedding = embeddingBlock({ ...resolved, embeddingScale: 1 }, kindOf(places));
  const typeTable = matrix("model.embed_types.weight", [types, width], weightDeviation(width));
  const norm = (name: string): ReturnType<typeof normBlock> =>
    normBlock({ ...resolved, norm: "layer" }, name);
  const embeddingNorm = norm("model.embed_norm");
  const layers = resolved.groups.map((groups, index) => {
    const prefix = `model.layers.${index}`;
    return {
      attention: attentionLayer({
        prefix: `${prefix}.self_attn`,
        groups,
        width,
        headWidth,
        projectionBias: true,
        outputBias: true,
        engine: options.engine,
        deviations: { into: weightDeviation(width), out: residualDeviation(width, count) },
      }),
      attended: norm(`${prefix}.post_attention_layernorm`),
      feed: innerFeedForward({ ...resolved, feedForwardBias: true }, `${prefix}.mlp`),
      fed: norm(`${prefix}.post_feedforward_layernorm`),
    };
  });
  type Layer = (typeof layers)[number];
  const parameters = [
    ...embedding.parameters,
    typeTable,
    ...embeddingNorm.parameters,
    ...layers.flatMap(({ attention, ...blocks }) => [
      ...attention.parameters,
      ...Object.values(blocks).flatMap((block) => block.parameters),
    ]),
  ];

  /** The `x` that goes on beside what is projected, as a leaf: jax-js differentiates no output that another is made of. */
  const project = (rows: np.Array, shape: readonly number[], { attention }: Layer, arrays: ModelArrays) => ({
    x: rows.ref.reshape([...shape]),
    ...attention.project(rows, shape[0], arrays),
  });
  const finish = (arrays: ModelArrays, { attention, attended, feed, fed }: Layer): np.Array => {
    const joined = rowsOf(arrays["x"]).add(attention.merge(arrays));
    const middle = attended.apply(joined, arrays);
    return fed.apply(middle.ref.add(feed.apply(middle, arrays)), arrays);
  };
  const finishReads = ({ attention, attended, feed, fed }: Layer): readonly string[] => [
    ...attention.merged,
    ...[attended, feed, fed].flatMap(namesOf),
  ];
  const stages = layers.map(
    (layer, index): { operation: Operation<string, string>; reads: readonly string[] } =>
      index === 0
        ? {
            operation: stage("embed and project", ({ tokens, types: kinds, ...arrays }: ModelArrays) => {
              const [batch, length] = tokens.shape;
              const embedded = embedding.apply(tokens, arrays);
              const typed = embedded.add(takeRows(arrays[typeTable.name], kinds.reshape([batch * length])));
              return project(embeddingNorm.apply(typed, arrays), [batch, length, width], layer, arrays);
            }),
            reads: [
              ...namesOf(embedding),
              typeTable.name,
              ...namesOf(embeddingNorm),
              ...layer.attention.projected,
            ],
          }
        : {
            operation: stage("merge and project", (arrays: ModelArrays) => {
              const { shape } = arrays["x"];
              return project(finish(arrays, layers[index - 1]), shape, layer, arrays);
            }),
            reads: [...finishReads(layers[index - 1]), ...layer.attention.projected],
          },
  );
  const last = layers[layers.length - 1];
  const finishOperation: Operation<string, "x"> = stage("merge", (arrays: ModelArrays) => {
    const { shape } = arrays["x"];
    return { x: finish(arrays, last).reshape([...shape]) };
  });
  const pool: Operation<string, "means"> = stage("means at unit length", ({ x }: ModelArrays) => ({
    means: unitLength(np.mean(x, 1)),
  }));

  const runValues = async (tape: Tape, values: Values, batch: BertBatch): Promise<Value> => {
    const { tokens, types: kinds = new Int32Array(tokens.length) } = batch;
    const shape = shapeOf(batch, resolved);
    const table = places?.table?.(shape[1], width);
    let inputs: Values = {
      tokens: tape.constant(np.array(tokens, { shape })),
      types: tape.constant(np.array(kinds, { shape })),
      ...(table === undefined ? {} : { places: tape.constant(placeTable(table, width)) }),
    };
    for (const [index, { operation, reads }] of stages.entries()) {
      const { x, ...projected } = await tape.run(operation, { ...inputs, ...pick(values, reads) });
      tape.release(...Object.values(inputs));
      inputs = { x, ...(await layers[index].attention.attend(tape, projected)) };
    }
    const { x } = await tape.run(finishOperation, { ...inputs, ...pick(values, finishReads(last)) });
    tape.release(...Object.values(inputs));
    return x;
  };

  const meansOf = (arrays: ModelArrays, batch: BertBatch): Promise<Float32Array> =>
    withoutGradient(arrays, async (tape, values) => {
      const { means } = await tape.run(pool, { x: await runValues(tape, values, batch) });
      return (await means.read()) as Float32Array;
    });

  return {
    config: resolved,
    parameters,
    parameterCount: countParameters(parameters),
    run: (tape, arrays, batch) =>
      runValues(
        tape,
        Object.fromEntries(
          Object.entries(arrays).map(([name, array]) => [name, tape.parameter(name, array)]),
        ),
        batch,
      ),
    encode: (arrays, batch) =>
      withoutGradient(arrays, async (tape, values) => {
        const x = await runValues(tape, values, batch);
        const [rows, length] = shapeOf(batch, resolved);
        return { data: (await x.read()) as Float32Array, shape: [rows, length, width] };
      }),
    async embed(arrays, sentences) {
      const data = new Float32Array(sentences.length * width);
      const byLength = new Map<number, number[]>();
      for (const [index, { length }] of sentences.entries()) {
        byLength.set(length, [...(byLength.get(length) ?? []), index]);
      }
      for (const indices of byLength.values()) {
        const tokens = Int32Array.from(indices.flatMap((index) => [...sentences[index]]));
        const means = await meansOf(arrays, { tokens, batch: indices.length });
        indices.forEach((index, row) =>
          data.set(means.subarray(row * width, (row + 1) * width), index * width),
        );
      }
      return { data, shape: [sentences.length, width] };
    },
    dispose: () =>
      [
        ...stages.map(({ operation }) => operation),
        finishOperation,
        pool,
        ...layers.map(({ attention }) => attention),
      ].forEach((own) => own.dispose()),
  };
}

function resolveBertConfig(
  config: BertConfig,
  similarities: readonly AnyPartFactory[] = [],
): ResolvedBertConfig {
  const read = readSettings("a BERT", "bert-config", schema, config);
  const { width, heads, layers, attention } = read;
  requireDivides("heads", heads, "the width", width, "Change one of them");
  const sizes = { heads, keyValueHeads: heads, headWidth: width / heads, sees: "all" } as const;
  return {
    ...read,
    hidden: read.hidden ?? 4 * width,
    attention: config.attention,
    groups: composeLayers(layersOf(attention, layers), sizes, similarities),
  };
}

function shapeOf(
  { tokens, batch, types }: BertBatch,
  { maximumLength, vocabulary, types: kinds }: ResolvedBertConfig,
): [batch: number, length: number] {
  const length = tokens.length / batch;
  if (!Number.isInteger(length) || length === 0 || length > maximumLength) {
    throw new ShapeError(
      "bert-tokens",
      `Cannot encode as a batch has sequences of one length from 1 to ${maximumLength}: ${tokens.length} tokens, batch ${batch}. ` +
        "Pass [B, N] tokens, and shorten longer ones",
    );
  }
  if (types !== undefined && types.length !== tokens.length) {
    throw new ShapeError(
      "bert-tokens",
      `Cannot encode as every token has one type: ${tokens.length} tokens, ${types.length} types. Pass [B, N] types`,
    );
  }
  requireBelow("token", tokens, vocabulary);
  requireBelow("type", types ?? [], kinds);
  return [batch, length];
}

function requireBelow(what: string, numbers: Int32Array | readonly number[], count: number): void {
  for (const number of numbers) {
    if (number >= 0 && number < count) continue;
    throw new DomainError(
      "bert-token",
      `Cannot encode as every ${what} must be a whole number from 0 to ${count - 1}: ${number}. ` +
        "Use the tokenizer that the model was trained with",
    );
  }
}
