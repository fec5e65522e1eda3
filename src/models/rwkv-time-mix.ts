/**
 * @file The time mixes of RWKV-4 to 7 inside stages of jax-js, around their recurrence: `enter` makes its inputs, `leave` what the layer
 * adds to its rows. As in all of jax-js, arrays are consumed. `rwkv.ts` and `rwkv-earlier.ts` are the f64 form.
 */
import { numpy as np } from "@jax-js/jax";
import { gated, sigmoid } from "../nn/feed-forward.ts";
import { mergeHeads, splitHeads } from "../nn/heads.ts";
import { linear } from "../nn/linear.ts";
import { type ModelArrays } from "./model.ts";
import { type ResolvedRwkvConfig } from "./rwkv-config.ts";
import { headNormEpsilon } from "./rwkv-parts.ts";
import { flat, free, type Neighbours, sharing, towards } from "./rwkv-token-shift.ts";

/** What a time mix makes of its rows before the recurrence, and of what the recurrence gives. */
export interface TimeMix {
  /** What `leave` reads beside the outputs of the recurrence. */
  readonly carried: readonly string[];
  /** Names of the weights, without the prefix, that each of the two reads. */
  readonly entering: readonly string[];
  readonly leaving: readonly string[];
  /**
   * @param rows - of tokens after the layer's norm
   * @param weights - by their names without the prefix
   * @param batch - B
   * @param first - RWKV-7 after its first layer: the values of that, [B, H, N, D]
   * @returns the inputs of the rule by its names, and what is carried
   */
  enter(rows: Neighbours, weights: ModelArrays, batch: number, first: np.Array | undefined): ModelArrays;
  /**
   * @param out - of the recurrence, [B, H, N, D]
   * @param given - what was carried, and the weights
   * @returns [B·N, C]
   */
  leave(out: np.Array, given: ModelArrays): np.Array;
}

/** Where decays begin to be 0 in f32 anyway; e^x of more may be no number to count with. */
const largestExponent = 80;

/** log w = −e^rate. */
function decayLogs(rate: np.Array): np.Array {
  return np.exp(np.minimum(rate, largestExponent)).neg();
}

/** tanh or σ between two matrices [C, R] and [R, C]. */
function lowRank(
  x: np.Array,
  one: np.Array,
  other: np.Array,
  inner = (y: np.Array): np.Array => y,
): np.Array {
  return np.matmul(inner(np.matmul(x, one)), other);
}

/** Every head's channels to mean 0 and variance 1, times weight plus bias: [B, H, N, D] to [B·N, C]. */
function normedHeads(out: np.Array, weight: np.Array, bias: np.Array): np.Array {
  const centred = out.ref.sub(np.mean(out, -1, { keepdims: true }));
  const variance = np.mean(np.square(centred.ref), -1, { keepdims: true });
  const scaled = centred.mul(np.reciprocal(np.sqrt(variance.add(headNormEpsilon))));
  return mergeHeads(scaled).mul(weight).add(bias);
}

const norm = ["ln_x.weight", "ln_x.bias"];
const linears = ["receptance.weight", "key.weight", "value.weight"];

/** Makes the time mix of a layer. */
export function timeMix(config: ResolvedRwkvConfig, layer: number): TimeMix {
  const output = config.biases ? ["output.weight", "output.bias"] : ["output.weight"];
  const mix = {
    rwkv4: () => fourMix(),
    rwkv5: () => gatedMix(config, fiveInputs),
    rwkv6: () => gatedMix(config, sixInputs),
    rwkv7: () => sevenMix(config, layer),
  }[config.version]();
  return {
    ...mix,
    leaving: [...mix.leaving, ...output],
    leave: (out, given) => linear(mix.leave(out, given), given["output.weight"], given["output.bias"]),
  };
}

function fourMix(): TimeMix {
  return {
    carried: ["receptance"],
    entering: ["time_decay", "time_first", "time_mix_k", "time_mix_v", "time_mix_r", ...linears],
    leaving: [],
    enter(rows, weights, batch) {
      const made = (name: string, share: string): np.Array =>
        linear(sharing(rows, weights[`time_mix_${share}`]), weights[`${name}.weight`]);
      const [k, v, receptance] = [made("key", "k"), made("value", "v"), made("receptance", "r")];
      free(rows);
      const channels = [1, v.shape[1]];
      return {
        k: splitHeads(k, batch, 1),
        v: splitHeads(v, batch, 1),
        logDecay: decayLogs(weights["time_decay"]).reshape(channels),
        u: weights["time_first"].reshape(channels),
        receptance,
      };
    },
    leave: (out, { receptance }) => sigmoid(receptance).mul(mergeHeads(out)),
  };
}

/** What RWKV-5 and 6 do not share: rows for r, k, v and g, and decays. */
interface GatedInputs {
  readonly reads: readonly string[];
  readonly make: (
    rows: Neighbours,
    weights: ModelArrays,
    batch: number,
    heads: number,
  ) => Readonly<Record<"r" | "k" | "v" | "g" | "logDecay", np.Array>>;
}

const fiveInputs: GatedInputs = {
  reads: ["time_decay", "time_mix_r", "time_mix_k", "time_mix_v", "time_mix_g"],
  make: (rows, weights) => ({
    r: sharing(rows, weights["time_mix_r"]),
    k: sharing(rows, weights["time_mix_k"]),
    v: sharing(rows, weights["time_mix_v"]),
    g: sharing(rows, weights["time_mix_g"]),
    logDecay: decayLogs(weights["time_decay"]),
  }),
};

