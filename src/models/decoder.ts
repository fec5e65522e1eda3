/**
 * @file A decoder-only Transformer with any attention of the algebra per layer and per head group. Its layers and its loss
 * are stages of jax-js, or fused blocks where it has an engine; logits and labels are always jax-js.
 */
import { numpy as np } from "@jax-js/jax";
import { type AnyPartFactory } from "../attention/index.ts";
import { stage, type Tape } from "../autodiff/index.ts";
import { DomainError, ShapeError } from "../base/errors.ts";
import { type Tensor } from "../base/tensor.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { crossEntropy } from "../nn/cross-entropy.ts";
import { takeRows } from "../nn/embedding.ts";
import { residualDeviation, weightDeviation } from "../nn/initialisation.ts";
import { assembleModel, type ModelRun, pick, type Values, withoutGradient } from "./assemble-model.ts";
import { attentionLayer } from "./attention-layer.ts";
import { balancedLoss } from "./balanced-loss.ts";
import { embeddingBlock, feedForwardBlock, headBlock, normBlock } from "./decoder-blocks.ts";
import {
  type ComposedGroup,
  type DecoderConfig,
  type ResolvedDecoderConfig,
  resolveDecoderConfig,
} from "./decoder-config.ts";
import { type DecoderLayer, type LayersResult, namesOf } from "./decoder-layers.ts";
import { kindOf, numbersOf, placesOf, placeTable } from "./decoder-places.ts";
import { type Decoding, decodingStages } from "./decoding.ts";
import { fusedLayers, fusedLoss } from "./fused-layers.ts";
import { type Activations, activationStages } from "./layer-activations.ts";
import { type Model, type ModelArrays, type ModelParameter } from "./model.ts";
import { type LayerObserver } from "./observe-scores.ts";
import { reversibleLayers } from "./reversible-layers.ts";
import { activeCountOf, routedFeedForward } from "./routed-feed-forward.ts";
import { stagedLayers, stagedLoss } from "./staged-layers.ts";
import { groupStateBytes } from "./state-bytes.ts";

/** Sequences with labels. */
export interface TokenBatch {
  /** [B, N] */
  readonly tokens: Int32Array;
  /** B */
  readonly batch: number;
  /** What is right at each labelled place, [M]. */
  readonly targets: Int32Array;
  /** Labelled places, as sequence·N + place, [M]; every place in order when absent. */
  readonly positions?: Int32Array;
}

