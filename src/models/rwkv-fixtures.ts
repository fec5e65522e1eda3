/** @file An RWKV once more, in f64 of the reference's blocks, for tests; and the trained one that reverses numbers, by the names of ours. */
import { random } from "../base/random.ts";
import { sizeOf, type Tensor, type Tensor64, tensor64, zeros64 } from "../base/tensor.ts";
import { type Tensors } from "./model-fixtures.ts";
import { type ModelParameter } from "./model.ts";
import { type ResolvedRwkvConfig, type RwkvConfig } from "./rwkv-config.ts";
import {
  rwkv7ChannelMix,
  type Rwkv7ChannelMixWeight,
  rwkv7TimeMix,
  type Rwkv7TimeMixWeight,
} from "./rwkv.ts";
import {
  rwkv4TimeMix,
  type Rwkv4TimeMixWeight,
  rwkv5TimeMix,
  type Rwkv5TimeMixWeight,
  rwkv6TimeMix,
  type Rwkv6TimeMixWeight,
  rwkvGatedChannelMix,
  type RwkvGatedChannelMixWeight,
} from "./rwkv-earlier.ts";
import { map, plus, project, type TimeMixState, type Weights } from "./rwkv-parts.ts";

/** What all layers remember. */
export interface RwkvState {
  readonly time: readonly (TimeMixState | undefined)[];
  readonly channel: readonly (Tensor64 | undefined)[];
}

export const nothing: RwkvState = { time: [], channel: [] };

/** Logits of one sequence, [N][V], and what is remembered after it. */
export function rwkvInF64(
  config: ResolvedRwkvConfig,
  tensors: Tensors,
  tokens: ArrayLike<number>,
  past: RwkvState = nothing,
): { readonly rows: readonly Float64Array[]; readonly state: RwkvState } {
  const { width, layers, version, biases, embeddingNorm, vocabulary } = config;
  const weight = (name: string): Tensor | Tensor64 => tensors[name];
  const weightsOf = <Name extends string>(prefix: string): Weights<Name> =>
    Object.fromEntries(
      Object.entries(tensors)
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, tensor]) => [name.slice(prefix.length), tensor]),
    ) as Weights<Name>;
  const norm = (x: Tensor64, name: string): Tensor64 =>
    layerNormInF64(x, weight(`${name}.weight`), weight(`${name}.bias`));
  const add = (x: Tensor64, y: Tensor64): Tensor64 => map(x, (value, place) => value + y.data[place]);

  const rows = Array.from(tokens, (token) => [
    ...weight("emb.weight").data.subarray(token * width, (token + 1) * width),
  ]);
  let x = tensor64(rows.flat(), [1, tokens.length, width]);
  if (embeddingNorm) x = norm(x, "blocks.0.ln0");
  let firstValues: Tensor64 | undefined;
  const [time, channel]: [TimeMixState[], Tensor64[]] = [[], []];
  for (let layer = 0; layer < layers; layer++) {
    const at = `blocks.${layer}`;
    const inner = norm(x, `${at}.ln1`);
    const state = past.time[layer];
    const attention = `${at}.att.`;
    const mixed = {
      rwkv4: () => rwkv4TimeMix(weightsOf<Rwkv4TimeMixWeight>(attention), inner, state),
      rwkv5: () => rwkv5TimeMix(weightsOf<Rwkv5TimeMixWeight>(attention), inner, state),
      rwkv6: () => rwkv6TimeMix(weightsOf<Rwkv6TimeMixWeight>(attention), inner, state),
      rwkv7: () => {
        const first = firstValues === undefined ? {} : { firstValues };
        const result = rwkv7TimeMix(weightsOf<Rwkv7TimeMixWeight>(attention), inner, {
          ...first,
          ...(state && { state }),
        });
        firstValues ??= result.values;
        return result;
      },
    }[version]();
    time.push(mixed.state);
    x = add(x, biases ? plus(mixed.out, weight(`${at}.att.output.bias`)) : mixed.out);
    const feed = `${at}.ffn.`;
    const normed = norm(x, `${at}.ln2`);
    const before = past.channel[layer];
    const fed =
      version === "rwkv7"
        ? rwkv7ChannelMix(weightsOf<Rwkv7ChannelMixWeight>(feed), normed, before)
        : rwkvGatedChannelMix(
            version === "rwkv6"
              ? sharesOfSix(weightsOf<SixWeight>(feed))
              : weightsOf<RwkvGatedChannelMixWeight>(feed),
            normed,
            before,
          );
    channel.push(fed.previous);
    x = add(x, fed.out);
  }
  const logits = project(norm(x, "ln_out"), weight("head.weight"));
  const { data } = biases ? plus(logits, weight("head.bias")) : logits;
  return {
    rows: Array.from({ length: tokens.length }, (_, place) =>
      data.slice(place * vocabulary, (place + 1) * vocabulary),
    ),
    state: { time, channel },
  };
}

