/** @file The channel mixes of RWKV-4 to 7 inside stages of jax-js, whose f64 form is in `rwkv.ts` and `rwkv-earlier.ts`. */
import { numpy as np } from "@jax-js/jax";
import { sigmoid } from "../nn/feed-forward.ts";
import { linear } from "../nn/linear.ts";
import { type ModelArrays } from "./model.ts";
import { type RwkvRule } from "./rwkv-config.ts";
import { free, type Neighbours, sharing, towards } from "./rwkv-token-shift.ts";

/** The channel mix of a version. */
export interface ChannelMix {
  /** Names of the weights, without the prefix. */
  readonly reads: readonly string[];
  /** Rows of tokens after the layer's norm to what the layer adds, [B·N, C]. */
  apply(rows: Neighbours, weights: ModelArrays): np.Array;
}

/** max(K·x, 0)². */
function squaredHidden(x: np.Array, key: np.Array): np.Array {
  return np.square(np.maximum(linear(x, key), 0));
}

/** σ(R·x_r)⊙(V·max(K·x_k, 0)²), with one way to name the shares. */
function receptiveMix(
  shares: "time_mix" | "time_maa",
  mixed: (rows: Neighbours, share: np.Array) => np.Array,
): ChannelMix {
  return {
    reads: [`${shares}_k`, `${shares}_r`, "receptance.weight", "key.weight", "value.weight"],
    apply(rows, weights) {
      const hidden = squaredHidden(mixed(rows, weights[`${shares}_k`]), weights["key.weight"]);
      const receptance = linear(mixed(rows, weights[`${shares}_r`]), weights["receptance.weight"]);
      free(rows);
      return sigmoid(receptance).mul(linear(hidden, weights["value.weight"]));
    },
  };
}

const channelMixes: Readonly<Record<RwkvRule, ChannelMix>> = {
  rwkv4: receptiveMix("time_mix", sharing),
  rwkv5: receptiveMix("time_mix", sharing),
  rwkv6: receptiveMix("time_maa", towards),
  rwkv7: {
    reads: ["x_k", "key.weight", "value.weight"],
    apply(rows, weights) {
      const hidden = squaredHidden(towards(rows, weights["x_k"]), weights["key.weight"]);
      free(rows);
      return linear(hidden, weights["value.weight"]);
    },
  },
};

/** The channel mix of a version. */
export function channelMix(version: RwkvRule): ChannelMix {
  return channelMixes[version];
}
