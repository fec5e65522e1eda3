/**
 * @file The blocks of RWKV-7 in a trained model that reverses numbers: two layers of 32 channels, whose names are those of
 * its file. What it gives is right to the last digit, all at once and token by token.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { describeWithSharedData } from "../../test/shared-data.ts";
import { random } from "../base/random.ts";
import { type Tensor, type Tensor64, tensor64, zeros64 } from "../base/tensor.ts";
import { decodeSafetensors, toFloat32 } from "../checkpoints/index.ts";
import {
  type Rwkv7ChannelMixWeight,
  rwkv7TimeMix,
  rwkv7ChannelMix,
  type Rwkv7TimeMixWeight,
} from "./rwkv.ts";
import { type TimeMixState, type Weights } from "./rwkv-parts.ts";

const channels = 32;
const reversed = (text: string): string => text.split("").reverse().join("");
const alphabet = "0123456789,#";

/** The two forms differ in the order of sums of numbers of size 1 to 10, through two layers. */
const orderOfSums = 1e-9;

/** What both layers remember. */
interface ModelState {
  readonly time: readonly (TimeMixState | undefined)[];
  readonly channel: readonly (Tensor64 | undefined)[];
}
const nothing: ModelState = { time: [undefined, undefined], channel: [undefined, undefined] };

describeWithSharedData(
  "the trained RWKV-7 that reverses",
  "rwkv7-reverse/260123_reverse_L2_only_rwkv7.safetensors",
  (path) => {
    const { tensors } = decodeSafetensors(readFileSync(path));
    const weights = new Map([...tensors].map(([name, stored]) => [name, toFloat32(stored)]));
    const weight = (name: string): Tensor => weights.get(name)!;
    const layerWeights = <Name extends string>(prefix: string): Weights<Name> =>
      Object.fromEntries(
        [...weights.keys()]
          .filter((name) => name.startsWith(`${prefix}.`))
          .map((name) => [name.slice(prefix.length + 1), weight(name)]),
      ) as Weights<Name>;
    const layers = [1, 2].map((layer) => ({
      time: layerWeights<Rwkv7TimeMixWeight>(`rwkv${layer}`),
      channel: layerWeights<Rwkv7ChannelMixWeight>(`ffn${layer}`),
      timeNorm: `ln${layer}a`,
      channelNorm: `ln${layer}b`,
      // The model has a third branch, whose embedding is zero in this file: of it the bias of its output is left.
      constant: weight(`rosa${layer}.o.bias`).data,
    }));

    /** (x − mean)/√(variance + 1e-5), times weight plus bias. */
    const norm = (x: Tensor64, name: string): Tensor64 => {
      const [scale, bias] = [weight(`${name}.weight`).data, weight(`${name}.bias`).data];
      const result = zeros64(x.shape);
      for (let start = 0; start < x.data.length; start += channels) {
        const row = x.data.subarray(start, start + channels);
        const mean = row.reduce((sum, value) => sum + value, 0) / channels;
        const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / channels;
        result.data.set(
          row.map((value, d) => ((value - mean) / Math.sqrt(variance + 1e-5)) * scale[d] + bias[d]),
          start,
        );
      }
      return result;
    };
    const plus = (x: Tensor64, y: Tensor64): Tensor64 => ({
      data: x.data.map((value, place) => value + y.data[place]),
      shape: x.shape,
    });

    const logits = (
      text: string,
      state: ModelState,
    ): { readonly rows: number[][]; readonly state: ModelState } => {
      const embedding = weight("e.weight").data;
      const rows = text.split("").flatMap((letter) => {
        const token = alphabet.indexOf(letter);
        return [...embedding.subarray(token * channels, (token + 1) * channels)];
      });
      let x = tensor64(rows, [1, text.length, channels]);
      let firstValues: Tensor64 | undefined;
      const [time, channel]: [TimeMixState[], Tensor64[]] = [[], []];
      layers.forEach((layer, index) => {
        const past = state.time[index];
        const mixed = rwkv7TimeMix(layer.time, norm(x, layer.timeNorm), {
          ...(firstValues === undefined ? {} : { firstValues }),
          ...(past === undefined ? {} : { state: past }),
        });
        firstValues ??= mixed.values;
        time.push(mixed.state);
        x = plus(x, mixed.out);
        x = { data: x.data.map((value, place) => value + layer.constant[place % channels]), shape: x.shape };
        const { out, previous } = rwkv7ChannelMix(
          layer.channel,
          norm(x, layer.channelNorm),
          state.channel[index],
        );
        channel.push(previous);
        x = plus(x, out);
      });
      const head = weight("o.weight").data;
      const bias = weight("o.bias").data;
      const last = norm(x, "lno").data;
      return {
        rows: Array.from({ length: text.length }, (_, t) =>
          Array.from(bias, (value, token) => {
            let sum = value;
            for (let d = 0; d < channels; d++) sum += head[token * channels + d] * last[t * channels + d];
            return sum;
          }),
        ),
        state: { time, channel },
      };
    };
    const best = (row: readonly number[]): string => alphabet[row.indexOf(Math.max(...row))];
    const stream = random("rwkv", "reverse");
    const number = (digits: number): string =>
      Array.from({ length: digits }, (_, place) =>
        String(place === 0 && digits > 1 ? 1 + stream.integer(9) : stream.integer(10)),
      ).join("");

    it("reverses numbers of 1 to 60 digits without an error", () => {
      let digits = 0;
      for (let length = 1; length <= 60; length++) {
        const given = number(length);
        const answer = reversed(given);
        const { rows } = logits(`${given},${answer}`, nothing);
        const found = rows.slice(length).map(best).join("");
        expect(found).toBe(`${answer}#`);
        digits += length;
      }
      expect(digits).toBe(1830);
    });

    it("does so from its own answers, token by token in the memory of one state, with the same logits", () => {
      const given = number(40);
      const whole = logits(`${given},${reversed(given)}`, nothing);
      let state: ModelState = nothing;
      let answer = "";
      let letter = given[0];
      for (let t = 0; letter !== "#" && t < 90; t++) {
        const step = logits(letter, state);
        ({ state } = step);
        step.rows[0].forEach((value, token) =>
          expect(Math.abs(value - whole.rows[t][token])).toBeLessThan(orderOfSums),
        );
        letter = t < 39 ? given[t + 1] : t === 39 ? "," : best(step.rows[0]);
        if (t > 39) answer += letter;
      }
      expect(answer).toBe(`${reversed(given)}#`);
      expect(state.time[0]?.matrix.shape).toEqual([1, 2, 16, 16]);
    });
  },
);

describe("an RWKV-7 block", () => {
  it("refuses weights of another width", () => {
    const zeros = (...shape: readonly number[]): Tensor64 => zeros64(shape);
    const mix = { x_k: zeros(8), "key.weight": zeros(16, 8), "value.weight": zeros(8, 16) };
    expect(rwkv7ChannelMix(mix, zeros(1, 3, 8)).out.shape).toEqual([1, 3, 8]);
    expect(() => rwkv7ChannelMix(mix, zeros(1, 3, 4))).toThrow(
      expect.objectContaining({ code: "rwkv-shape" }),
    );
  });
});
