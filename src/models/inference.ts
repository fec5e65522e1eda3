/**
 * @file A trained decoder that generates on an engine: its weights stay in the engine's memory, as float32 or as the 8-bit numbers that
 * they were stored as, and a token goes through norms, linear maps and mixers without jax-js. What it computes is what the
 * decoder of the same config computes.
 */
import { type AnyPartFactory } from "../attention/index.ts";
import { UnsupportedError } from "../base/errors.ts";
import { requireFinite } from "../base/tensor.ts";
import { inRowsCall, type Rows, type RowsCall, type WasmEngine } from "../kernels/wasm/index.ts";
import { embeddingBlock, headBlock } from "./decoder-blocks.ts";
import { type DecoderConfig, type ResolvedDecoderConfig, resolveDecoderConfig } from "./decoder-config.ts";
import { decoderLayersOf } from "./decoder.ts";
import { kindOf, numbersOf, placesOf } from "./decoder-places.ts";
import { type Decoding, decodingSession } from "./decoding-session.ts";
import { requireCausalNumbers } from "./decoding.ts";
import { type HeadRows, type LayerMixers, layerMixers } from "./inference-mixers.ts";
import {
  type InferenceWeights,
  KeptDecoder,
  type KeptFeedForward,
  type KeptLayer,
  readTableRow,
  requireWeights,
  vectorOf,
} from "./inference-weights.ts";

export { type InferenceWeights } from "./inference-weights.ts";

/** A decoder whose weights lie in an engine's memory. */
export interface InferenceModel {
  readonly config: ResolvedDecoderConfig;
  /**
   * Begins to decode from an empty past.
   *
   * @param options - `batch`: B (default 1)
   */
  start(options?: { readonly batch?: number }): Decoding;
  /** Bytes of the engine's memory that the weights take. */
  readonly sizeBytes: number;
  /** Gives the memory back; decodings must not be used afterwards. */
  dispose(): void;
}

/**
 * Puts a decoder's weights into an engine's memory, where it generates.
 *
 * @param config - as of `decoder`
 * @param weights - by the names of `decoder(config).parameters`, matrices as tensors or as 8-bit numbers; they are copied, but for the
 *   table of the embeddings, which must not be changed
 * @param options - `engine`: computes everything; the gates and head norms of recurrences are jax-js, which `startJax` must have started;
 *   `similarities`: the caller's own, which selectors may name
 * @throws UnsupportedError `inference-form` for experts, convolutions, shared queries and keys, reversible residuals and head norms of
 *   widths that no 8 divides, `decoding-normaliser`, `memory`; MissingError `weights-missing`, ShapeError `weights-shape`, NumbersError
 *   `not-finite`, and what `decoder` throws
 * @example
 * ```ts
 * import { decoder, inference } from "qklab/models";
 * import { WasmEngine } from "qklab/wasm";
 * const config = { vocabulary: 8, width: 8, layers: 1, heads: 2, attention: "dot+rope+causal", maximumLength: 64 };
 * const weights = decoder(config).parameters.map(({ name, initial }) => [name, initial(1)]);
 * const model = inference(config, Object.fromEntries(weights), { engine: new WasmEngine() });
 * const decoding = model.start();
 * await decoding.take(Int32Array.of(2, 7, 1)); // a prompt
 * const logits = await decoding.step(Int32Array.of(3));
 * logits.shape; // [1, 8]
 * decoding.dispose();
 * model.dispose();
 * ```
 */
