/** @file The public attention: what a caller may pass, what comes back, what is refused. */
import { describe, expect, test } from "vitest";
import { normals } from "../../test/contract/problem.ts";
import {
  attention,
  type AttentionBackend,
  type AttentionSpec,
  causal,
  cauchy,
  cosine,
  dot,
  full,
  l2,
  logCpb,
  none,
  product,
  random,
  rbf,
  referenceBackend,
  sigmoid,
  sinusoidal,
  softmax,
  type Tensor,
  tensor,
  topk,
} from "../index.ts";

const stream = random("attention");
const shaped = (...shape: readonly number[]): Tensor => normals(stream, shape);
const code = (expected: string, name: string): unknown => expect.objectContaining({ name, code: expected });

const [q, k, v] = [shaped(2, 4, 3, 8), shaped(2, 4, 5, 8), shaped(2, 4, 5, 6)];

describe("a call", () => {
  test("interface.md's example: forward, extras, backward", async () => {
    const attend = attention({ similarity: l2(), pattern: causal(), normaliser: softmax() });
    const plain = await attend(q, k, v);
    expect(Object.keys(plain)).toEqual(["out"]);
    expect(plain.out.shape).toEqual([2, 4, 3, 6]);
    const { out, scores, weights, lse } = await attend(q, k, v, { return: ["scores", "weights", "lse"] });
    expect(out).toEqual(plain.out);
    expect([scores?.shape, weights?.shape, lse?.shape]).toEqual([
      [2, 4, 3, 5],
      [2, 4, 3, 5],
      [2, 4, 3],
    ]);
    const { dq, dk, dv, dParameters } = await attend.backward({ q, k, v, out, lse: lse!, dOut: out });
    expect([dq.shape, dk.shape, dv.shape, dParameters["beta"].shape]).toEqual([q.shape, k.shape, v.shape, [4]]);
    expect(attend.selector).toBe("l2+causal");
  });

  test("what is returned fits together: out = weights · v, lse = ln Σ e^s, excluded pairs are −∞", async () => {
    const attend = attention({ similarity: dot(), pattern: causal() });
    const { out, scores, weights, lse } = await attend(q, k, v, { return: ["scores", "weights", "lse"] });
    for (let row = 0; row < 2 * 4 * 3; row++) {
      const place = row % 3;
      const [s, w] = [scores!, weights!].map(({ data }) => [...data.subarray(row * 5, row * 5 + 5)]);
      expect(s.map((score) => score === -Infinity)).toEqual([0, 1, 2, 3, 4].map((key) => key > place));
      const mass = s.reduce((sum, score) => sum + Math.exp(score), 0);
      expect(lse!.data[row]).toBeCloseTo(Math.log(mass), 5);
      w.forEach((weight, key) => expect(weight).toBeCloseTo(Math.exp(s[key]) / mass, 5));
      const head = Math.floor(row / 3);
      const joined = w.reduce((sum, weight, key) => sum + weight * v.data[(head * 5 + key) * 6 + 2], 0);
      expect(out.data[row * 6 + 2]).toBeCloseTo(joined, 5);
    }
  });

  test("scale takes the place of the similarity's temperature", async () => {
    const scaled = await attention({ similarity: dot(), pattern: full() })(q, k, v, { scale: 0.3 });
    const fixed = await attention({ similarity: dot({ scale: 0.3 }), pattern: full() })(q, k, v);
    expect(scaled.out).toEqual(fixed.out);
  });

  test("parameters go by name and head", async () => {
    const attend = attention({ similarity: cauchy(), pattern: full() });
    const tau = tensor([1, 2, 3, 4], [4]);
    const { out } = await attend(q, k, v, { parameters: { tau } });
    const second = await attention({ similarity: cauchy({ tau: 2 }), pattern: full() })(q, k, v);
    const rows = (result: Tensor, head: number): unknown => [...result.data.subarray(head * 18, head * 18 + 18)];
    expect(rows(out, 1)).toEqual(rows(second.out, 1));
    expect(rows(out, 2)).not.toEqual(rows(second.out, 2));
  });

  test("shared keys want to be asked for", async () => {
    const [fewK, fewV] = [shaped(2, 2, 5, 8), shaped(2, 2, 5, 6)];
    const attend = attention({ similarity: dot(), pattern: full() });
    await expect(attend(q, fewK, fewV)).rejects.toThrow(code("gqa", "ShapeError"));
    await expect(attend(q, fewK, fewV)).rejects.toThrow(/enableGqa: true/);
    expect((await attend(q, fewK, fewV, { enableGqa: true })).out.shape).toEqual([2, 4, 3, 6]);
    expect((await attend.backward({ q, k: fewK, v: fewV, enableGqa: true, dOut: shaped(2, 4, 3, 6) })).dk.shape).toEqual(
      fewK.shape,
    );
  });

  test("key lengths leave out later keys, per batch entry", async () => {
    const attend = attention({ similarity: dot(), pattern: full() });
    const { weights } = await attend(q, k, v, { keyLengths: [2, 5], return: ["weights"] });
    const used = [0, 1].map((entry) =>
      [0, 1, 2, 3, 4].filter((key) => weights!.data[entry * 4 * 3 * 5 + key] > 0),
    );
    expect(used).toEqual([
      [0, 1],
      [0, 1, 2, 3, 4],
    ]);
  });

  test("another backend is called with the composition, complete parameters and what is to be returned", async () => {
    const calls: unknown[] = [];
    const backend: AttentionBackend = {
      ...referenceBackend,
      name: "spy",
      forward(composition, inputs, extras) {
        calls.push([composition.similarity.name, Object.keys(inputs.parameters ?? {}), inputs.offset, extras]);
        return referenceBackend.forward(composition, inputs, extras);
      },
    };
    const attend = attention({ similarity: cauchy(), pattern: full() }, { backend });
    await attend(q, k, v, { offset: 2, return: ["weights"] });
    expect(calls).toEqual([["cauchy", ["beta", "tau"], 2, ["weights"]]]);
  });
});