/** The order in which the shares of RWKV-6 lie in its two matrices. */
const sharesInOrder = ["w", "k", "v", "r", "g"] as const;

const sixInputs: GatedInputs = {
  reads: [
    "time_maa_x",
    ...sharesInOrder.map((name) => `time_maa_${name}`),
    "time_maa_w1",
    "time_maa_w2",
    "time_decay",
    "time_decay_w1",
    "time_decay_w2",
  ],
  make(rows, weights, batch, heads) {
    const hidden = np.tanh(np.matmul(towards(rows, weights["time_maa_x"]), weights["time_maa_w1"]));
    const [, rank, width] = weights["time_maa_w2"].shape;
    const chosen = sharesInOrder.map((name, index) => {
      const part = hidden.ref.slice([], [index * rank, (index + 1) * rank]);
      const matrix = weights["time_maa_w2"].ref.slice([index, index + 1]).reshape([rank, width]);
      const share = np.matmul(part, matrix).add(flat(weights[`time_maa_${name}`]));
      return rows.own.ref.add(rows.difference.ref.mul(share));
    });
    hidden.dispose();
    weights["time_maa_w2"].dispose();
    const [w, k, v, r, g] = chosen;
    const rates = lowRank(w, weights["time_decay_w1"], weights["time_decay_w2"], np.tanh);
    return {
      r,
      k,
      v,
      g,
      logDecay: splitHeads(decayLogs(rates.add(flat(weights["time_decay"]))), batch, heads),
    };
  },
};

function gatedMix({ heads }: ResolvedRwkvConfig, { reads, make }: GatedInputs): TimeMix {
  return {
    carried: ["gate"],
    entering: [...reads, "time_faaaa", ...linears, "gate.weight"],
    leaving: norm,
    enter(rows, weights, batch) {
      const { r, k, v, g, logDecay } = make(rows, weights, batch, heads);
      free(rows);
      const inHeads = (x: np.Array, name: string): np.Array =>
        splitHeads(linear(x, weights[`${name}.weight`]), batch, heads);
      return {
        q: inHeads(r, "receptance"),
        k: inHeads(k, "key"),
        v: inHeads(v, "value"),
        logDecay,
        u: weights["time_faaaa"],
        gate: linear(g, weights["gate.weight"]),
      };
    },
    leave: (out, given) => gated(given["gate"], normedHeads(out, given["ln_x.weight"], given["ln_x.bias"])),
  };
}

/** RWKV-7's decays are at least exp(−e^{−½}) = 0.545. */
const strongest = Math.exp(-0.5);

function sevenMix({ heads, headWidth }: ResolvedRwkvConfig, layer: number): TimeMix {
  const inner = ["w", "a", ...(layer === 0 ? [] : ["v"])];
  return {
    carried: ["q", "k", "v", "a", "gate"],
    entering: [
      ...["r", "w", "k", "v", "a", "g"].map((name) => `x_${name}`),
      ...inner.flatMap((name) => [0, 1, 2].map((index) => `${name}${index}`)),
      "g1",
      "g2",
      "k_k",
      "k_a",
      ...linears,
    ],
    leaving: ["k_a", "r_k", ...norm],
    enter(rows, weights, batch, first) {
      const mixed = (name: string): np.Array => towards(rows, weights[`x_${name}`]);
      const network = (x: np.Array, name: string, between?: (y: np.Array) => np.Array): np.Array =>
        lowRank(x, weights[`${name}1`], weights[`${name}2`], between).add(flat(weights[`${name}0`]));
      const inHeads = (x: np.Array): np.Array => splitHeads(x, batch, heads);
      const forValues = mixed("v");
      const share = first === undefined ? undefined : inHeads(sigmoid(network(forValues.ref, "v")));
      const own = inHeads(linear(forValues, weights["value.weight"]));
      const keys = linear(mixed("k"), weights["key.weight"]);
      const made = {
        q: inHeads(linear(mixed("r"), weights["receptance.weight"])),
        kappa: inHeads(keys.ref.mul(flat(weights["k_k"]))),
        k: inHeads(keys),
        v: first === undefined || share === undefined ? own : own.ref.add(first.sub(own).mul(share)),
        logDecay: inHeads(sigmoid(network(mixed("w"), "w", np.tanh)).mul(-strongest)),
        a: inHeads(sigmoid(network(mixed("a"), "a"))),
        ka: weights["k_a"].reshape([heads, headWidth]),
        gate: lowRank(mixed("g"), weights["g1"], weights["g2"], sigmoid),
      };
      free(rows);
      return made;
    },
    leave(out, { q, k, v, a, gate, ...weights }) {
      const perHead = (x: np.Array): np.Array => x.reshape([1, heads, 1, headWidth]);
      const written = k.mul(a.sub(1).mul(perHead(weights["k_a"])).add(1));
      const strength = q.mul(written).mul(perHead(weights["r_k"])).sum(-1, { keepdims: true });
      const bonus = mergeHeads(v.mul(strength));
      return normedHeads(out, weights["ln_x.weight"], weights["ln_x.bias"]).add(bonus).mul(gate);
    },
  };
}
