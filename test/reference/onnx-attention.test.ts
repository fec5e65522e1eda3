/**
 * @file The ONNX standard's 38 Attention tests, computed by `attention()`: masks, shared keys, caches, soft cap, causal
 * alignment, padding, half precision, intermediate scores and weights.
 */
import { expect, test } from "vitest";
import {
  attention,
  type Attention,
  type AttentionResult,
  causal,
  dot,
  full,
  type MaskTensor,
  mul,
  positive,
  real,
  similarity,
  tanh,
  type Tensor,
  tensor,
} from "../../src/index.ts";
import { taken } from "../contract/problem.ts";
import { describeWithSharedData } from "../shared-data.ts";
import { type OnnxCase, type OnnxTensor, readOnnxCases } from "./onnx-case.ts";

/**
 * The expected outputs are float32 sums of some 8 products, a softmax over at most 18 keys: (8 + 18) roundings of 6e-8,
 * of numbers of size 1.
 */
const FLOAT32_TOLERANCE = 2e-6;
/** The half-precision case was computed in float16 throughout: a few roundings of 2^-11 = 5e-4. */
const FLOAT16_TOLERANCE = 2e-3;

/** ONNX's soft cap as a user would add it: one expression. */
const capped = similarity("capped", {
  inner: "dot",
  params: { scale: positive((width) => 1 / Math.sqrt(width)), cap: real(1) },
  temperature: { parameter: "scale", power: 1 },
  score: ({ s, scale, cap }) => mul(cap, tanh(mul(scale, s).div(cap))),
});

describeWithSharedData("Attention as ONNX defines it", "onnx/attention.json", (file) => {
  const cases = readOnnxCases(file);

  test("there are 38 cases", () => {
    expect(cases).toHaveLength(38);
  });

  test.each(cases)("$name", async (onnx) => {
    const { actual, present } = await run(onnx);
    const { Y, present_key, present_value, qk_matmul_output } = onnx.outputs;
    const tolerance = Y.dtype === "float16" ? FLOAT16_TOLERANCE : FLOAT32_TOLERANCE;
    expectNear("Y", Y.shape.length === 3 ? joinHeads(actual.out) : actual.out, Y, tolerance);
    if (present_key !== undefined) expectNear("present_key", present.k, present_key, 0);
    if (present_value !== undefined) expectNear("present_value", present.v, present_value, 0);
    if (qk_matmul_output === undefined) return;
    // Mode 2 is the scores with the mask in them, mode 3 the weights.
    const intermediate = onnx.attributes["qk_matmul_output_mode"] === 2 ? actual.scores : actual.weights;
    expectNear("qk_matmul_output", intermediate!, qk_matmul_output, tolerance);
  });
});

interface Run {
  readonly actual: AttentionResult;
  /** Keys and values with those of the cache before them. */
  readonly present: { readonly k: Tensor; readonly v: Tensor };
}

async function run({ inputs, attributes }: OnnxCase): Promise<Run> {
  const { is_causal = 0, q_num_heads, kv_num_heads, scale } = attributes;
  const q = fourAxes(inputs["Q"], q_num_heads);
  const k = after(inputs["past_key"], fourAxes(inputs["K"], kv_num_heads));
  const v = after(inputs["past_value"], fourAxes(inputs["V"], kv_num_heads));
  const attend = attentionOf(attributes);
  const [batch, , queries] = q.shape;
  const lengths = inputs["nonpad_kv_seqlen"]?.data;
  const past = inputs["past_key"]?.shape[2] ?? 0;
  const results: AttentionResult[] = [];
  for (let entry = 0; entry < batch; entry++) {
    const own = <T extends Tensor | MaskTensor>(pairs: T): T =>
      pairs.shape[0] === 1 ? pairs : taken(pairs, 0, [entry]);
    const [one, keys, values] = [q, k, v].map(own);
    results.push(
      await attend(one, keys, values, {
        enableGqa: true,
        return: ["scores", "weights"],
        ...(scale === undefined ? {} : { scale }),
        ...(lengths === undefined ? {} : { keyLengths: [lengths[entry]] }),
        // With a padded cache the last query sees the last valid key; with a past, queries follow it.
        offset: is_causal === 0 ? 0 : lengths === undefined ? past : lengths[entry] - queries,
        ...pairInputs(inputs["attn_mask"], own),
      }),
    );
  }
  const stack = (name: "out" | "scores" | "weights"): Tensor => {
    const parts = results.map((result) => result[name]!);
    return tensor(
      parts.flatMap(({ data }) => [...data]),
      [batch, ...parts[0].shape.slice(1)],
    );
  };
  return {
    actual: { out: stack("out"), scores: stack("scores"), weights: stack("weights") },
    present: { k, v },
  };
}