describe("auto", () => {
  const spec: AttentionSpec = { similarity: cauchy({ beta: "auto", tau: "learned" }), pattern: full() };

  test("calibrates on the first call and keeps what it found", async () => {
    const attend = attention(spec);
    const first = await attend(q, k, v, { return: ["scores"] });
    const larger = { ...q, data: q.data.map((value) => 5 * value) };
    await attend(larger, k, v);
    const again = await attend(q, k, v, { return: ["scores"] });
    expect(again.scores).toEqual(first.scores);
    const fresh = await attention(spec)(larger, k, v, { return: ["scores"] });
    const kept = await attend(larger, k, v, { return: ["scores"] });
    expect(fresh.scores).not.toEqual(kept.scores);
  });

  test("keeps the temperature alone, not what else the first call passed", async () => {
    const attend = attention(spec);
    await attend(q, k, v, { parameters: { tau: tensor([50, 50, 50, 50], [4]) } });
    const gradients = await attend.backward({ q, k, v, dOut: shaped(2, 4, 3, 6) });
    const calibrated = attention(spec);
    await calibrated(q, k, v, { parameters: { tau: tensor([50, 50, 50, 50], [4]) } });
    const [a, b] = [
      await attend(q, k, v, { return: ["scores"] }),
      await calibrated(q, k, v, { parameters: { tau: tensor([8, 8, 8, 8], [4]) }, return: ["scores"] }),
    ];
    expect(a.scores).toEqual(b.scores);
    expect(Object.keys(gradients.dParameters)).toEqual(["beta", "tau"]);
  });

  test("gives rows of scores a mean standard deviation of one", async () => {
    const { scores } = await attention(spec)(q, k, v, { return: ["scores"] });
    const deviations = Array.from({ length: 3 * 4 * 2 }, (_, row) => {
      const s = scores!.data.subarray(row * 5, row * 5 + 5);
      const mean = s.reduce((a, b) => a + b) / 5;
      return Math.sqrt(s.reduce((sum, score) => sum + (score - mean) ** 2, 0) / 5);
    });
    expect(deviations.reduce((a, b) => a + b) / deviations.length).toBeCloseTo(1, 5);
  });

  test("a batch whose scores do not vary cannot calibrate", async () => {
    const one = shaped(1, 1, 1, 8);
    await expect(attention(spec)(one, one, one)).rejects.toThrow(code("calibration", "DomainError"));
  });
});