/** A decoder. */
export interface Decoder extends Model<TokenBatch> {
  readonly config: ResolvedDecoderConfig;
  /**
   * Logits of the next token at every place.
   *
   * @param tokens - [B, N]
   * @param batch - B
   * @returns [B, N, V]
   */
  logits(arrays: ModelArrays, tokens: Int32Array, batch: number): Promise<Tensor>;
  /**
   * What tokens become, layer by layer: the residual stream, and the queries, keys, values and outputs of all heads.
   *
   * @param tokens - [B, N]
   * @param batch - B
   * @throws UnsupportedError `activations-residual` with reversible residuals
   */
  activations(arrays: ModelArrays, tokens: Int32Array, batch: number): Promise<Activations>;
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
  const layers = resolved.groups.map((groups, index): DecoderLayer => {
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
  const logitsOf = (arrays: ModelArrays, positions: np.Array | undefined): np.Array => {
    const rows = computed.rows(arrays);
    return head.apply(positions === undefined ? rows : takeRows(rows, positions), arrays);
  };
  const loss = balancedLoss(engine === undefined ? stagedLoss(logitsOf) : fusedLoss(head, engine));
  const labelsOperation = stage("head and labels", ({ targets, positions, ...arrays }: ModelArrays) => {
    const logits = logitsOf(arrays, positions);
    return { predicted: np.argmax(logits.ref, -1), losses: crossEntropy(logits, targets) };
  });
  const logitsOperation = stage("head", (arrays: ModelArrays) => ({ logits: logitsOf(arrays, undefined) }));
  const lastReads = [...computed.reads, ...namesOf(head)];

  const givenOf = (tape: Tape, tokens: Int32Array, batch: number): Values => {
    const length = lengthOf(tokens, batch, resolved);
    return {
      tokens: tape.constant(np.array(tokens, { shape: [batch, length] })),
      ...(places?.table === undefined
        ? {}
        : { places: tape.constant(placeTable(places.table(length, resolved.width), resolved.width)) }),
    };
  };

  /** Runs everything before the last stage; what it returns is that stage's input. */
  async function runLayers(
    tape: Tape,
    values: Values,
    { tokens, batch }: Pick<TokenBatch, "tokens" | "batch">,
    observe?: LayerObserver,
  ): Promise<LayersResult> {
    const { inputs, balances } = await computed.run(tape, givenOf(tape, tokens, batch), values, observe);
    return { inputs: { ...inputs, ...pick(values, lastReads) }, balances };
  }

  const run = async (
    tape: Tape,
    values: Values,
    batch: TokenBatch,
    observe?: LayerObserver,
  ): Promise<ModelRun> => {
    const { tokens, targets, positions } = batch;
    requireTokens(targets, resolved.vocabulary);
    requirePlaces(tokens.length, targets.length, positions);
    const { inputs, balances } = await runLayers(tape, values, batch, observe);
    const labels = {
      targets: tape.constant(np.array(targets)),
      ...(positions === undefined ? {} : { positions: tape.constant(np.array(positions)) }),
    };
    return { inputs: { ...inputs, ...labels }, balances };
  };
  const decoding = decodingStages({
    config: resolved,
    layers,
    head,
    places: numbersOf(places, resolved) ?? embedding.parameters[1]?.name,
    engine,
    requireTokens: (tokens) => requireTokens(tokens, resolved.vocabulary),
  });
  const activations = activationStages(resolved.residual, embedding, layers);
  const bytesOf =
    (length: number) =>
    (sum: number, group: ComposedGroup): number =>
      sum +
      groupStateBytes(group, { length, headWidth: resolved.headWidth, convolution: resolved.convolution });

  return {
    ...assembleModel({
      parameters,
      run,
      loss: (tape, inputs, balances) => loss.run(tape, inputs, balances),
      labelsOperation,
      stateBytes: (length) => resolved.groups.flat().reduce(bytesOf(length), 0),
      owned: [
        logitsOperation,
        loss,
        computed,
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
    activations: (arrays, tokens, batch) => activations.read(arrays, (tape) => givenOf(tape, tokens, batch)),
    decode: (arrays, { batch = 1 } = {}) => decoding.start(arrays, batch),
    logits: (arrays, tokens, batch) =>
      withoutGradient(arrays, async (tape, values) => {
        const { inputs } = await runLayers(tape, values, { tokens, batch });
        const { logits } = await tape.run(logitsOperation, inputs);
        const shape = [batch, tokens.length / batch, resolved.vocabulary];
        return { data: (await logits.read()) as Float32Array, shape };
      }),
  };
}

function lengthOf(
  tokens: Int32Array,
  batch: number,
  { maximumLength, vocabulary }: ResolvedDecoderConfig,
): number {
  const length = tokens.length / batch;
  if (!Number.isInteger(length) || length === 0) {
    throw new ShapeError(
      "decoder-tokens",
      `Cannot decode as the batch must divide its tokens: ${tokens.length} tokens, batch ${batch}. Pass [B, N] tokens`,
    );
  }
  if (length > maximumLength) {
    throw new ShapeError(
      "decoder-length",
      `Cannot decode as a sequence may have at most maximumLength tokens: ${length}, and ${maximumLength} are allowed. ` +
        "Shorten it, or make the decoder with a larger maximumLength",
    );
  }
  requireTokens(tokens, vocabulary);
  return length;
}

function requireTokens(tokens: Int32Array, vocabulary: number): void {
  const foreign = tokens.find((token) => token < 0 || token >= vocabulary);
  if (foreign === undefined) return;
  throw new DomainError(
    "decoder-token",
    `Cannot decode as every token must be a whole number from 0 to ${vocabulary - 1}: ${foreign}. ` +
      "Use the vocabulary that the decoder was made for",
  );
}

function requirePlaces(places: number, labels: number, positions: Int32Array | undefined): void {
  const count = positions?.length ?? places;
  if (labels !== count || labels === 0) {
    throw new ShapeError(
      "decoder-labels",
      `Cannot score a batch as every labelled place has one target: ${count} places, ${labels} targets. ` +
        "Pass as many targets as positions, or as tokens where positions are left out",
    );
  }
  const outside = positions?.find((position) => position < 0 || position >= places);
  if (outside === undefined) return;
  throw new DomainError(
    "decoder-labels",
    `Cannot score a batch as a labelled place must be one of its ${places}: ${outside}. Pass sequence·N + place`,
  );
}
