/**
 * @file The parts of a decoder between its attentions, as pure functions for its stages: embedding, norms, feed-forward and
 * head, each with the parameters that it reads, under the names of Hugging Face's Llama where it has one.
 */
import { type numpy as np } from "@jax-js/jax";
import { takeRows, unembed } from "../nn/embedding.ts";
import { geluFeedForward, swiglu } from "../nn/feed-forward.ts";
import { normalWeights, residualDeviation, weightDeviation } from "../nn/initialisation.ts";
import { layerNorm } from "../nn/layer-norm.ts";
import { rmsNorm } from "../nn/rms-norm.ts";
import { type ResolvedDecoderConfig } from "./decoder-config.ts";
import { type ModelArrays, type ModelParameter } from "./model.ts";

/** Rows to rows, with the parameters that it consumes. */
export interface Block {
  readonly parameters: readonly ModelParameter[];
  readonly apply: (rows: np.Array, arrays: ModelArrays) => np.Array;
}

const embeddingName = "model.embed_tokens.weight";
const positionsName = "model.embed_positions.weight";
const headName = "lm_head.weight";

/** A norm, with the names of its weights by their role; `shift` is LayerNorm's. */
export interface NormBlock extends Block {
  readonly weights: { readonly gain: string; readonly shift?: string };
}

function matrix(name: string, shape: readonly [number, number], deviation: number): ModelParameter {
  return { name, shape, decays: true, initial: (seed) => normalWeights(seed, name, shape, deviation) };
}

function filled(name: string, width: number, value: number): ModelParameter {
  return {
    name,
    shape: [width],
    decays: false,
    initial: () => ({ data: new Float32Array(width).fill(value), shape: [width] }),
  };
}

/** RMSNorm or LayerNorm. */
export function normBlock({ norm, width }: ResolvedDecoderConfig, name: string): NormBlock {
  const weight = filled(`${name}.weight`, width, 1);
  if (norm === "rms") {
    return {
      parameters: [weight],
      weights: { gain: weight.name },
      apply: (rows, arrays) => rmsNorm(rows, arrays[weight.name]),
    };
  }
  const bias = filled(`${name}.bias`, width, 0);
  return {
    parameters: [weight, bias],
    weights: { gain: weight.name, shift: bias.name },
    apply: (rows, arrays) => layerNorm(rows, arrays[weight.name], arrays[bias.name]),
  };
}

/** A feed-forward block, with the names of its weights by their role. */
export interface FeedForwardBlock extends Block {
  readonly weights: NormBlock["weights"] & {
    readonly gate?: string;
    readonly up: string;
    readonly down: string;
  };
}

/** x + feedForward(norm(x)); undefined in a decoder without feed-forward. */
export function feedForwardBlock(config: ResolvedDecoderConfig, layer: number): FeedForwardBlock | undefined {
  const { feedForward, width, hidden, layers } = config;
  if (feedForward === "none") return undefined;
  const at = (part: string): string => `model.layers.${layer}.mlp.${part}_proj.weight`;
  const norm = normBlock(config, `model.layers.${layer}.post_attention_layernorm`);
  const [gate, up, down] = [at("gate"), at("up"), at("down")];
  return {
    weights: { ...norm.weights, ...(feedForward === "swiglu" ? { gate } : {}), up, down },
    parameters: [
      ...norm.parameters,
      ...(feedForward === "swiglu" ? [matrix(gate, [hidden, width], weightDeviation(width))] : []),
      matrix(up, [hidden, width], weightDeviation(width)),
      matrix(down, [width, hidden], residualDeviation(width, layers)),
    ],
    apply: (rows, arrays) => {
      const normed = norm.apply(rows.ref, arrays);
      const weights = { up: arrays[up], down: arrays[down] };
      return rows.add(
        feedForward === "swiglu"
          ? swiglu(normed, { ...weights, gate: arrays[gate] })
          : geluFeedForward(normed, weights),
      );
    },
  };
}

/** How a decoder's places enter its embeddings. */
export interface EmbeddingBlock {
  readonly parameters: readonly ModelParameter[];
  /** The name of the table of tokens. */
  readonly table: string;
  /**
   * Tokens to the residual stream.
   *
   * @param tokens - int32 [B, N]
   * @param arrays - the parameters; `places` [N, width] where places are sines and cosines
   * @returns [B·N, width]
   */
  readonly apply: (tokens: np.Array, arrays: ModelArrays) => np.Array;
  /** Adds what places add to rows [B, N, width]; undefined where they add nothing. */
  readonly place: Block["apply"] | undefined;
}

/** Token embeddings, and what places add to them. */
export function embeddingBlock(
  { vocabulary, width, maximumLength }: ResolvedDecoderConfig,
  places: "learned" | "table" | "none",
): EmbeddingBlock {
  const tokenTable = matrix(embeddingName, [vocabulary, width], weightDeviation(width));
  const placeTable = matrix(positionsName, [maximumLength, width], weightDeviation(width));
  const place: Block["apply"] = (rows, arrays) =>
    rows.add(places === "table" ? arrays["places"] : arrays[placeTable.name].slice([0, rows.shape[1]]));
  return {
    parameters: places === "learned" ? [tokenTable, placeTable] : [tokenTable],
    table: tokenTable.name,
    apply: (tokens, arrays) => {
      const [batch, length] = tokens.shape;
      const embedded = takeRows(arrays[tokenTable.name], tokens.reshape([batch * length]));
      if (places === "none") return embedded;
      return place(embedded.reshape([batch, length, width]), arrays).reshape([batch * length, width]);
    },
    place: places === "none" ? undefined : place,
  };
}

/** The end of a decoder, with the names of its weights by their role. */
export interface HeadBlock extends Block {
  /** Its parameters that nothing before it has. */
  readonly owned: readonly ModelParameter[];
  readonly weights: NormBlock["weights"] & { readonly table: string };
}

/** The last norm and the product with the output table: rows to logits [M, V]. */
export function headBlock(config: ResolvedDecoderConfig): HeadBlock {
  const { vocabulary, width, tiedHead } = config;
  const norm = normBlock(config, "model.norm");
  const table = matrix(tiedHead ? embeddingName : headName, [vocabulary, width], weightDeviation(width));
  return {
    parameters: [...norm.parameters, table],
    weights: { ...norm.weights, table: table.name },
    owned: tiedHead ? norm.parameters : [...norm.parameters, table],
    apply: (rows, arrays) => unembed(norm.apply(rows, arrays), arrays[table.name]),
  };
}