function attentionOf({ is_causal = 0, softcap = 0 }: OnnxCase["attributes"]): Attention {
  const pattern = is_causal === 1 ? causal() : full();
  return attention({ similarity: softcap === 0 ? dot() : capped({ cap: softcap }), pattern });
}

/** A mask of truth values is a predicate; one of numbers is a bias, whose −∞ are a predicate. */
function pairInputs(
  given: OnnxTensor | undefined,
  own: <T extends Tensor | MaskTensor>(pairs: T) => T,
): { readonly mask?: MaskTensor; readonly bias?: Tensor } {
  if (given === undefined) return {};
  const shape = [...[1, 1].slice(0, 4 - given.shape.length), ...given.shape];
  if (given.dtype === "bool") return { mask: own({ data: Uint8Array.from(given.data), shape }) };
  const allowed = Uint8Array.from(given.data, (value) => (value === -Infinity ? 0 : 1));
  const finite = tensor(
    given.data.map((value) => (value === -Infinity ? 0 : value)),
    shape,
  );
  return { bias: own(finite), mask: own({ data: allowed, shape }) };
}

/** [B, heads, N, width] of [B, N, heads·width]; four axes stay as they are. */
function fourAxes({ data, shape }: OnnxTensor, heads: number | undefined): Tensor {
  if (shape.length === 4) return tensor(data, shape);
  const [batch, count, joined] = shape;
  const width = joined / heads!;
  const result = new Float32Array(data.length);
  data.forEach((value, flat) => {
    const [b, n] = [Math.floor(flat / (count * joined)), Math.floor(flat / joined) % count];
    const [h, d] = [Math.floor((flat % joined) / width), flat % width];
    result[((b * heads! + h) * count + n) * width + d] = value;
  });
  return tensor(result, [batch, heads!, count, width]);
}

/** [B, N, heads·width] of [B, heads, N, width]. */
function joinHeads({ data, shape: [batch, heads, count, width] }: Tensor): Tensor {
  const result = new Float32Array(data.length);
  data.forEach((value, flat) => {
    const [b, h] = [Math.floor(flat / (heads * count * width)), Math.floor(flat / (count * width)) % heads];
    const [n, d] = [Math.floor(flat / width) % count, flat % width];
    result[((b * count + n) * heads + h) * width + d] = value;
  });
  return tensor(result, [batch, count, heads * width]);
}

/** `past` and then `now` along the places. */
function after(past: OnnxTensor | undefined, now: Tensor): Tensor {
  if (past === undefined) return now;
  const [batch, heads, before, width] = past.shape;
  const total = before + now.shape[2];
  const data = new Float32Array(batch * heads * total * width);
  for (let head = 0; head < batch * heads; head++) {
    const [old, fresh] = [before * width, now.shape[2] * width];
    data.set(past.data.subarray(head * old, (head + 1) * old), head * total * width);
    data.set(now.data.subarray(head * fresh, (head + 1) * fresh), head * total * width + old);
  }
  return tensor(data, [batch, heads, total, width]);
}

function expectNear(what: string, actual: Tensor, expected: OnnxTensor, tolerance: number): void {
  expect(actual.shape, `shape of ${what}`).toEqual(expected.shape);
  const distance = actual.data.reduce((largest, value, place) => {
    const wanted = expected.data[place];
    return value === wanted ? largest : Math.max(largest, Math.abs(value - wanted));
  }, 0);
  expect(distance, `largest difference of ${what}`).toBeLessThanOrEqual(tolerance);
}
