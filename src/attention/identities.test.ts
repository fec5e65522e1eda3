/** @file Identities between whole attentions, and the self-retrieval table of field.md §6.1. */
import { describe, expect, test } from "vitest";
import { relativeDistance } from "../../test/contract/comparison.ts";
import { normals, taken } from "../../test/contract/problem.ts";
import {
  type AttentionInputs,
  type AttentionSpec,
  compose,
  type Composition,
  parseSelector,
  random,
  referenceBackward,
  referenceForward,
  type Tensor,
  type Tensor64,
  tensor64,
} from "../index.ts";

function read(selector: string): Composition {
  const { patterns, ...parts } = parseSelector(selector);
  return compose({ ...parts, pattern: patterns } as unknown as AttentionSpec);
}

const stream = random("identities of attentions");
const [q, k, v] = [
  normals(stream, [2, 3, 5, 8]),
  normals(stream, [2, 3, 7, 8]),
  normals(stream, [2, 3, 7, 4]),
];
const inputs: AttentionInputs = { q, k, v, offset: 2 };
const outOf = (selector: string, changed: Partial<AttentionInputs> = {}): Tensor64 =>
  referenceForward(read(selector), { ...inputs, ...changed }).out;

/** Some dozen roundings of numbers of size one. */
const ROUNDING = 1e-13;
const expectEqual = (a: Tensor64, b: Tensor64, tolerance = ROUNDING): void => {
  expect(relativeDistance(a, b)).toBeLessThan(tolerance);
};

describe("different words for the same attention", () => {
  test("l2 is dot with the key bias −β‖k‖²", () => {
    const beta = 0.3;
    const bias = new Float64Array(2 * 3 * 5 * 7).map((_, flat) => {
      const [head, key] = [Math.floor(flat / 35), flat % 7];
      const row = k.data.subarray((head * 7 + key) * 8, (head * 7 + key + 1) * 8);
      return -beta * row.reduce((sum, x) => sum + x * x, 0);
    });
    const biased = outOf(`dot:scale=${2 * beta}+causal`, { bias: tensor64(bias, [2, 3, 5, 7]) });
    expectEqual(outOf(`l2:beta=${beta}+causal`), biased);
  });

  test("softmax over l2 does not see ‖q‖², sigmoid and none do", () => {
    const longer = { ...q, data: q.data.map((x, place) => (place % 8 === 0 ? x + 1 : x)) };
    const { scores } = referenceForward(read("l2+full"), { ...inputs, q: longer });
    const rowTerm = referenceForward(read("dot+full"), { ...inputs, q: longer }).scores;
    expect(scores.data[0]).not.toBeCloseTo(rowTerm.data[0], 3);
    const { lse } = referenceForward(read("l2+full"), inputs);
    expect(lse!.data.every((value) => value < Math.log(7) + 1e-12)).toBe(true);
  });

  test("rbf with its default is l2 with its default", () => {
    expectEqual(outOf("rbf+causal"), outOf("l2+causal"));
  });

  test("topk with k = S is dense, and top-1 is the value of the best key", () => {
    expectEqual(outOf("dot+causal+topk:k=7"), outOf("dot+causal"), Number.MIN_VALUE);
    const { scores, out } = referenceForward(read("dot+full+topk:k=1"), inputs);
    const row = scores.data.subarray(0, 7);
    const best = row.findIndex((score) => score !== -Infinity);
    expect([...out.data.subarray(0, 4)]).toEqual([...v.data.subarray(best * 4, best * 4 + 4)]);
  });

  test("gradients flow through kept pairs only", () => {
    const { weights } = referenceForward(read("dot+full+topk:k=1"), inputs);
    const dOut = tensor64(new Float64Array(2 * 3 * 5 * 4).fill(1), [2, 3, 5, 4]);
    const { dv } = referenceBackward(read("dot+full+topk:k=1"), inputs, dOut);
    for (let key = 0; key < 7; key++) {
      const isKept = [0, 1, 2, 3, 4].some((query) => weights.data[query * 7 + key] > 0);
      expect(dv.data[key * 4] !== 0).toBe(isKept);
    }
  });

  test("softmax with a sink is softmax with one more key of value zero and the sink as its score", () => {
    const sink = 0.4;
    const widen = (tensor: Tensor): Tensor64 => {
      const rows = tensor.shape[2] + 1;
      const result = new Float64Array(2 * 3 * rows * tensor.shape[3]);
      for (let head = 0; head < 6; head++) {
        const size = tensor.shape[2] * tensor.shape[3];
        result.set(tensor.data.subarray(head * size, (head + 1) * size), head * rows * tensor.shape[3]);
      }
      return tensor64(result, [2, 3, rows, tensor.shape[3]]);
    };
    const bias = tensor64(
      new Float64Array(40).map((_, flat) => (flat % 8 === 7 ? sink : 0)),
      [1, 1, 5, 8],
    );
    expectEqual(
      outOf(`dot+full+softmax:sink=${sink}`),
      outOf("dot+full", { k: widen(k), v: widen(v), bias }),
    );
  });

  test("none with dot is linear attention without a feature map", () => {
    const out = outOf("dot:scale=1+full+none");
    for (let head = 0; head < 6; head++) {
      const state = Array.from({ length: 8 }, (_, d) =>
        Array.from({ length: 4 }, (_, e) =>
          Array.from(
            { length: 7 },
            (_, j) => k.data[(head * 7 + j) * 8 + d] * v.data[(head * 7 + j) * 4 + e],
          ).reduce((a, b) => a + b),
        ),
      );
      for (let e = 0; e < 4; e++) {
        const expected = state.reduce((sum, row, d) => sum + q.data[head * 40 + d] * row[e], 0);
        expect(out.data[head * 20 + e]).toBeCloseTo(expected, 10);
      }
    }
  });

  test("none with exp is softmax times its mass", () => {
    const { lse } = referenceForward(read("dot+causal"), inputs);
    const scaled = outOf("dot+causal").data.map((x, flat) => x * Math.exp(lse!.data[Math.floor(flat / 4)]));
    expectEqual(outOf("dot+causal+none:map=exp"), tensor64(scaled, [2, 3, 5, 4]));
  });

  test("scalings with factor 1 are rope", () => {
    for (const scaling of ["pi,factor=1", "ntk,factor=1", "yarn,factor=1,original=64"]) {
      expectEqual(outOf(`dot+rope:scaling=${scaling}+causal`), outOf("dot+rope+causal"));
    }
  });

  test("strided with stride 1 and fixed with columns = block are causal; a wide window is full", () => {
    expectEqual(outOf("dot+strided:stride=1,local=1"), outOf("dot+causal"), Number.MIN_VALUE);
    expectEqual(outOf("dot+fixed:block=2,columns=2"), outOf("dot+causal"), Number.MIN_VALUE);
    expectEqual(outOf("dot+window:w=100"), outOf("dot+full"), Number.MIN_VALUE);
  });

  test("hyperbolic attentions tend to the Euclidean ones as c → 0", () => {
    expectEqual(outOf("lorentz:beta=0.3,c=1e-9+causal"), outOf("l2:beta=0.3+causal"), 1e-6);
    expectEqual(outOf("l2+causal+centroid:c=1e-10"), outOf("l2+causal"), 1e-8);
  });

  test("tropical attention is unchanged when all coordinates of a key are shifted together", () => {
    const shifted = { ...k, data: k.data.map((x, flat) => x + Math.floor(flat / 8)) };
    expectEqual(outOf("tropical+causal", { k: shifted }), outOf("tropical+causal"), 1e-6);
  });

  test("a length of all keys changes nothing, and a shorter one is the shorter call", () => {
    expectEqual(outOf("l2+causal", { keyLengths: [7, 7] }), outOf("l2+causal"), Number.MIN_VALUE);
    const first = [0, 1, 2, 3];
    const shorter = outOf("l2+causal", { k: taken(k, 2, first), v: taken(v, 2, first) });
    expectEqual(outOf("l2+causal", { keyLengths: [4, 4] }), shorter, Number.MIN_VALUE);
  });
});

