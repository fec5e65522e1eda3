/**
 * @file A decoder-only Transformer with any attention of the algebra per layer and per head group. On the tape it is
 * embed+project, attend, merge+project, attend … merge+head+loss: what lies between two attentions is one stage, or two
 * where an engine computes the feed-forward block between them.
 */
import { numpy as np } from "@jax-js/jax";
import { type AnyPartFactory } from "../attention/index.ts";
import {
  embeddingOperation,
  fusedFeedForwardOperation,
  lossStage,
  type Operation,
  stage,
  type Tape,
  type Value,
} from "../autodiff/index.ts";
import { DomainError, ShapeError } from "../base/errors.ts";
import { type Tensor } from "../base/tensor.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { crossEntropy } from "../nn/cross-entropy.ts";
import { takeRows } from "../nn/embedding.ts";
import { residualDeviation, weightDeviation } from "../nn/initialisation.ts";
import { type EmbeddingPosition } from "../positions/index.ts";
import { assembleModel, pick, type Values, withoutGradient } from "./assemble-model.ts";
import { type AttentionLayer, attentionLayer } from "./attention-layer.ts";
import {
  type Block,
  embeddingBlock,
  type FeedForwardBlock,
  feedForwardBlock,
  headBlock,
  normBlock,
} from "./decoder-blocks.ts";
import {
  type ComposedGroup,
  type DecoderConfig,
  type ResolvedDecoderConfig,
  resolveDecoderConfig,
} from "./decoder-config.ts";
import { type Model, type ModelArrays, type ModelParameter } from "./model.ts";
import { type LayerObserver } from "./observe-scores.ts";
import {
  activeCountOf,
  balancePrefix,
  type RoutedFeedForward,
  routedFeedForward,
  withoutBalances,
} from "./routed-feed-forward.ts";
import { stateBytes } from "./state-bytes.ts";

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
}

type StageOperation = Operation<string, string>;

