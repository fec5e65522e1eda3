/**
 * @file The tensors of an RWKV's blocks, with the names and shapes that trained models have and the numbers with which the published
 * training begins: those of RWKV-4 neo, of RWKV-5.2 and 6.0, and of RWKV-7.
 */
import { type ResolvedRwkvConfig } from "./rwkv-config.ts";
import {
  aspectGain,
  type Begin,
  filled,
  orthogonal,
  perChannel,
  type RwkvParameter,
  uniform,
} from "./rwkv-initialisation.ts";

/** Where a layer and a channel stand, as initial numbers depend on them. */
interface Places {
  /** C */
  readonly width: number;
  /** A, channels of all heads together. */
  readonly mixed: number;
  /** From 0 at the first layer to 1 at the last. */
  readonly depth: number;
  /** From 1 at the first layer to nearly 0 at the last. */
  readonly rest: number;
  /** From 0 at the first channel of the heads to 1 at the last. */
  readonly share: (channel: number) => number;
}

/** Of a layer's time mix, after the prefix `blocks.i.att.`. */
export function timeMixParameters(config: ResolvedRwkvConfig, layer: number): readonly RwkvParameter[] {
  const { version, biases, width } = config;
  const places = placesOf(config, layer);
  const own = {
    rwkv4: () => fourParameters(places),
    rwkv5: () => fiveParameters(config, places),
    rwkv6: () => sixParameters(config, places),
    rwkv7: () => sevenParameters(config, places, layer),
  }[version]();
  const norm = version === "rwkv4" ? [] : headNormParameters(config, layer);
  return [...own, ...norm, ...(biases ? [vector("output.bias", [width], filled(0))] : [])];
}

/** Of a layer's channel mix, after the prefix `blocks.i.ffn.`. */
export function channelMixParameters(config: ResolvedRwkvConfig, layer: number): readonly RwkvParameter[] {
  const { version, width, hidden } = config;
  const { rest } = placesOf(config, layer);
  const gain = version === "rwkv4" ? aspectGain([hidden, width]) : 1;
  const receptance = version === "rwkv7" ? [] : [matrix("receptance", width, width, filled(0))];
  const shares = {
    rwkv4: () => ["time_mix_k", "time_mix_r"].map((name) => shareOf(name, width, rest)),
    rwkv5: () => ["time_mix_k", "time_mix_r"].map((name) => shareOf(name, width, rest)),
    rwkv6: () => ["time_maa_k", "time_maa_r"].map((name) => beforeOf(name, width, rest)),
    rwkv7: () => [beforeOf("x_k", width, rest ** 4)],
  }[version]();
  return [
    ...shares,
    matrix("key", hidden, width, orthogonal(gain)),
    ...receptance,
    matrix("value", width, hidden, filled(0)),
  ];
}

/** LayerNorm's two, after a prefix such as `blocks.i.ln1.`. */
export function layerNormParameters(width: number): readonly RwkvParameter[] {
  return [vector("weight", [width], filled(1)), vector("bias", [width], filled(0))];
}

/** The table of embeddings: so small that the norm after it decides their size. */
export function embeddingParameter(vocabulary: number, width: number): RwkvParameter {
  return matrix("emb", vocabulary, width, uniform(1e-4));
}

/** The matrix of the head and, where it has one, its bias. */
export function headParameters({
  vocabulary,
  width,
  biases,
}: ResolvedRwkvConfig): readonly [RwkvParameter, ...RwkvParameter[]] {
  const begin = orthogonal(0.5 * aspectGain([vocabulary, width]));
  return [
    matrix("head", vocabulary, width, begin),
    ...(biases ? [vector("head.bias", [vocabulary], filled(0))] : []),
  ];
}

function placesOf({ width, mixWidth, layers }: ResolvedRwkvConfig, layer: number): Places {
  return {
    width,
    mixed: mixWidth,
    depth: layers === 1 ? 0 : layer / (layers - 1),
    rest: 1 - layer / layers,
    share: (channel) => (mixWidth === 1 ? 0 : channel / (mixWidth - 1)),
  };
}

function fourParameters({ width, mixed, depth, rest, share }: Places): readonly RwkvParameter[] {
  return [
    vector(
      "time_decay",
      [mixed],
      perChannel((c) => -5 + 8 * share(c) ** (0.7 + 1.3 * depth)),
    ),
    vector(
      "time_first",
      [mixed],
      perChannel((c) => Math.log(0.3) + 0.5 * zigzag(c)),
    ),
    ...mixedShares({ width, depth, rest }, ["k", "v", "r"]),
    ...["key", "receptance"].map((name) => matrix(name, mixed, width, filled(0))),
    matrix("output", width, mixed, filled(0)),
    matrix("value", mixed, width, orthogonal(aspectGain([mixed, width]))),
  ];
}

function fiveParameters({ heads, headWidth }: ResolvedRwkvConfig, places: Places): readonly RwkvParameter[] {
  return [
    vector("time_decay", [heads, headWidth], decays(places)),
    vector("time_faaaa", [heads, headWidth], bonuses(places)),
    ...mixedShares(places, ["k", "v", "r", "g"]),
    ...projections(places),
    matrix("gate", places.mixed, places.width, orthogonal(0.1)),
  ];
}

