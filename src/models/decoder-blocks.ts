/**
 * @file The parts of a decoder between its attentions, as pure functions for its stages: embedding, norms, feed-forward and
 * head, each with the parameters that it reads, under the names of Hugging Face's Llama where it has one.
 */
import { type numpy as np } from "@jax-js/jax";
import { takeRows, unembed } from "../nn/embedding.ts";
import { activatedFeedForward, swiglu } from "../nn/feed-forward.ts";
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
  /** ε under its root. */
  readonly epsilon: number;
}

/** A matrix whose entries begin as draws of N(0, deviation²). */
export function matrix(name: string, shape: readonly [number, number], deviation: number): ModelParameter {
  return { name, shape, decays: true, initial: (seed) => normalWeights(seed, name, shape, deviation) };
}

/** A vector that begins as one number: gains as 1, biases as 0. */
export function filled(name: string, width: number, value: number): ModelParameter {
  return {
    name,
    shape: [width],
    decays: false,
    initial: () => ({ data: new Float32Array(width).fill(value), shape: [width] }),
  };
}

/** RMSNorm or LayerNorm. */
export function normBlock(
  { norm, width, normEpsilon: epsilon }: Pick<ResolvedDecoderConfig, "norm" | "width" | "normEpsilon">,
  name: string,
): NormBlock {
  const weight = filled(`${name}.weight`, width, 1);
  if (norm === "rms") {
    return {
      parameters: [weight],
      weights: { gain: weight.name },
      epsilon,
      apply: (rows, arrays) => rmsNorm(rows, arrays[weight.name], epsilon),
    };
  }
  const bias = filled(`${name}.bias`, width, 0);
  return {
    parameters: [weight, bias],
    weights: { gain: weight.name, shift: bias.name },
    epsilon,
    apply: (rows, arrays) => layerNorm(rows, arrays[weight.name], arrays[bias.name], epsilon),
  };
}

/** The names of a feed-forward's weights and biases by their role. */
export interface FeedForwardNames {
  readonly weights: { readonly gate?: string; readonly up: string; readonly down: string };
  /** Absent where it has none. */
  readonly biases?: { readonly gate?: string; readonly up: string; readonly down: string };
}

/** feedForward(rows) alone, without norm and residual. */
export interface InnerFeedForward extends Block, FeedForwardNames {}

/** What makes a feed-forward. */
export type FeedForwardConfig = Pick<
  ResolvedDecoderConfig,
  "width" | "hidden" | "layers" | "feedForwardBias"
> & { readonly feedForward: Exclude<ResolvedDecoderConfig["feedForward"], "none"> };

/** The feed-forward of a layer, whose parameters are under `prefix`. */
export function innerFeedForward(config: FeedForwardConfig, prefix: string): InnerFeedForward {
  const { feedForward, width, hidden, layers, feedForwardBias } = config;
  const isGated = feedForward === "swiglu";
  const at = (part: string): string => `${prefix}.${part}_proj.weight`;
  const biasAt = (part: string): string => `${prefix}.${part}_proj.bias`;
  const [gate, up, down] = [at("gate"), at("up"), at("down")];
  const biases = { ...(isGated ? { gate: biasAt("gate") } : {}), up: biasAt("up"), down: biasAt("down") };
  const into = weightDeviation(width);
  return {
    weights: { ...(isGated ? { gate } : {}), up, down },
    ...(feedForwardBias ? { biases } : {}),
    parameters: [
      ...(isGated ? [matrix(gate, [hidden, width], into)] : []),
      matrix(up, [hidden, width], into),
      matrix(down, [width, hidden], residualDeviation(width, layers)),
      ...(feedForwardBias
        ? Object.entries(biases).map(([role, name]) => filled(name, role === "down" ? width : hidden, 0))
        : []),
    ],
    apply: (rows, arrays) => {
      const bias = (name: string | undefined): np.Array | undefined =>
        feedForwardBias && name !== undefined ? arrays[name] : undefined;
      const both = {
        up: arrays[up],
        down: arrays[down],
        upBias: bias(biases.up),
        downBias: bias(biases.down),
      };
      return feedForward === "swiglu"
        ? swiglu(rows, { ...both, gate: arrays[gate], gateBias: bias(biases.gate) })
        : activatedFeedForward(rows, both, feedForward);
    },
  };
}

