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
  random,
  referenceBackend,
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
    expect([dq.shape, dk.shape, dv.shape, dParameters["beta"].shape]).toEqual([
      q.shape,
      k.shape,
      v.shape,
      [4],
    ]);
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
    const rows = (result: Tensor, head: number): unknown => [
      ...result.data.subarray(head * 18, head * 18 + 18),
    ];
    expect(rows(out, 1)).toEqual(rows(second.out, 1));
    expect(rows(out, 2)).not.toEqual(rows(second.out, 2));
  });

  test("shared keys want to be asked for", async () => {
    const [fewK, fewV] = [shaped(2, 2, 5, 8), shaped(2, 2, 5, 6)];
    const attend = attention({ similarity: dot(), pattern: full() });
    await expect(attend(q, fewK, fewV)).rejects.toThrow(code("gqa", "ShapeError"));
    await expect(attend(q, fewK, fewV)).rejects.toThrow(/enableGqa: true/);
    expect((await attend(q, fewK, fewV, { enableGqa: true })).out.shape).toEqual([2, 4, 3, 6]);
    expect(
      (await attend.backward({ q, k: fewK, v: fewV, enableGqa: true, dOut: shaped(2, 4, 3, 6) })).dk.shape,
    ).toEqual(fewK.shape);
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
        calls.push([
          composition.similarity.name,
          Object.keys(inputs.parameters ?? {}),
          inputs.offset,
          extras,
        ]);
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
