/**
 * @file The blocks of RWKV-7 in a trained model that reverses numbers: two layers of 32 channels. What it gives is right to the last
 * digit, all at once and token by token. The long test has the published numbers.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { describeWithSharedData } from "../../test/shared-data.ts";
import { random } from "../base/random.ts";
import { type Tensor64, zeros64 } from "../base/tensor.ts";
import { decodeSafetensors, toFloat32 } from "../checkpoints/index.ts";
import { resolveRwkvConfig } from "./rwkv-config.ts";
import {
  drawNumber,
  likeliest,
  nothing,
  reversed,
  reversing,
  reversingTensors,
  rwkvInF64,
  type RwkvState,
  tokensOf,
} from "./rwkv-fixtures.ts";
import { rwkv7ChannelMix } from "./rwkv.ts";

/** The two forms differ in the order of sums of numbers of size 1 to 10, through two layers. */
const orderOfSums = 1e-9;

describeWithSharedData("the trained RWKV-7 that reverses", reversing.path, (path) => {
  const { tensors: stored } = decodeSafetensors(readFileSync(path));
  const tensors = reversingTensors(new Map([...stored].map(([name, tensor]) => [name, toFloat32(tensor)])));
  const config = resolveRwkvConfig(reversing.config);
  const logits = (text: string, state: RwkvState): ReturnType<typeof rwkvInF64> =>
    rwkvInF64(config, tensors, tokensOf(text), state);
  const stream = random("rwkv", "reverse");

  it("reverses numbers of up to 60 digits without an error", () => {
    let digits = 0;
    for (let length = 4; length <= 60; length += 4) {
      const given = drawNumber(length, stream);
      const answer = reversed(given);
      const { rows } = logits(`${given},${answer}`, nothing);
      const found = rows.slice(length).map(likeliest).join("");
      expect(found).toBe(`${answer}#`);
      digits += length;
    }
    expect(digits).toBe(480);
  });

  it("does so from its own answers, token by token in the memory of one state, with the same logits", () => {
    const given = drawNumber(40, stream);
    const whole = logits(`${given},${reversed(given)}`, nothing);
    let state = nothing;
    let answer = "";
    let letter = given[0];
    for (let t = 0; letter !== "#" && t < 90; t++) {
      const step = logits(letter, state);
      ({ state } = step);
      step.rows[0].forEach((value, token) =>
        expect(Math.abs(value - whole.rows[t][token])).toBeLessThan(orderOfSums),
      );
      letter = t < 39 ? given[t + 1] : t === 39 ? "," : likeliest(step.rows[0]);
      if (t > 39) answer += letter;
    }
    expect(answer).toBe(`${reversed(given)}#`);
    expect(state.time[0]?.matrix.shape).toEqual([1, 2, 16, 16]);
  });
});

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
