/**
 * @file What models of tokens share around their layers: the run from tokens to the last stage, labels,
 * logits and the loss.
 */
import { numpy as np } from "@jax-js/jax";
import { stage, type Tape } from "../autodiff/index.ts";
import { type Tensor } from "../base/tensor.ts";
import { crossEntropy } from "../nn/cross-entropy.ts";
import { takeRows } from "../nn/embedding.ts";
import { assembleModel, type ModelRun, pick, type Values, withoutGradient } from "./assemble-model.ts";
import { balancedLoss } from "./balanced-loss.ts";
import { type HeadBlock } from "./decoder-blocks.ts";
import { type ComputedLayers, type ComputedLoss, type LayersResult, namesOf } from "./decoder-layers.ts";
import { type Decoding } from "./decoding-session.ts";
import { type Model, type ModelArrays, type ModelParameter } from "./model.ts";
import { type LayerObserver } from "./observe-scores.ts";
import { lengthOf, requirePlaces, requireTokens, type TokenSizes } from "./token-checks.ts";

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

/** A model that predicts tokens, all at once or one after the other. */
export interface TokenModel extends Model<TokenBatch> {
  /**
   * Logits of the next token at every place.
   *
   * @param tokens - [B, N]
   * @param batch - B
   * @returns [B, N, V]
   */
  logits(arrays: ModelArrays, tokens: Int32Array, batch: number): Promise<Tensor>;
  /**
   * Begins to decode token by token, from an empty past; the logits are those of {@link TokenModel.logits}.
   *
   * @param arrays - they stay the caller's, and must outlive the decoding
   * @param options - `batch`: B (default 1)
   */
  decode(arrays: ModelArrays, options?: { readonly batch?: number }): Decoding;
}

/** What differs from model to model. */
export interface TokenModelParts {
  readonly sizes: TokenSizes;
  readonly parameters: readonly ModelParameter[];
  readonly computed: ComputedLayers;
  readonly head: HeadBlock;
  /** The loss of what the layers gave, from the logits of its stage or by a block of its own. */
  readonly lossOf: (
    logitsOf: (arrays: ModelArrays, positions: np.Array | undefined) => np.Array,
  ) => ComputedLoss;
  /** What layers read beside tokens, for N tokens. */
  readonly constants?: (length: number) => ModelArrays;
  readonly stateBytes: (length: number) => number;
  /** Further operations and layers. */
  readonly owned: readonly { dispose(): void }[];
}

/** Makes the model but for its decoding. */
export function tokenModel(parts: TokenModelParts): Omit<TokenModel, "decode"> {
  const { sizes, parameters, computed, head, lossOf, constants, stateBytes, owned } = parts;
  const logitsOf = (arrays: ModelArrays, positions: np.Array | undefined): np.Array => {
    const rows = computed.rows(arrays);
    return head.apply(positions === undefined ? rows : takeRows(rows, positions), arrays);
  };
  const loss = balancedLoss(lossOf(logitsOf));
  const labelsOperation = stage("head and labels", ({ targets, positions, ...arrays }: ModelArrays) => {
    const logits = logitsOf(arrays, positions);
    return { predicted: np.argmax(logits.ref, -1), losses: crossEntropy(logits, targets) };
  });
  const logitsOperation = stage("head", (arrays: ModelArrays) => ({ logits: logitsOf(arrays, undefined) }));
  const lastReads = [...computed.reads, ...namesOf(head)];

  /** Runs everything before the last stage; what it returns is that stage's input. */
  async function runLayers(
    tape: Tape,
    values: Values,
    { tokens, batch }: Pick<TokenBatch, "tokens" | "batch">,
    observe?: LayerObserver,
  ): Promise<LayersResult> {
    const given = tokenInputs(tape, { tokens, batch }, sizes, constants);
    const { inputs, balances } = await computed.run(tape, given, values, observe);
    return { inputs: { ...inputs, ...pick(values, lastReads) }, balances };
  }

  const run = async (
    tape: Tape,
    values: Values,
    batch: TokenBatch,
    observe?: LayerObserver,
  ): Promise<ModelRun> => {
    const { tokens, targets, positions } = batch;
    requireTokens(targets, sizes.vocabulary);
    requirePlaces(tokens.length, targets.length, positions);
    const { inputs, balances } = await runLayers(tape, values, batch, observe);
    const labels = {
      targets: tape.constant(np.array(targets)),
      ...(positions === undefined ? {} : { positions: tape.constant(np.array(positions)) }),
    };
    return { inputs: { ...inputs, ...labels }, balances };
  };

  return {
    ...assembleModel({
      parameters,
      run,
      loss: (tape, inputs, balances) => loss.run(tape, inputs, balances),
      labelsOperation,
      stateBytes,
      owned: [logitsOperation, loss, computed, ...owned],
    }),
    logits: (arrays, tokens, batch) =>
      withoutGradient(arrays, async (tape, values) => {
        const { inputs } = await runLayers(tape, values, { tokens, batch });
        const { logits } = await tape.run(logitsOperation, inputs);
        const shape = [batch, tokens.length / batch, sizes.vocabulary];
        return { data: (await logits.read()) as Float32Array, shape };
      }),
  };
}

/** What layers begin with: tokens, int32 [B, N], and what depends on N alone. */
export function tokenInputs(
  tape: Tape,
  { tokens, batch }: Pick<TokenBatch, "tokens" | "batch">,
  sizes: TokenSizes,
  constants: TokenModelParts["constants"],
): Values {
  const length = lengthOf(tokens, batch, sizes);
  const arrays = { tokens: np.array(tokens, { shape: [batch, length] }), ...constants?.(length) };
  return Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, tape.constant(array)]));
}
