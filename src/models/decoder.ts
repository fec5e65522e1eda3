/**
 * @file A decoder-only Transformer with any attention of the algebra per layer and per head group. Its layers and its loss
 * are stages of jax-js, or fused blocks where it has an engine; logits and labels are always jax-js.
 */
import { type AnyPartFactory } from "../attention/index.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { residualDeviation, weightDeviation } from "../nn/initialisation.ts";
import { attentionLayer } from "./attention-layer.ts";
import { embeddingBlock, feedForwardBlock, headBlock, normBlock } from "./decoder-blocks.ts";
import {
  type ComposedGroup,
  type DecoderConfig,
  type ResolvedDecoderConfig,
  resolveDecoderConfig,
} from "./decoder-config.ts";
import { type DecoderLayer } from "./decoder-layers.ts";
import { kindOf, numbersOf, placesOf, placeTable } from "./decoder-places.ts";
import { type Decoding } from "./decoding-session.ts";
import { decodingStages } from "./decoding.ts";
import { fusedLayers, fusedLoss } from "./fused-layers.ts";
import { type Activations, activationStages, type HeadActivations } from "./layer-activations.ts";
import { type ModelArrays, type ModelParameter } from "./model.ts";
import { reversibleLayers } from "./reversible-layers.ts";
import { activeCountOf, routedFeedForward } from "./routed-feed-forward.ts";
import { stagedLayers, stagedLoss } from "./staged-layers.ts";
import { groupStateBytes } from "./state-bytes.ts";
import { tokenInputs, tokenModel, type TokenModel } from "./token-model.ts";

export { type TokenBatch } from "./token-model.ts";

/** A decoder. */
export interface Decoder extends TokenModel {
  readonly config: ResolvedDecoderConfig;
  /**
   * What tokens become, layer by layer: the residual stream, and the queries, keys, values and outputs of all heads.
   *
   * @param tokens - [B, N]
   * @param batch - B
   * @throws UnsupportedError `activations-residual` with reversible residuals
   */
  activations(arrays: ModelArrays, tokens: Int32Array, batch: number): Promise<Activations>;
  /**
   * What some layers' heads make, and of what: nothing else is read, and nothing after the last of them is computed.
   *
   * @param tokens - [B, N]
   * @param batch - B
   * @param layers - which, in rising order
   * @returns one entry for each of `layers`
   * @throws UnsupportedError `activations-residual` with reversible residuals
   */
  headActivations(
    arrays: ModelArrays,
    tokens: Int32Array,
    batch: number,
    layers: readonly number[],
  ): Promise<readonly HeadActivations[]>;
  /**
   * Begins to decode token by token, or a prompt at once, from an empty past: the logits are those of {@link Decoder.logits}, and the
   * memory is that of the keys and values of attentions, as far back as they see, and of the states of recurrences.
   *
   * @param arrays - they stay the caller's, and must outlive the decoding
   * @param options - `batch`: B (default 1)
   * @throws UnsupportedError `decoding-normaliser` for a sigmoid whose bias counts the keys of a whole sequence
   * @example
   * ```ts
   * import { numpy as np } from "@jax-js/jax";
   * import { startJax } from "qklab/jax";
   * import { decoder } from "qklab/models";
   * await startJax();
   * const model = decoder({ vocabulary: 8, width: 8, layers: 1, heads: 2, attention: "deltanet", maximumLength: 64 });
   * const arrays = Object.fromEntries(
   *   model.parameters.map(({ name, shape, initial }) => [name, np.array(initial(1).data, { shape: [...shape] })]),
   * );
   * const decoding = model.decode(arrays);
   * await decoding.take(Int32Array.of(2, 7, 1)); // a prompt
   * const logits = await decoding.step(Int32Array.of(3)); // [1, 8]
   * decoding.stateBytes; // 128, at the first token and at every other
   * decoding.dispose();
   * ```
   */
  decode(arrays: ModelArrays, options?: { readonly batch?: number }): Decoding;
}