function sixParameters(
  { heads, headWidth, ranks }: ResolvedRwkvConfig,
  places: Places,
): readonly RwkvParameter[] {
  const { width, mixed, depth, rest } = places;
  return [
    ...["x", "w", "k"].map((name) => beforeOf(`time_maa_${name}`, width, rest)),
    vector(
      "time_maa_v",
      [1, 1, width],
      perChannel((c) => 1 - (c / width) ** rest - 0.3 * depth),
    ),
    ...["r", "g"].map((name) => beforeOf(`time_maa_${name}`, width, 0.5 * rest)),
    vector("time_maa_w1", [width, 5 * ranks.shares], filled(0)),
    vector("time_maa_w2", [5, ranks.shares, width], uniform(0.01)),
    vector("time_decay", [1, 1, mixed], decays(places)),
    vector("time_decay_w1", [width, ranks.decay], filled(0)),
    vector("time_decay_w2", [ranks.decay, mixed], uniform(0.01)),
    vector("time_faaaa", [heads, headWidth], bonuses(places)),
    ...projections(places),
    matrix("gate", mixed, width, orthogonal(0.1)),
  ];
}

function sevenParameters(
  { heads, headWidth, ranks }: ResolvedRwkvConfig,
  places: Places,
  layer: number,
): readonly RwkvParameter[] {
  const { width, mixed, depth, rest, share } = places;
  /** From −1 at the first channel of a head to 1 at its last, flat in between. */
  const curve = (channel: number): number => {
    const middle = (headWidth - 1) / 2;
    const from = middle === 0 ? 0 : ((channel % headWidth) - middle) / middle;
    return from * Math.abs(from);
  };
  const centred = (channel: number): number => share(channel) - 0.5;
  const each = (name: string, begin: (channel: number) => number): RwkvParameter =>
    vector(name, [1, 1, mixed], perChannel(begin));
  const lowRank = (name: "w" | "a" | "v" | "g", rank: number): readonly RwkvParameter[] => [
    vector(`${name}1`, [width, rank], filled(0)),
    vector(`${name}2`, [rank, mixed], orthogonal(0.1 * aspectGain([rank, mixed]))),
  ];
  const exponents = { r: 0.2, w: 0.9, k: 0.7, v: 0.7, a: 0.9, g: 0.2 };
  return [
    ...Object.entries(exponents).map(([name, exponent]) => beforeOf(`x_${name}`, width, exponent * rest)),
    ...lowRank("w", ranks.decay),
    each("w0", (c) => -5.5 + 6 * share(c) ** (1 + depth ** 0.3) + 2.5 * curve(c)),
    ...lowRank("a", ranks.rate),
    each("a0", (c) => -0.19 + 0.3 * curve(c) + 0.4 * centred(c)),
    ...(layer === 0 ? [] : [...lowRank("v", ranks.values), each("v0", (c) => 0.73 - 0.4 * centred(c))]),
    ...lowRank("g", ranks.gate),
    each("k_k", (c) => 0.71 - 0.1 * centred(c)),
    each("k_a", () => 1.02),
    vector("r_k", [heads, headWidth], filled(-0.04)),
    ...projections(places),
  ];
}

function headNormParameters(
  { mixWidth, layers }: ResolvedRwkvConfig,
  layer: number,
): readonly RwkvParameter[] {
  return [
    vector("ln_x.weight", [mixWidth], filled(((1 + layer) / layers) ** 0.7)),
    vector("ln_x.bias", [mixWidth], filled(0)),
  ];
}

function projections({ width, mixed }: Places): readonly RwkvParameter[] {
  return [
    matrix("receptance", mixed, width, orthogonal(1)),
    matrix("key", mixed, width, orthogonal(0.1)),
    matrix("value", mixed, width, orthogonal(1)),
    matrix("output", width, mixed, filled(0)),
  ];
}

/** Shares of the token itself in what is made of it and the one before; those of values are larger in later layers. */
function mixedShares(
  { width, depth, rest }: Omit<Places, "share" | "mixed">,
  names: readonly ("k" | "v" | "r" | "g")[],
): readonly RwkvParameter[] {
  return names.map((name) => {
    if (name === "k") return shareOf("time_mix_k", width, rest);
    if (name !== "v") return shareOf(`time_mix_${name}`, width, 0.5 * rest);
    return vector(
      "time_mix_v",
      [1, 1, width],
      perChannel((c) => (c / width) ** rest + 0.3 * depth),
    );
  });
}

/** The share of the token itself, from 0 at the first channel on. */
function shareOf(name: string, width: number, exponent: number): RwkvParameter {
  return vector(
    name,
    [1, 1, width],
    perChannel((c) => (c / width) ** exponent),
  );
}

/** The share of the token before. */
function beforeOf(name: string, width: number, exponent: number): RwkvParameter {
  return vector(
    name,
    [1, 1, width],
    perChannel((c) => 1 - (c / width) ** exponent),
  );
}

/** log(−log w) of RWKV-5 and 6. */
const decays = ({ share, depth }: Places): Begin =>
  perChannel((c) => -6 + 5 * share(c) ** (0.7 + 1.3 * depth));

/** u of RWKV-5 and 6; neighbours begin apart. */
const bonuses = ({ share, depth }: Places): Begin =>
  perChannel((c) => depth * (1 - share(c)) + 0.1 * zigzag(c));

/** 0, 1, −1, 0, 1, −1… */
const zigzag = (channel: number): number => ((channel + 1) % 3) - 1;

function matrix(name: string, rows: number, columns: number, begin: Begin): RwkvParameter {
  return { name: `${name}.weight`, shape: [rows, columns], begin };
}

function vector(name: string, shape: readonly number[], begin: Begin): RwkvParameter {
  return { name, shape, begin };
}
