/** @file RWKV-4 to 7 as models that train: time mixes and channel mixes with a token shift, under the names of trained models. */
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { normEpsilon } from "../kernels/reference/norm.ts";
import { unembed } from "../nn/embedding.ts";
import { layerNorm } from "../nn/layer-norm.ts";
import { type HeadBlock } from "./decoder-blocks.ts";
import { fusedLoss } from "./fused-layers.ts";
import { type ModelArrays, type ModelParameter } from "./model.ts";
import { type ResolvedRwkvConfig, resolveRwkvConfig, type RwkvConfig } from "./rwkv-config.ts";
import { type Decoding } from "./decoding-session.ts";
import { rwkvDecodingStages } from "./rwkv-decoding.ts";
import { parameterOf } from "./rwkv-initialisation.ts";
import { rwkvEmbedding, rwkvLayer, rwkvLayers } from "./rwkv-layers.ts";
import { headParameters, layerNormParameters } from "./rwkv-parameters.ts";
import { stagedLoss } from "./staged-layers.ts";
import { recurrentState, stateBytes } from "./state-bytes.ts";
import { tokenModel, type TokenModel } from "./token-model.ts";

/** An RWKV. */
export interface RwkvDecoder extends TokenModel {
  readonly config: ResolvedRwkvConfig;
  /**
   * Begins to decode, token by token or with a prompt at once, in memory that does not grow; the logits are those of
   * {@link TokenModel.logits}.
   *
   * @param arrays - they stay the caller's, and must outlive the decoding
   * @param options - `batch`: B (default 1)
   */
  decode(arrays: ModelArrays, options?: { readonly batch?: number }): Decoding;
}

/**
 * Makes an RWKV. x = ln0(embedding); in each layer x ← x + timeMix(ln1(x)), then x ← x + channelMix(ln2(x)); logits are head·ln_out(x). Both
 * mixes see each token beside the one before it. Tensors have the names of trained models, `blocks.0.att.key.weight` among them, and begin
 * as in the published training, of whose RWKV-4 the embeddings begin at the learning rate and here at 10⁻⁴, as in later versions.
 *
 * @param config - see {@link RwkvConfig}
 * @param options - `engine`: computes the recurrence by fused kernels, the f64 reference when absent, and of `rwkv4`
 * @throws DomainError `rwkv-config`, `rwkv-rule`, ShapeError `rwkv-heads` when the configuration does not fit together
 * @example
 * ```ts
 * import { rwkvDecoder } from "qklab/models";
 * const model = rwkvDecoder({ rule: "rwkv7", vocabulary: 81, width: 64, layers: 2, heads: 4, maximumLength: 256 });
 * model.parameters[0].name; // "emb.weight"
 * model.stateBytes(256); // 9216, as at any other length
 * ```
 * @see Peng et al. 2023, RWKV; 2024, Eagle and Finch; 2025, RWKV-7 Goose
 */
export function rwkvDecoder(
  config: RwkvConfig,
  options: { readonly engine?: WasmEngine | undefined } = {},
): RwkvDecoder {
  const { engine } = options;
  const resolved = resolveRwkvConfig(config);
  const embedding = rwkvEmbedding(resolved);
  const layers = Array.from({ length: resolved.layers }, (_, index) => rwkvLayer(resolved, index));
  const head = rwkvHead(resolved);
  const decoding = rwkvDecodingStages({ config: resolved, embedding, layers, head, engine });
  return {
    ...tokenModel({
      sizes: resolved,
      parameters: [...embedding.parameters, ...layers.flatMap(({ parameters }) => parameters), ...head.owned],
      computed: rwkvLayers(resolved, embedding, layers, engine),
      head,
      // The fused loss has no bias.
      lossOf: (logitsOf) =>
        engine === undefined || resolved.biases ? stagedLoss(logitsOf) : fusedLoss(head, engine),
      stateBytes: (length) => bytesOf(resolved, length),
      owned: [decoding],
    }),
    config: resolved,
    decode: (arrays, { batch = 1 } = {}) => decoding.start(arrays, batch),
  };
}

/** The last norm and the product with the output table. */
function rwkvHead(config: ResolvedRwkvConfig): HeadBlock {
  const [gain, shift] = layerNormParameters(config.width).map((parameter) =>
    parameterOf(parameter, "ln_out."),
  );
  const [table, ...biases] = headParameters(config).map((parameter) => parameterOf(parameter, ""));
  const parameters: readonly ModelParameter[] = [gain, shift, table, ...biases];
  return {
    parameters,
    owned: parameters,
    epsilon: normEpsilon,
    weights: { gain: gain.name, shift: shift.name, table: table.name },
    apply(rows, arrays) {
      const normed = layerNorm(rows, arrays[gain.name], arrays[shift.name]);
      const logits = unembed(normed, arrays[table.name]);
      return biases.reduce((sum, { name }) => sum.add(arrays[name]), logits);
    },
  };
}

/** The states of all layers, and the two tokens that each keeps. */
function bytesOf(
  { recurrence, layers, heads, headWidth, width }: ResolvedRwkvConfig,
  length: number,
): number {
  const sizes = { length, layers, keyValueHeads: heads, headWidth };
  return stateBytes(recurrentState(recurrence.rule), sizes) + 4 * layers * 2 * width;
}