/** One layer: its attention, and the blocks before and after it. */
interface Layer {
  readonly attention: AttentionLayer;
  readonly norm: Block;
  readonly feedForward: FeedForwardBlock | undefined;
  /** In place of a feed-forward. */
  readonly routed: RoutedFeedForward | undefined;
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
  const layers = resolved.groups.map((groups, index): Layer => {
    const prefix = `model.layers.${index}`;
    const attention = attentionLayer({
      prefix: `${prefix}.self_attn`,
      groups,
      width: resolved.width,
      headWidth: resolved.headWidth,
      engine,
      deviations: {
        into: weightDeviation(resolved.width),
        out: residualDeviation(resolved.width, resolved.layers),
      },
    });
    const routed = routedFeedForward(resolved, index, attention, engine);
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

  /** The `x` that comes out is a leaf: jax-js cannot differentiate a function with an output that another one is made of. */
  const project = (
    rows: np.Array,
    [batch, length]: readonly number[],
    { norm, attention }: Layer,
    arrays: ModelArrays,
  ): Record<string, np.Array> => {
    const projected = attention.project(norm.apply(rows.ref, arrays), batch, arrays);
    return { x: rows.reshape([batch, length, resolved.width]), ...projected };
  };
  const merge = ({ attention, feedForward }: Layer, { fed, ...arrays }: ModelArrays): np.Array => {
    if (fed !== undefined) return rowsOf(arrays["x"]).add(fed);
    const rows = rowsOf(arrays["x"]).add(attention.merge(arrays));
    return feedForward === undefined ? rows : feedForward.apply(rows, arrays);
  };
  const lastLayer = layers[layers.length - 1];
  const logitsOf = (arrays: ModelArrays, positions: np.Array | undefined): np.Array => {
    const rows = merge(lastLayer, arrays);
    return head.apply(positions === undefined ? rows : takeRows(rows, positions), arrays);
  };

  const projectedNames = ({ norm, attention }: Layer): readonly string[] => [
    ...namesOf(norm),
    ...attention.projected,
  ];
  const fusedFeedForwards = layers.map(({ attention, feedForward, routed }) =>
    engine === undefined || feedForward === undefined
      ? routed
      : fusedFeedForward(attention, feedForward, engine),
  );
  const mergedNames = (index: number): readonly string[] => {
    const { attention, feedForward } = layers[index];
    if (fusedFeedForwards[index] !== undefined) return [];
    return [...attention.merged, ...(feedForward === undefined ? [] : namesOf(feedForward))];
  };
  const takeTokens = engine === undefined ? undefined : embeddingOperation();
  const stages: readonly { readonly operation: StageOperation; readonly reads: readonly string[] }[] =
    layers.map((layer, index) =>
      index === 0
        ? {
            operation: stage("embed and project", ({ tokens, ...arrays }: ModelArrays) => {
              const { shape } = tokens;
              return project(embedding.apply(tokens, arrays), shape, layer, arrays);
            }),
            reads: [
              ...namesOf(embedding).filter((name) => takeTokens === undefined || name !== embedding.table),
              ...projectedNames(layer),
            ],
          }
        : {
            operation: stage("merge and project", (arrays: ModelArrays) => {
              const { shape } = arrays["x"];
              return project(merge(layers[index - 1], arrays), shape, layer, arrays);
            }),
            reads: [...mergedNames(index - 1), ...projectedNames(layer)],
          },
    );
  const lastReads = [...mergedNames(layers.length - 1), ...namesOf(head)];
  const lossOperation = lossStage(
    "merge, head and loss",
    ({ targets, positions, ...inputs }: ModelArrays) => {
      const { balances, arrays } = withoutBalances(inputs);
      const loss = np.mean(crossEntropy(logitsOf(arrays, positions), targets));
      return { loss: balances.reduce((sum, balance) => sum.add(balance), loss) };
    },
  );
  const labelsOperation = stage(
    "merge, head and labels",
    ({ targets, positions, ...inputs }: ModelArrays) => {
      const { balances, arrays } = withoutBalances(inputs);
      for (const balance of balances) balance.dispose();
      const logits = logitsOf(arrays, positions);
      return { predicted: np.argmax(logits.ref, -1), losses: crossEntropy(logits, targets) };
    },
  );
  const logitsOperation = stage("merge and head", (arrays: ModelArrays) => ({
    logits: logitsOf(arrays, undefined),
  }));

  /** Runs everything before the last stage; what it returns is that stage's input. */
  async function runLayers(
    tape: Tape,
    values: Values,
    { tokens, batch }: Pick<TokenBatch, "tokens" | "batch">,
    observe?: LayerObserver,
  ): Promise<{ readonly inputs: Values; readonly balances: Values }> {
    const length = lengthOf(tokens, batch, resolved);
    let inputs: Values = {
      tokens: tape.constant(np.array(tokens, { shape: [batch, length] })),
      ...(places?.table === undefined
        ? {}
        : { places: tape.constant(placeTable(places.table(length, resolved.width), length)) }),
    };
    if (takeTokens !== undefined) {
      const { rows } = await tape.run(takeTokens, { ids: inputs["tokens"], table: values[embedding.table] });
      inputs = { ...inputs, rows };
    }
    const balances: Record<string, Value> = {};
    for (const [index, { operation, reads }] of stages.entries()) {
      const { attention } = layers[index];
      const { x, ...projected } = await tape.run(operation, { ...inputs, ...pick(values, reads) });
      tape.release(...Object.values(inputs));
      inputs = { x, ...(await attention.attend(tape, projected, observe)) };
      const fed = await fusedFeedForwards[index]?.run(tape, inputs, values, observe);
      if (fed === undefined) continue;
      const { balance, ...rest } = fed;
      if (balance !== undefined) balances[`${balancePrefix}${index}`] = balance;
      inputs = rest;
    }
    return { inputs: { ...inputs, ...pick(values, lastReads) }, balances };
  }

  const run = async (
    tape: Tape,
    values: Values,
    batch: TokenBatch,
    observe?: LayerObserver,
  ): Promise<Values> => {
    const { tokens, targets, positions } = batch;
    requireTokens(targets, resolved.vocabulary);
    requirePlaces(tokens.length, targets.length, positions);
    const { inputs, balances } = await runLayers(tape, values, batch, observe);
    return {
      ...inputs,
      ...balances,
      targets: tape.constant(np.array(targets)),
      ...(positions === undefined ? {} : { positions: tape.constant(np.array(positions)) }),
    };
  };
  const bytesOf =
    (length: number) =>
    (sum: number, { composition, keyValueHeads }: ComposedGroup): number =>
      sum + stateBytes(composition, { length, layers: 1, keyValueHeads, headWidth: resolved.headWidth });

  return {
    ...assembleModel({
      parameters,
      run,
      lossOperation,
      labelsOperation,
      stateBytes: (length) => resolved.groups.flat().reduce(bytesOf(length), 0),
      owned: [
        logitsOperation,
        ...stages.map(({ operation }) => operation),
        ...layers.map(({ attention }) => attention),
        ...fusedFeedForwards.filter((fused) => fused !== undefined),
      ],
    }),
    ...activeCountOf(
      parameters,
      layers.map(({ routed }) => routed),
    ),
    config: resolved,
    logits: (arrays, tokens, batch) =>
      withoutGradient(arrays, async (tape, values) => {
        const { inputs } = await runLayers(tape, values, { tokens, batch });
        const { logits } = await tape.run(logitsOperation, inputs);
        const shape = [batch, tokens.length / batch, resolved.vocabulary];
        return { data: (await logits.read()) as Float32Array, shape };
      }),
  };
}

function namesOf({ parameters }: { readonly parameters: readonly ModelParameter[] }): readonly string[] {
  return parameters.map(({ name }) => name);
}

/** [B, N, width] to [B·N, width]. */
const rowsOf = (x: np.Array): np.Array => x.reshape([x.shape[0] * x.shape[1], x.shape[2]]);

/** A layer's end on the tape, where an engine computes its feed-forward block. */
interface FusedFeedForward {
  /** From the layer's `x` and the outputs of its attention to `x` and `fed`, whose sum is what the layer makes of it. */
  run(tape: Tape, inputs: Values, values: Values): Promise<Record<"x" | "fed", Value> & { balance?: Value }>;
  dispose(): void;
}

function fusedFeedForward(
  attention: AttentionLayer,
  { norm, weights }: FeedForwardBlock,
  engine: WasmEngine,
): FusedFeedForward {
  const merge: StageOperation = stage("merge", (arrays: ModelArrays) => {
    const { shape } = arrays["x"];
    const rows = rowsOf(arrays["x"]).add(attention.merge(arrays));
    return { x: rows.ref.reshape(shape), normed: norm.apply(rows, arrays) };
  });
  const operation = fusedFeedForwardOperation(engine);
  const reads = [...attention.merged, ...namesOf(norm)];
  return {
    async run(tape, inputs, values) {
      const { x, normed } = await tape.run(merge, { ...inputs, ...pick(values, reads) });
      tape.release(...Object.values(inputs));
      const held = Object.fromEntries(Object.entries(weights).map(([role, name]) => [role, values[name]]));
      const { out: fed } = await tape.run(operation, { x: normed, ...held });
      tape.release(normed);
      return { x, fed };
    },
    dispose: () => merge.dispose(),
  };
}

/** The position that is added to embeddings, which all layers that name one must share. */
function placesOf({ groups }: ResolvedDecoderConfig): EmbeddingPosition | undefined {
  const named = groups
    .flat()
    .map(({ composition }) => composition.position)
    .filter((position): position is EmbeddingPosition => position.place === "embedding");
  const [first, ...others] = new Map(
    named.map((position) => [`${position.name}:${JSON.stringify(position.options)}`, position]),
  ).values();
  if (others.length === 0) return first;
  throw new DomainError(
    "decoder-positions",
    "Cannot make a decoder as one kind of position is added to its embeddings, for all layers: " +
      `${first.name} and ${others[0].name}. Name one of them`,
  );
}

function kindOf(places: EmbeddingPosition | undefined): "learned" | "table" | "none" {
  if (places === undefined) return "none";
  return places.table === undefined ? "learned" : "table";
}

/**
 * Sines and cosines at the size of the embeddings: their ratio is that of Vaswani et al. 2017, who scale embeddings of unit
 * variance up instead.
 */
function placeTable(table: Float64Array, length: number): np.Array {
  const width = table.length / length;
  const scaled = Float32Array.from(table, (value) => weightDeviation(width) * value);
  return np.array(scaled, { shape: [length, width] });
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