/** How often a key finds itself: the fraction of rows in which the query's own key is the arg-max. */
function selfRetrieval(similarity: string, width: number, count: number, trials: number): number {
  const keys = normals(random("self-retrieval", width, count), [trials, 1, count, width]);
  const { weights } = referenceForward(read(`${similarity}+full+topk:k=1`), { q: keys, k: keys, v: keys });
  let found = 0;
  for (let row = 0; row < trials * count; row++)
    found += weights.data[row * count + (row % count)] > 0 ? 1 : 0;
  return found / (trials * count);
}

/** The normal distribution function, by Simpson's rule. */
function normalDistribution(x: number): number {
  const steps = 200;
  let sum = 0;
  for (let i = 0; i <= steps; i++) {
    const weight = i === 0 || i === steps ? 1 : i % 2 === 1 ? 4 : 2;
    sum += weight * Math.exp(-0.5 * ((i * x) / steps) ** 2);
  }
  return 0.5 + (sum * x) / (3 * steps) / Math.sqrt(2 * Math.PI);
}

/** E[Φ(‖q‖)^{N−1}]: given q, the other keys' products with it are N(0, ‖q‖²), and its own is ‖q‖². */
function expectedSelfRetrieval(width: number, count: number): number {
  let [mass, sum] = [0, 0];
  for (let radius = 0.005; radius < 12; radius += 0.01) {
    const density = radius ** (width - 1) * Math.exp(-(radius ** 2) / 2);
    mass += density;
    sum += density * normalDistribution(radius) ** (count - 1);
  }
  return sum / mass;
}

describe("untrained self-retrieval (field.md §6.1)", () => {
  const table = [
    { width: 1, count: 16, trials: 60, printed: 0.12 },
    { width: 2, count: 16, trials: 60, printed: 0.25 },
    { width: 2, count: 64, trials: 12, printed: 0.08 },
    { width: 4, count: 16, trials: 60, printed: 0.62 },
    { width: 4, count: 64, trials: 12, printed: 0.28 },
    { width: 8, count: 16, trials: 60, printed: 0.94 },
    { width: 8, count: 64, trials: 12, printed: 0.75 },
    { width: 8, count: 256, trials: 1, printed: 0.45 },
    { width: 16, count: 64, trials: 12, printed: 0.94 },
  ];

  test.each(table)("dot, d = $width, N = $count", ({ width, count, trials, printed }) => {
    const expected = expectedSelfRetrieval(width, count);
    const variance = expected * (1 - expected);
    // A loud key wins many rows at once, so the N rows of a trial are counted as √N independent ones.
    const error = Math.sqrt(variance / (trials * Math.sqrt(count)));
    expect(Math.abs(selfRetrieval("dot", width, count, trials) - expected)).toBeLessThan(4 * error);
    // The table's entries are one draw of N keys each, with two digits.
    expect(Math.abs(printed - expected)).toBeLessThan(3 * Math.sqrt(variance / count) + 0.005);
  });

  test.each(["l2", "cosine", "l1", "lorentz", "lorentz-distance", "poincare", "tropical"])(
    "%s always finds itself",
    (similarity) => {
      for (const width of [2, 8]) expect(selfRetrieval(similarity, width, 32, 4)).toBe(1);
    },
  );
});
