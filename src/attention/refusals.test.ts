/** @file What the public attention refuses: numbers, shapes, lengths, names. */
import { describe, expect, test } from "vitest";
import { normals } from "../../test/contract/problem.ts";
import {
  attention,
  type AttentionBackend,
  dot,
  full,
  none,
  product,
  random,
  rbf,
  referenceBackend,
  sigmoid,
  sinusoidal,
  type Tensor,
  tensor,
} from "../index.ts";

const stream = random("refusals");
const shaped = (...shape: readonly number[]): Tensor => normals(stream, shape);
const code = (expected: string, name: string): unknown => expect.objectContaining({ name, code: expected });

const [q, k, v] = [shaped(2, 4, 3, 8), shaped(2, 4, 5, 8), shaped(2, 4, 5, 6)];

describe("refused", () => {
  const attend = attention({ similarity: dot(), pattern: full() });
  const withNumber = (source: Tensor, place: number, value: number): Tensor => ({
    ...source,
    data: source.data.map((x, i) => (i === place ? value : x)),
  });

  test.each([
    { name: "NaN in q", call: () => attend(withNumber(q, 7, NaN), k, v), says: /q .*NaN at \[0, 0, 0, 7\]/ },
    {
      name: "infinity in k",
      call: () => attend(q, withNumber(k, 40, Infinity), v),
      says: /k .*Infinity at \[0, 1, 0, 0\]/,
    },
    { name: "−infinity in v", call: () => attend(q, k, withNumber(v, 0, -Infinity)), says: /v .*-Infinity/ },
    {
      name: "NaN in a bias",
      call: () =>
        attend(q, k, v, { bias: tensor([NaN, ...Array.from({ length: 14 }, () => 0)], [1, 1, 3, 5]) }),
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
    const exponential = attention({
      similarity: dot({ scale: 1 }),
      pattern: full(),
      normaliser: none({ map: "exp" }),
    });
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
    {
      name: "an empty sequence of queries",
      call: () => attend(shaped(2, 4, 0, 8), k, v),
      code: "attention-shape",
    },
    {
      name: "an empty sequence of keys",
      call: () => attend(q, shaped(2, 4, 0, 8), shaped(2, 4, 0, 6)),
      code: "attention-shape",
    },
    { name: "different batches", call: () => attend(q, shaped(1, 4, 5, 8), v), code: "attention-shape" },
    { name: "different widths", call: () => attend(q, shaped(2, 4, 5, 7), v), code: "attention-shape" },
    { name: "more keys than values", call: () => attend(q, k, shaped(2, 4, 4, 6)), code: "attention-shape" },
    {
      name: "key heads that do not divide",
      call: () => attend(q, shaped(2, 3, 5, 8), shaped(2, 3, 5, 6)),
      code: "heads",
    },
    {
      name: "data shorter than the shape",
      call: () => attend({ ...q, shape: [2, 4, 4, 8] }, k, v),
      code: "tensor-size",
    },
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
    {
      name: "a bias of other extents",
      call: () => attend(q, k, v, { bias: shaped(2, 2, 3, 5) }),
      code: "pair-shape",
    },
    {
      name: "a parameter of another shape",
      call: () => attend(q, k, v, { parameters: { scale: tensor([1, 1], [2]) } }),
      code: "parameter-shape",
    },
    {
      name: "a gradient of another shape",
      call: () => attend.backward({ q, k, v, dOut: shaped(2, 4, 3, 8) }),
      code: "gradient-shape",
    },
  ])("$name", async ({ call, code: expected }) => {
    await expect(call()).rejects.toThrow(code(expected, "ShapeError"));
  });

  test.each([
    {
      name: "as many key lengths as heads",
      call: () => attend(q, k, v, { keyLengths: [1, 1, 1, 1] }),
      code: "key-lengths",
    },
    {
      name: "a key length beyond the keys",
      call: () => attend(q, k, v, { keyLengths: [6, 5] }),
      code: "key-lengths",
    },
    {
      name: "a fractional key length",
      call: () => attend(q, k, v, { keyLengths: [1.5, 5] }),
      code: "key-lengths",
    },
    { name: "a fractional offset", call: () => attend(q, k, v, { offset: 0.5 }), code: "offset" },
    {
      name: "an unknown parameter",
      call: () => attend(q, k, v, { parameters: { beta: tensor([1], [1]) } }),
      code: "unknown-parameter",
    },
    { name: "a scale of zero", call: () => attend(q, k, v, { scale: 0 }), code: "parameter-domain" },
    {
      name: "scale and its parameter at once",
      call: () => attend(q, k, v, { scale: 2, parameters: { scale: tensor([1, 1, 1, 1], [4]) } }),
      code: "scale-twice",
    },
    {
      name: "an unknown extra",
      call: () => attend(q, k, v, { return: ["score" as never] }),
      code: "unknown-extra",
    },
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
    await expect(attendBySigmoid(q, k, v, { return: ["lse"] })).rejects.toThrow(
      code("lse", "UnsupportedError"),
    );
  });

  test("positions that belong to a model's embeddings", () => {
    const make = (): unknown => attention({ similarity: dot(), position: sinusoidal(), pattern: full() });
    expect(make).toThrow(code("position-outside", "UnsupportedError"));
    expect(make).toThrow(/rope, alibi or log-cpb/);
  });
});
