/** @file Attentions whose selection chooses by the vectors: the reference, its mask, and what is refused. */
import { describe, expect, test } from "vitest";
import { normals } from "../../test/contract/problem.ts";
import { jaxBackend } from "../kernels/jax/backend.ts";
import {
  alibi,
  attention,
  type AttentionSpec,
  causal,
  compose,
  dot,
  full,
  lsh,
  moba,
  parseSelector,
  printSelector,
  random,
  referenceBackward,
  referenceForward,
  rope,
  strided,
  type Tensor,
  tensor64,
  window,
} from "../index.ts";
import { maskedCall } from "./chosen-pairs.ts";
import { checkInputs } from "./inputs.ts";

const stream = random("chosen pairs");
const shaped = (...shape: readonly number[]): Tensor => normals(stream, shape);
const hashed = lsh({ buckets: 4, rounds: 3, chunk: 4 });
const blocked = moba({ block: 4, k: 1 });

const specs: readonly AttentionSpec[] = [
  { similarity: dot(), pattern: causal(), selection: hashed },
  {
    similarity: dot({ scale: "learned" }),
    position: rope({ theta: 100 }),
    pattern: full(),
    selection: hashed,
  },
  { similarity: dot(), position: alibi(), pattern: causal(), selection: blocked },
  {
    similarity: dot(),
    position: rope({ theta: 100 }),
    pattern: [causal(), window({ w: 9 })],
    selection: blocked,
  },
];

describe.each(specs.map((spec) => ({ spec, selector: printSelector(compose(spec)) })))(
  "$selector",
  ({ spec }) => {
    const composition = compose(spec);
    const [q, k, v] = [shaped(2, 2, 21, 8), shaped(2, 1, 23, 8), shaped(2, 1, 23, 5)];
    const mask = {
      data: Uint8Array.from({ length: 21 * 23 }, () => Number(stream.uniform() > 0.1)),
      shape: [1, 1, 21, 23],
    };
    const inputs = { q, k, v, mask, keyLengths: [23, 19], offset: 2 };
    const dOut = shaped(2, 2, 21, 5);

    test("is the attention over the pairs of its mask, forward and backward", () => {
      const masked = maskedCall(composition, inputs, checkInputs(inputs));
      expect(masked.inputs.mask!.data).toContain(1);
      expect(referenceForward(composition, inputs)).toEqual(
        referenceForward(masked.composition, masked.inputs),
      );
      const gradient = tensor64(dOut.data, dOut.shape);
      expect(referenceBackward(composition, inputs, gradient)).toEqual(
        referenceBackward(masked.composition, masked.inputs, gradient),
      );
    });

    /** Some ten products of numbers about 1 a score, summed over some ten keys, in float32. */
    const TOLERANCE = 1e-5;

    test("is the same on jax-js", async () => {
      const own = attention(spec, { backend: jaxBackend });
      const { out } = await own(q, k, v, { ...inputs, enableGqa: true });
      const { dq, dk, dv } = await own.backward({ ...inputs, dOut, enableGqa: true });
      const expected = referenceForward(composition, inputs);
      const gradients = referenceBackward(composition, inputs, tensor64(dOut.data, dOut.shape));
      const pairs = [
        [out, expected.out],
        [dq, gradients.dq],
        [dk, gradients.dk],
        [dv, gradients.dv],
      ] as const;
      for (const [actual, wanted] of pairs) {
        const largest = Math.max(...wanted.data.map(Math.abs));
        actual.data.forEach((number, at) =>
          expect(Math.abs(number - wanted.data[at])).toBeLessThan(TOLERANCE * largest),
        );
      }
    });
  },
);

test.each([hashed, blocked])("no output depends on a later token, to the bit: $name", async (selection) => {
  const attend = attention({ similarity: dot(), pattern: causal(), selection });
  const x = shaped(1, 1, 40, 8);
  const { out } = await attend(x, x, x);
  for (const changed of [3, 20, 39]) {
    const data = x.data.map((value, at) => (Math.floor(at / 8) === changed ? -2 * value : value));
    const y = { ...x, data };
    const other = await attend(y, y, y);
    expect(other.out.data.subarray(0, 8 * changed)).toEqual(out.data.subarray(0, 8 * changed));
    expect(other.out.data).not.toEqual(out.data);
  }
});

test("with all blocks moba is dense causal attention", async () => {
  const [q, k, v] = [shaped(1, 2, 30, 8), shaped(1, 2, 30, 8), shaped(1, 2, 30, 8)];
  const dense = await attention({ similarity: dot(), pattern: causal() })(q, k, v);
  const all = await attention({ similarity: dot(), pattern: causal(), selection: moba({ block: 4, k: 8 }) })(
    q,
    k,
    v,
  );
  expect(all.out).toEqual(dense.out);
});

test("moba asks for a causal pattern, and says so", () => {
  const similarity = dot();
  expect(() => compose({ similarity, pattern: [full(), window({ w: 4 })], selection: blocked })).toThrow(
    expect.objectContaining({
      code: "clash-selection",
      message:
        "Cannot use 'moba' with 'full+window' as it chooses among the keys before a query: no pattern is causal. Add causal()",
    }),
  );
  expect(
    compose({ similarity, pattern: strided({ stride: 2, local: 2 }), selection: blocked }).selection,
  ).toBe(blocked);
});

test("lsh refuses the keys of another sequence", async () => {
  const attend = attention({ similarity: dot(), pattern: full(), selection: hashed });
  const [q, k] = [shaped(1, 1, 6, 8), shaped(1, 1, 5, 8)];
  await expect(attend(q, k, k)).rejects.toThrow(
    "Cannot select by 'lsh' as queries must be places of the same sequence as keys: 6 queries from place 0, 5 keys. " +
      "Use topk for another sequence's keys",
  );
});

test("selectors name them", () => {
  const selector = "dot+causal+lsh:buckets=64,rounds=2,chunk=32,seed=5";
  expect(printSelector(parseSelector(selector))).toBe(selector);
  expect(parseSelector("dot+causal+moba:block=256:k=3").selection?.options).toEqual({ block: 256, k: 3 });
});