describe("refused", () => {
  const attend = attention({ similarity: dot(), pattern: full() });
  const withNumber = (source: Tensor, place: number, value: number): Tensor => ({
    ...source,
    data: source.data.map((x, i) => (i === place ? value : x)),
  });

  test.each([
    { name: "NaN in q", call: () => attend(withNumber(q, 7, NaN), k, v), says: /q .*NaN at \[0, 0, 0, 7\]/ },
    { name: "infinity in k", call: () => attend(q, withNumber(k, 40, Infinity), v), says: /k .*Infinity at \[0, 1, 0, 0\]/ },
    { name: "−infinity in v", call: () => attend(q, k, withNumber(v, 0, -Infinity)), says: /v .*-Infinity/ },
    {
      name: "NaN in a bias",
      call: () => attend(q, k, v, { bias: tensor([NaN, ...new Array<number>(14).fill(0)], [1, 1, 3, 5]) }),
      says: /bias/,
    },
    {
      name: "NaN in a parameter",
      call: () => attend(q, k, v, { parameters: { scale: tensor([1, NaN, 1, 1], [4]) } }),
      says: /scale .*NaN at \[1\]/,
    },
    {
      name: "NaN in dOut",
      call: () => attend.backward({ q, k, v, dOut: withNumber(shaped(2, 4, 3, 6), 3, NaN) }),
      says: /dOut/,
    },
  ])("$name", async ({ call, says }) => {
    await expect(call()).rejects.toThrow(code("not-finite", "NumbersError"));
    await expect(call()).rejects.toThrow(says);
  });

  test("an output that leaves float32, instead of infinity", async () => {
    const exponential = attention({ similarity: dot({ scale: 1 }), pattern: full(), normaliser: none({ map: "exp" }) });
    const large = { ...q, data: q.data.map((value) => 100 * value) };
    await expect(exponential(large, k, v)).rejects.toThrow(code("not-finite", "NumbersError"));
    await expect(exponential(large, k, v)).rejects.toThrow(/the output of the attention/);
  });

  test("a gradient of a parameter that is not finite", async () => {
    const broken: AttentionBackend = {
      ...referenceBackend,
      async backward(...call) {
        const gradients = await referenceBackend.backward(...call);
        return { ...gradients, dParameters: { scale: tensor([1, NaN, 1, 1], [4]) } };
      },
    };
    const own = attention({ similarity: dot(), pattern: full() }, { backend: broken });
    await expect(own.backward({ q, k, v, dOut: shaped(2, 4, 3, 6) })).rejects.toThrow(/gradient of 'scale'/);
  });

  test.each([
    { name: "three axes", call: () => attend(shaped(4, 3, 8), k, v), code: "attention-shape" },
    { name: "an empty sequence of queries", call: () => attend(shaped(2, 4, 0, 8), k, v), code: "attention-shape" },
    { name: "an empty sequence of keys", call: () => attend(q, shaped(2, 4, 0, 8), shaped(2, 4, 0, 6)), code: "attention-shape" },
    { name: "different batches", call: () => attend(q, shaped(1, 4, 5, 8), v), code: "attention-shape" },
    { name: "different widths", call: () => attend(q, shaped(2, 4, 5, 7), v), code: "attention-shape" },
    { name: "more keys than values", call: () => attend(q, k, shaped(2, 4, 4, 6)), code: "attention-shape" },
    { name: "key heads that do not divide", call: () => attend(q, shaped(2, 3, 5, 8), shaped(2, 3, 5, 6)), code: "heads" },
    { name: "data shorter than the shape", call: () => attend({ ...q, shape: [2, 4, 4, 8] }, k, v), code: "tensor-size" },
    {
      name: "a mask shorter than its shape",
      call: () => attend(q, k, v, { mask: { data: new Uint8Array(3), shape: [1, 1, 3, 5] } }),
      code: "tensor-size",
    },
    {
      name: "a mask of other extents",
      call: () => attend(q, k, v, { mask: { data: new Uint8Array(15), shape: [1, 1, 5, 3] } }),
      code: "pair-shape",
    },
    { name: "a bias of other extents", call: () => attend(q, k, v, { bias: shaped(2, 2, 3, 5) }), code: "pair-shape" },
    {
      name: "a parameter of another shape",
      call: () => attend(q, k, v, { parameters: { scale: tensor([1, 1], [2]) } }),
      code: "parameter-shape",
    },
    { name: "a gradient of another shape", call: () => attend.backward({ q, k, v, dOut: shaped(2, 4, 3, 8) }), code: "gradient-shape" },
  ])("$name", async ({ call, code: expected }) => {
    await expect(call()).rejects.toThrow(code(expected, "ShapeError"));
  });

  test.each([
    { name: "as many key lengths as heads", call: () => attend(q, k, v, { keyLengths: [1, 1, 1, 1] }), code: "key-lengths" },
    { name: "a key length beyond the keys", call: () => attend(q, k, v, { keyLengths: [6, 5] }), code: "key-lengths" },
    { name: "a fractional key length", call: () => attend(q, k, v, { keyLengths: [1.5, 5] }), code: "key-lengths" },
    { name: "a fractional offset", call: () => attend(q, k, v, { offset: 0.5 }), code: "offset" },
    { name: "an unknown parameter", call: () => attend(q, k, v, { parameters: { beta: tensor([1], [1]) } }), code: "unknown-parameter" },
    { name: "a scale of zero", call: () => attend(q, k, v, { scale: 0 }), code: "parameter-domain" },
    {
      name: "scale and its parameter at once",
      call: () => attend(q, k, v, { scale: 2, parameters: { scale: tensor([1, 1, 1, 1], [4]) } }),
      code: "scale-twice",
    },
    { name: "an unknown extra", call: () => attend(q, k, v, { return: ["score" as never] }), code: "unknown-extra" },
  ])("$name", async ({ call, code: expected }) => {
    await expect(call()).rejects.toThrow(code(expected, "DomainError"));
  });

  test("a scale where the score has no single factor", async () => {
    for (const similarity of [rbf(), product({ members: "l2/dot" })]) {
      await expect(attention({ similarity, pattern: full() })(q, k, v, { scale: 2 })).rejects.toThrow(
        code("scale", "UnsupportedError"),
      );
    }
  });

  test("a log-sum-exp where there is none", async () => {
    const attendBySigmoid = attention({ similarity: dot(), pattern: full(), normaliser: sigmoid() });
    await expect(attendBySigmoid(q, k, v, { return: ["lse"] })).rejects.toThrow(code("lse", "UnsupportedError"));
  });

  test("positions that belong to a model's embeddings", () => {
    const make = (): unknown => attention({ similarity: dot(), position: sinusoidal(), pattern: full() });
    expect(make).toThrow(code("position-outside", "UnsupportedError"));
    expect(make).toThrow(/rope, alibi or log-cpb/);
  });
});

test("options that reach every part", async () => {
  const attend = attention({
    similarity: cosine({ beta: "learned" }),
    position: logCpb({ window: 8, hidden: 4 }),
    pattern: [causal(), full()],
    selection: topk({ k: 2 }),
    normaliser: softmax({ sink: "learned" }),
  });
  expect(attend.selector).toBe(
    "cosine:beta=learned+log-cpb:window=8,hidden=4+causal+full+topk:k=2+softmax:sink=learned",
  );
  const { dParameters } = await attend.backward({ q, k, v, dOut: shaped(2, 4, 3, 6) });
  expect(Object.keys(dParameters).sort()).toEqual([
    "beta",
    "log-cpb.hiddenBias",
    "log-cpb.hiddenWeight",
    "log-cpb.outWeight",
    "softmax.sink",
  ]);
});