export function inference(
  config: DecoderConfig,
  weights: InferenceWeights,
  options: { readonly engine: WasmEngine; readonly similarities?: readonly AnyPartFactory[] },
): InferenceModel {
  const { engine } = options;
  const resolved = resolveDecoderConfig(config, options.similarities);
  requireForm(resolved);
  const { width, headWidth, vocabulary, embeddingScale } = resolved;
  const places = placesOf(resolved);
  const embedding = embeddingBlock(resolved, kindOf(places));
  const layers = decoderLayersOf(resolved, undefined);
  requireCausalNumbers(layers);
  const head = headBlock(resolved);
  requireWeights(weights, [
    ...embedding.parameters,
    ...layers.flatMap(({ norm, attention, feedForward }) => [
      ...norm.parameters,
      ...attention.parameters,
      ...(feedForward?.parameters ?? []),
    ]),
    ...head.parameters,
  ]);
  const placeRows =
    embedding.parameters.length > 1
      ? vectorOf(weights, embedding.parameters[1].name).data
      : numbersOf(places, resolved);
  const table = weights[embedding.table];
  const mixers: LayerMixers[] = [];
  let kept: KeptDecoder;
  try {
    for (const { attention } of layers) mixers.push(layerMixers(attention, headWidth, weights, engine));
    kept = new KeptDecoder(engine, weights, { ...resolved, layers, head });
  } catch (error) {
    for (const own of mixers) own.dispose();
    throw error;
  }

  const embed = (tokens: Int32Array, first: number, count: number): Float32Array => {
    const rows = new Float32Array(tokens.length * width);
    for (let at = 0; at < tokens.length; at++) {
      const row = rows.subarray(at * width, (at + 1) * width);
      readTableRow(table, tokens[at], embeddingScale, row);
      if (placeRows === undefined) continue;
      const place = (first + (at % count)) * width;
      for (let d = 0; d < width; d++) row[d] += placeRows[place + d];
    }
    return rows;
  };
  const project = (call: RowsCall, x: Rows, index: number): HeadRows => {
    const normed = call.normalise(x, kept.layers[index].norm);
    const [q, k, v] = projected(call, normed, kept.layers[index]).map((rows) => call.read(rows));
    return { q, k, v, ...(mixers[index].readsRows ? { rows: call.read(normed) } : {}) };
  };

  const start = (batch: number): Decoding => {
    const states = mixers.map((own) => own.start());
    const compute = async (tokens: Int32Array, first: number): Promise<Float32Array> => {
      const count = tokens.length / batch;
      let x = embed(tokens, first, count);
      let given = inRowsCall(engine, tokens.length, (call) => project(call, call.put(x, width), 0));
      for (const [index, layer] of kept.layers.entries()) {
        const mixed = await mixers[index].take(states[index], given, batch);
        if (index === layers.length - 1) {
          const [rows, outputs] = [x, mixed].map((data) => lastRows(data, batch, count));
          return inRowsCall(engine, batch, (call) => {
            const stream = mergeAndFeed(call, { rows, width, outputs }, layer);
            return call.read(call.linear(call.normalise(stream, kept.head.norm), kept.head.table));
          });
        }
        [x, given] = inRowsCall(engine, tokens.length, (call) => {
          const stream = mergeAndFeed(call, { rows: x, width, outputs: mixed }, layer);
          return [call.read(stream), project(call, stream, index + 1)] as const;
        });
      }
      return x;
    };
    return decodingSession({
      batch,
      config: resolved,
      compute: async (tokens, first) => {
        const data = await compute(tokens, first);
        requireFinite("the logits", { data, shape: [batch, vocabulary] });
        return data;
      },
      size: () => states.flat().reduce((sum, { size }) => sum + size, 0),
      release: () => states.flat().forEach((state) => state.dispose()),
    });
  };
  return {
    config: resolved,
    start: ({ batch = 1 } = {}) => start(batch),
    sizeBytes: kept.sizeBytes,
    dispose() {
      kept.dispose();
      for (const own of mixers) own.dispose();
    },
  };
}

/** Queries, keys and values of all heads, where all are stored alike in one phase. */
function projected(
  call: RowsCall,
  normed: Rows,
  { q, k, v, queryNorm, keyNorm }: KeptLayer,
): readonly Rows[] {
  const maps = [q, k, v];
  const rows = maps.every(({ kind }) => kind === q.kind)
    ? call.linears(normed, maps)
    : maps.map((map) => call.linear(normed, map));
  if (queryNorm !== undefined) call.normaliseHeads(rows[0], queryNorm);
  if (keyNorm !== undefined) call.normaliseHeads(rows[1], keyNorm);
  return rows;
}

/** x + W_o·outputs, and its feed-forward. */
function mergeAndFeed(
  call: RowsCall,
  {
    rows,
    width,
    outputs,
  }: { readonly rows: Float32Array; readonly width: number; readonly outputs: Float32Array },
  { o, feedForward }: KeptLayer,
): Rows {
  const stream = call.put(rows, width);
  call.addLinear(stream, call.put(outputs, o.inputs), o);
  if (feedForward !== undefined) addFeedForward(call, stream, feedForward);
  return stream;
}

function addFeedForward(call: RowsCall, stream: Rows, feedForward: KeptFeedForward): void {
  const { gate, up, down } = feedForward;
  const normed = call.normalise(stream, feedForward.norm);
  const inner = call.activated(normed, { up, gate, activation: feedForward.activation });
  call.addLinear(stream, inner, down);
}

/** The last of every sequence's rows [B·N, …]. */
function lastRows(rows: Float32Array, batch: number, count: number): Float32Array {
  if (count === 1) return rows;
  const width = rows.length / (batch * count);
  const last = new Float32Array(batch * width);
  for (let sequence = 0; sequence < batch; sequence++) {
    const start = ((sequence + 1) * count - 1) * width;
    last.set(rows.subarray(start, start + width), sequence * width);
  }
  return last;
}

/** Refuses what only the staged form computes. */
function requireForm(config: ResolvedDecoderConfig): void {
  const { experts, convolution, residual, sharedQueryKey, headNorm, headWidth } = config;
  const foreign = [
    experts === undefined ? undefined : "experts",
    convolution === 1 ? undefined : `a convolution over ${convolution} tokens`,
    residual === "plain" ? undefined : "reversible residuals",
    sharedQueryKey ? "keys that are the queries" : undefined,
    headNorm === "rms" && headWidth % 8 !== 0 ? `norms of heads of width ${headWidth}` : undefined,
  ].find((feature) => feature !== undefined);
  if (foreign === undefined) return;
  throw new UnsupportedError(
    "inference-form",
    "Cannot keep a model in an engine as its layers must be a norm, linear maps of heads and one feed-forward, and widths of normed " +
      `heads multiples of 8: it has ${foreign}. Use decoder(config).decode, which computes by stages`,
  );
}