/** A feed-forward block, with the names of its weights by their role. */
export interface FeedForwardBlock extends Block {
  readonly kind: FeedForwardConfig["feedForward"];
  readonly norm: NormBlock;
  readonly weights: NormBlock["weights"] & FeedForwardNames["weights"];
  readonly biases?: FeedForwardNames["biases"];
}

/** x + feedForward(norm(x)); undefined in a decoder without feed-forward. */
export function feedForwardBlock(config: ResolvedDecoderConfig, layer: number): FeedForwardBlock | undefined {
  const { feedForward: kind } = config;
  if (kind === "none") return undefined;
  const norm = normBlock(config, `model.layers.${layer}.post_attention_layernorm`);
  const inner = innerFeedForward({ ...config, feedForward: kind }, `model.layers.${layer}.mlp`);
  return {
    kind,
    norm,
    weights: { ...norm.weights, ...inner.weights },
    ...(inner.biases === undefined ? {} : { biases: inner.biases }),
    parameters: [...norm.parameters, ...inner.parameters],
    apply: (rows, arrays) => rows.add(inner.apply(norm.apply(rows.ref, arrays), arrays)),
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
  /** Scales rows [B, N, width] and adds what places add; undefined where neither changes them. */
  readonly place: Block["apply"] | undefined;
}

/** Token embeddings, and what places add to them. */
export function embeddingBlock(
  {
    vocabulary,
    width,
    maximumLength,
    embeddingScale,
  }: Pick<ResolvedDecoderConfig, "vocabulary" | "width" | "maximumLength" | "embeddingScale">,
  places: "learned" | "table" | "none",
): EmbeddingBlock {
  const tokenTable = matrix(embeddingName, [vocabulary, width], weightDeviation(width));
  const placeTable = matrix(positionsName, [maximumLength, width], weightDeviation(width));
  const place: Block["apply"] = (rows, arrays) => {
    const scaled = embeddingScale === 1 ? rows : rows.mul(embeddingScale);
    if (places === "none") return scaled;
    return scaled.add(
      places === "table" ? arrays["places"] : arrays[placeTable.name].slice([0, rows.shape[1]]),
    );
  };
  const changes = places !== "none" || embeddingScale !== 1;
  return {
    parameters: places === "learned" ? [tokenTable, placeTable] : [tokenTable],
    table: tokenTable.name,
    apply: (tokens, arrays) => {
      const [batch, length] = tokens.shape;
      const embedded = takeRows(arrays[tokenTable.name], tokens.reshape([batch * length]));
      if (!changes) return embedded;
      return place(embedded.reshape([batch, length, width]), arrays).reshape([batch * length, width]);
    },
    place: changes ? place : undefined,
  };
}

/** The end of a decoder, with the names of its weights by their role. */
export interface HeadBlock extends Block {
  /** Its parameters that nothing before it has. */
  readonly owned: readonly ModelParameter[];
  readonly weights: NormBlock["weights"] & { readonly table: string };
  /** ε of its norm. */
  readonly epsilon: number;
}

/** The last norm and the product with the output table: rows to logits [M, V]. */
export function headBlock(config: ResolvedDecoderConfig): HeadBlock {
  const { vocabulary, width, tiedHead } = config;
  const norm = normBlock(config, "model.norm");
  const table = matrix(tiedHead ? embeddingName : headName, [vocabulary, width], weightDeviation(width));
  return {
    parameters: [...norm.parameters, table],
    weights: { ...norm.weights, table: table.name },
    epsilon: norm.epsilon,
    owned: tiedHead ? norm.parameters : [...norm.parameters, table],
    apply: (rows, arrays) => unembed(norm.apply(rows, arrays), arrays[table.name]),
  };
}
