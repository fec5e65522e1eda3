/**
 * @file The four update rules of ONNX's LinearAttention (operator set 27), written out on its packed tensors [B, T, H·D], are
 * rules of ours: linear, gated, delta and gated_delta, with fewer key heads and the state in and out.
 */
import { describe, expect, test } from "vitest";
import {
  parseRecurrence,
  random,
  recurrenceForward,
  type RecurrenceInputs,
  type Tensor64,
  tensor64,
} from "../../src/index.ts";

const [batch, tokens, heads, keyHeads, width, valueWidth] = [2, 5, 4, 2, 3, 2];
const group = heads / keyHeads;
const scale = width ** -0.5;

/** Sums of a few dozen f64 products of numbers of size 1. */
const rounding = 1e-12;

const stream = random("onnx linear attention");
const packed = (perToken: number, value: () => number): Float64Array =>
  Float64Array.from({ length: batch * tokens * perToken }, value);
const normal = (): number => stream.normal();

/** Directions of unit length, which the operator leaves to its caller for the delta rules. */
const units = (count: number): Float64Array => {
  const rows = packed(count * width, normal);
  for (let at = 0; at < rows.length; at += width) {
    const length = Math.hypot(...rows.subarray(at, at + width));
    for (let d = 0; d < width; d++) rows[at + d] /= length;
  }
  return rows;
};

const query = units(heads);
const key = units(keyHeads);
const value = packed(keyHeads * valueWidth, normal);
const channelDecay = packed(keyHeads * width, () => -2 * stream.uniform());
const headDecay = packed(keyHeads, () => -2 * stream.uniform());
const beta = packed(keyHeads, () => stream.uniform());
const past = Float64Array.from({ length: batch * keyHeads * width * valueWidth }, normal);

/** The operator: S ← e^g·S + β·k ⊗ (v − e^g·Sᵀk), with terms left out by rule; o = scale·Sᵀq. */
function operator(
  decay: ((row: number, d: number) => number) | undefined,
  strength: Float64Array | undefined,
): { readonly output: number[]; readonly present: number[] } {
  const state = past.slice();
  const output = Array.from({ length: batch * tokens * heads * valueWidth }, () => 0);
  for (let entry = 0; entry < batch; entry++) {
    for (let t = 0; t < tokens; t++) {
      for (let head = 0; head < keyHeads; head++) {
        const row = (entry * tokens + t) * keyHeads + head;
        const start = (entry * keyHeads + head) * width * valueWidth;
        const [k, v] = [key.subarray(row * width), value.subarray(row * valueWidth)];
        for (let d = 0; d < width; d++) {
          const kept = decay === undefined ? 1 : Math.exp(decay(row, d));
          for (let e = 0; e < valueWidth; e++) state[start + d * valueWidth + e] *= kept;
        }
        for (let e = 0; e < valueWidth; e++) {
          let stored = 0;
          for (let d = 0; d < width; d++) stored += k[d] * state[start + d * valueWidth + e];
          const written = strength === undefined ? v[e] : strength[row] * (v[e] - stored);
          for (let d = 0; d < width; d++) state[start + d * valueWidth + e] += k[d] * written;
          for (let member = 0; member < group; member++) {
            const place = (entry * tokens + t) * heads + head * group + member;
            let sum = 0;
            for (let d = 0; d < width; d++)
              sum += query[place * width + d] * state[start + d * valueWidth + e];
            output[place * valueWidth + e] = scale * sum;
          }
        }
      }
    }
  }
  return { output, present: [...state] };
}

/** [B, T, H·D] as [B, H, T, D]. */
function unpack(data: ArrayLike<number>, count: number, extent: number): Tensor64 {
  const result = tensor64(new Float64Array(data.length), [batch, count, tokens, extent]);
  result.data.forEach((_, place) => {
    const [row, d] = [Math.floor(place / extent), place % extent];
    const [entry, head, t] = [
      Math.floor(row / (tokens * count)),
      Math.floor(row / tokens) % count,
      row % tokens,
    ];
    result.data[place] = data[((entry * tokens + t) * count + head) * extent + d];
  });
  return result;
}

const perHead = (data: Float64Array): Tensor64 => {
  const { data: rows } = unpack(data, keyHeads, 1);
  return tensor64(rows, [batch, keyHeads, tokens]);
};
/** The state of each key head for every query head that shares it. */
const shared = (state: ArrayLike<number>): Tensor64 => {
  const size = width * valueWidth;
  const rows = Array.from({ length: batch * heads * size }, (_, place) => {
    const [entry, head] = [Math.floor(place / (size * heads)), Math.floor(place / size) % heads];
    return state[(entry * keyHeads + Math.floor(head / group)) * size + (place % size)];
  });
  return tensor64(rows, [batch, heads, width, valueWidth]);
};

const common: RecurrenceInputs<Tensor64> = {
  q: unpack(query, heads, width),
  k: unpack(key, keyHeads, width),
  v: unpack(value, keyHeads, valueWidth),
  state: shared(past),
};
const logs = unpack(channelDecay, keyHeads, width);
const wide = unpack(
  Float64Array.from({ length: headDecay.length * width }, (_, place) => headDecay[Math.floor(place / width)]),
  keyHeads,
  width,
);

describe("ONNX LinearAttention", () => {
  test.each([
    ["linear", "linear:map=identity,normaliser=none", {}, operator(undefined, undefined), scale],
    [
      "gated by channel",
      "gla",
      { logDecay: logs },
      operator((row, d) => channelDecay[row * width + d], undefined),
      1,
    ],
    ["gated by head", "gla", { logDecay: wide }, operator((row) => headDecay[row], undefined), 1],
    ["delta", "deltanet", { beta: perHead(beta) }, operator(undefined, beta), scale],
    [
      "gated_delta",
      "gated-deltanet",
      { beta: perHead(beta), logDecay: perHead(headDecay) },
      operator((row) => headDecay[row], beta),
      scale,
    ],
  ])("%s is %s", (_, selector, more, { output, present }, factor) => {
    const { out, state } = recurrenceForward(parseRecurrence(selector), { ...common, ...more });
    const [expected, last] = [unpack(output, heads, valueWidth), shared(present)];
    out.data.forEach((x, place) =>
      expect(Math.abs(factor * x - expected.data[place])).toBeLessThan(rounding),
    );
    state.data.forEach((x, place) => expect(Math.abs(x - last.data[place])).toBeLessThan(rounding));
  });
});