/**
 * Makes a decoder. It holds no numbers: its tensors are made from `parameters` and passed to every call.
 *
 * @param config - see {@link DecoderConfig}
 * @param options - `similarities`: the caller's own, which selectors may name; `engine`: computes the attentions by fused
 *   kernels, jax-js when absent
 * @throws DomainError, ShapeError, UnsupportedError when the configuration does not fit together
 * @example
 * ```ts
 * import { decoder } from "qklab/models";
 * const model = decoder({
 *   vocabulary: 81, width: 64, layers: 2, heads: 4, attention: "l2:beta=auto+rope+causal", maximumLength: 64,
 * });
 * model.parameters[0].name; // "model.embed_tokens.weight"
 * model.parameterCount; // 105864
 * ```
 */
export function decoder(
  config: DecoderConfig,
  options: {
    readonly similarities?: readonly AnyPartFactory[];
    readonly engine?: WasmEngine | undefined;
  } = {},
): Decoder {
  const { engine } = options;
  const resolved = resolveDecoderConfig(config, options.similarities);
  const places = placesOf(resolved);
  const embedding = embeddingBlock(resolved, kindOf(places));
  const layers = decoderLayersOf(resolved, engine);
  const head = headBlock(resolved);
  const parameters: readonly ModelParameter[] = [
    ...embedding.parameters,
    ...layers.flatMap(({ norm, attention, feedForward, routed }) => [
      ...norm.parameters,
      ...attention.parameters,
      ...((feedForward ?? routed)?.parameters ?? []),
    ]),
    ...head.owned,
  ];

  const computed =
    resolved.residual === "reversible"
      ? reversibleLayers(embedding, layers, engine)
      : engine === undefined
        ? stagedLayers(resolved, embedding, layers)
        : fusedLayers(embedding, layers, engine);
  const constants = (length: number): ModelArrays =>
    places?.table === undefined
      ? {}
      : { places: placeTable(places.table(length, resolved.width), resolved.width) };
  const decoding = decodingStages({
    config: resolved,
    layers,
    head,
    places: numbersOf(places, resolved) ?? embedding.parameters[1]?.name,
    engine,
  });
  const activations = activationStages(resolved.residual, embedding, layers, engine);
  const bytesOf =
    (length: number) =>
    (sum: number, group: ComposedGroup): number =>
      sum +
      groupStateBytes(group, { length, headWidth: resolved.headWidth, convolution: resolved.convolution });

  return {
    ...tokenModel({
      sizes: resolved,
      parameters,
      computed,
      head,
      lossOf: (logitsOf) => (engine === undefined ? stagedLoss(logitsOf) : fusedLoss(head, engine)),
      constants,
      stateBytes: (length) => resolved.groups.flat().reduce(bytesOf(length), 0),
      owned: [
        decoding,
        activations,
        ...layers.flatMap(({ attention, routed }) =>
          routed === undefined ? [attention] : [attention, routed],
        ),
      ],
    }),
    ...activeCountOf(
      parameters,
      layers.map(({ routed }) => routed),
    ),
    config: resolved,
    activations: (arrays, tokens, batch) =>
      activations.read(arrays, (tape) => tokenInputs(tape, { tokens, batch }, resolved, constants)),
    headActivations: (arrays, tokens, batch, layers) =>
      activations.readHeads(
        arrays,
        (tape) => tokenInputs(tape, { tokens, batch }, resolved, constants),
        layers,
      ),
    decode: (arrays, { batch = 1 } = {}) => decoding.start(arrays, batch),
  };
}

/** The layers of a decoder, whose stages are compiled when they run. */
export function decoderLayersOf(
  resolved: ResolvedDecoderConfig,
  engine: WasmEngine | undefined,
): readonly DecoderLayer[] {
  return resolved.groups.map((groups, index): DecoderLayer => {
    const prefix = `model.layers.${index}`;
    const attention = attentionLayer({
      prefix: `${prefix}.self_attn`,
      groups,
      width: resolved.width,
      headWidth: resolved.headWidth,
      convolution: resolved.convolution,
      sharedQueryKey: resolved.sharedQueryKey,
      projectionBias: resolved.projectionBias,
      outputBias: resolved.outputBias,
      ...(resolved.headNorm === "rms" ? { headNorm: resolved.normEpsilon } : {}),
      engine,
      deviations: {
        into: weightDeviation(resolved.width),
        out: residualDeviation(resolved.width, resolved.layers),
      },
    });
    const routed = routedFeedForward(resolved, index, engine);
    return {
      attention,
      norm: normBlock(resolved, `${prefix}.input_layernorm`),
      feedForward: routed === undefined ? feedForwardBlock(resolved, index) : undefined,
      routed,
    };
  });
}