type SixWeight = `time_maa_${"k" | "r"}` | Exclude<RwkvGatedChannelMixWeight, `time_mix_${string}`>;

/** RWKV-6 names the share of the token before, 1 − that of the token itself. */
function sharesOfSix(weights: Weights<SixWeight>): Weights<RwkvGatedChannelMixWeight> {
  const other = ({ data, shape }: Tensor | Tensor64): Tensor64 =>
    tensor64(
      Float64Array.from(data, (share) => 1 - share),
      shape,
    );
  return { ...weights, time_mix_k: other(weights.time_maa_k), time_mix_r: other(weights.time_maa_r) };
}

/** (x − mean)/√(variance + 1e-5), times weight plus bias. */
function layerNormInF64(x: Tensor64, weight: Tensor | Tensor64, bias: Tensor | Tensor64): Tensor64 {
  const width = x.shape[2];
  const result = zeros64(x.shape);
  for (let start = 0; start < x.data.length; start += width) {
    const row = x.data.subarray(start, start + width);
    const mean = row.reduce((sum, value) => sum + value, 0) / width;
    const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width;
    const scaled = row.map((value, d) => {
      return ((value - mean) / Math.sqrt(variance + 1e-5)) * weight.data[d] + bias.data[d];
    });
    result.data.set(scaled, start);
  }
  return result;
}

/**
 * Tensors of which every part matters: a new model's matrices that write into the residual stream are zero, and decays of some of its
 * channels so near to 0 or 1 that nothing moves them.
 */
export function livelyRwkv(parameters: readonly ModelParameter[], seed: number): Tensors {
  return Object.fromEntries(
    parameters.map(({ name, shape }) => {
      const middle = /ln[^.]*\.weight$/.test(name) ? 1 : 0;
      const data = random(seed, "lively", name).normals(sizeOf(shape), 0.5);
      return [name, { data: data.map((value) => middle + value), shape }];
    }),
  );
}

/** The trained RWKV-7 that reverses numbers of up to 60 digits, beside the shared data. */
export const reversing: {
  readonly path: string;
  readonly alphabet: string;
  readonly config: RwkvConfig;
} = {
  path: "rwkv7-reverse/260123_reverse_L2_only_rwkv7.safetensors",
  alphabet: "0123456789,#",
  config: {
    rule: "rwkv7",
    vocabulary: 12,
    width: 32,
    layers: 2,
    heads: 2,
    rank: 8,
    embeddingNorm: false,
    biases: true,
    maximumLength: 130,
  },
};

/**
 * Its tensors by the names of ours. The model has a third branch in each layer, whose embedding is zero in this file: of it the bias of
 * its output is left.
 */
export function reversingTensors(stored: ReadonlyMap<string, Tensor>): Record<string, Tensor> {
  const renamed: readonly (readonly [RegExp, string])[] = [
    [/^e\.weight$/, "emb.weight"],
    [/^o\./, "head."],
    [/^lno\./, "ln_out."],
    [/^ln(\d)a\./, "blocks.$1.ln1."],
    [/^ln(\d)b\./, "blocks.$1.ln2."],
    [/^rwkv(\d)\./, "blocks.$1.att."],
    [/^rosa(\d)\.o\.bias$/, "blocks.$1.att.output.bias"],
    [/^ffn(\d)\./, "blocks.$1.ffn."],
  ];
  const entries = [...stored].flatMap(([name, tensor]): [string, Tensor][] => {
    const found = renamed.find(([pattern]) => pattern.test(name));
    if (found === undefined) return [];
    const theirs = name.replace(...found);
    return [[theirs.replace(/^blocks\.(\d)/, (_, layer) => `blocks.${Number(layer) - 1}`), tensor]];
  });
  return Object.fromEntries(entries);
}

/** A number as its digits, the first of several not 0. */
export function drawNumber(digits: number, stream: ReturnType<typeof random>): string {
  return Array.from({ length: digits }, (_, place) =>
    String(place === 0 && digits > 1 ? 1 + stream.integer(9) : stream.integer(10)),
  ).join("");
}

export const reversed = (text: string): string => text.split("").reverse().join("");

/** Letters as tokens of that model. */
export const tokensOf = (text: string): Int32Array =>
  Int32Array.from(text, (letter) => reversing.alphabet.indexOf(letter));

/** The likeliest letter. */
export const likeliest = (row: ArrayLike<number>): string =>
  reversing.alphabet[Array.from(row).indexOf(Math.max(...Array.from(row)))];
