/** @file What the rules of the recurrent class are known for. */
import { describe, expect, it } from "vitest";
import { compose, referenceForward } from "../attention/index.ts";
import { random } from "../base/random.ts";
import { type Tensor64, tensor64 } from "../base/tensor.ts";
import { none, softmax } from "../normalisers/index.ts";
import { causal, full } from "../patterns/index.ts";
import { rope } from "../positions/index.ts";
import { dot } from "../similarities/index.ts";
import { recurrenceForward } from "./backend.ts";
import { composeRecurrence } from "./composition.ts";
import { linear } from "./linear.ts";
import { randomLogFeatures } from "./performer.ts";
import { randomInputs } from "./rule-fixtures.ts";
import { parseRecurrence } from "./selector.ts";

/** A few dozen f64 roundings of numbers of size 1. */
const rounding = 1e-12;

function expectClose(a: Tensor64, b: Tensor64, tolerance = rounding): void {
  expect(a.shape).toEqual(b.shape);
  a.data.forEach((value, place) => expect(Math.abs(value - b.data[place])).toBeLessThan(tolerance));
}

describe("linear attention", () => {
  it("of the identity map, undivided, is dot with no normaliser and scale 1", () => {
    const composition = parseRecurrence("linear:map=identity,normaliser=none");
    const inputs = randomInputs(composition, "dot", { tokens: 12, keyHeads: 1 }, ["state"]);
    const pairs = compose({ similarity: dot({ scale: 1 }), pattern: causal(), normaliser: none() });
    const { q, k, v } = inputs;
    expectClose(recurrenceForward(composition, inputs).out, referenceForward(pairs, { q: q!, k, v }).out);
  });

  it.each([causal(), full()])(
    "of the identity map and a rope, undivided, is dot with that rope: %o",
    (pattern) => {
      const spec = { position: rope({ theta: 50 }), pattern, normaliser: none() };
      const rule = linear({ map: "identity", normaliser: "none" });
      const composition = composeRecurrence({ rule, position: spec.position, pattern });
      const inputs = randomInputs(composition, "rope", { tokens: 12, width: 4, keyHeads: 1 }, ["state"]);
      const pairs = compose({ similarity: dot({ scale: 1 }), ...spec });
      const { q, k, v } = inputs;
      expectClose(recurrenceForward(composition, inputs).out, referenceForward(pairs, { q: q!, k, v }).out);
    },
  );

  it("of features e^x, one a token, is a softmax of sums", () => {
    // With D = 1, e^q·e^k is the weight of a softmax over k alone: q cancels.
    const composition = parseRecurrence("linear:map=exp");
    const inputs = randomInputs(composition, "exp", { tokens: 9, width: 1 }, ["state"]);
    const one = tensor64(new Float64Array(18).fill(1), [1, 2, 9, 1]);
    const pairs = compose({ similarity: dot({ scale: 1 }), pattern: causal(), normaliser: softmax() });
    const { k, v } = inputs;
    expectClose(recurrenceForward(composition, inputs).out, referenceForward(pairs, { q: one, k, v }).out);
  });
});

describe("the delta rule with β = 1", () => {
  const composition = parseRecurrence("deltanet");
  const width = 8;
  const stream = random("dictionary");
  /** Orthonormal rows: those of a Householder reflection. */
  const axis = Float64Array.from(stream.normals(width));
  const squared = axis.reduce((sum, x) => sum + x * x, 0);
  const keys = Array.from({ length: width }, (_, i) =>
    Array.from({ length: width }, (_, j) => (i === j ? 1 : 0) - (2 * axis[i] * axis[j]) / squared),
  );
  const beta = tensor64(new Float64Array(2 * width).fill(1), [1, 1, 2 * width]);

  it("is an exact dictionary of orthonormal keys: what was written last is what is read", () => {
    const values = Array.from({ length: 2 * width }, () => [...stream.normals(4)]);
    const k = tensor64([...keys, ...keys].flat(), [1, 1, 2 * width, width]);
    const v = tensor64(values.flat(), [1, 1, 2 * width, 4]);
    for (const form of ["recurrent", "parallel", { chunk: 4 }] as const) {
      const { out, state } = recurrenceForward(composition, { q: k, k, v, beta }, form);
      // Every token reads back its own value at once.
      expectClose(out, v);
      // In the end every key holds what was written under it the second time.
      const all = tensor64(keys.flat(), [1, 1, width, width]);
      const still = tensor64(new Float64Array(width), [1, 1, width]);
      const read = recurrenceForward(composition, {
        q: all,
        k: all,
        v: tensor64(new Float64Array(width * 4), [1, 1, width, 4]),
        beta: still,
        state,
      });
      expectClose(read.out, tensor64(values.slice(width).flat(), [1, 1, width, 4]));
    }
  });
});

describe("FAVOR+", () => {
  const width = 4;
  const stream = random("favor");
  const drawn = [0, 1].map(() => Float64Array.from(stream.normals(width)));
  const [q, k] = drawn;
  const exact = Math.exp(q.reduce((sum, x, d) => sum + x * k[d], 0) / Math.sqrt(width));
  /** φ(q)·φ(k) with m features of one seed. */
  const estimate = (features: number, seed: number, vectors: readonly Float64Array[]): number => {
    const map = randomLogFeatures(features, seed);
    const logs = vectors.map((x) => {
      const out = new Float64Array(features);
      map.forward(x, out, new Float64Array());
      return out;
    });
    return logs[0].reduce((sum, log, r) => sum + Math.exp(log + logs[1][r]), 0) / features;
  };
  /** Both vectors by one factor, so that (q + k)/D^¼ has that length. */
  const shorten = (length: number): readonly Float64Array[] => {
    const sum = Math.hypot(...q.map((x, d) => x + k[d])) * width ** -0.25;
    return drawn.map((x) => x.map((value) => (value * length) / sum));
  };
  const statistics = (
    features: number,
    draws: number,
    vectors: readonly Float64Array[] = drawn,
  ): { readonly mean: number; readonly deviation: number } => {
    const estimates = Array.from({ length: draws }, (_, seed) => estimate(features, seed, vectors));
    const mean = estimates.reduce((sum, x) => sum + x, 0) / draws;
    const squares = estimates.reduce((sum, x) => sum + (x - mean) ** 2, 0);
    return { mean, deviation: Math.sqrt(squares / (draws - 1)) };
  };

  it("has the mean e^{q·k/√D}: 4000 draws lie within five standard errors of it", () => {
    // By the central limit theorem a mean strays five of its standard errors once in 1.7 million; the seeds are fixed.
    const { mean, deviation } = statistics(4, 4000);
    expect(Math.abs(mean - exact)).toBeLessThan((5 * deviation) / Math.sqrt(4000));
  });

  it("errs as m^{−½}: blocks are independent, so that 16 times the features have a quarter of the deviation", () => {
    // (q + k)/D^¼ has length ¼, so that a feature is e^{N(0, 1/16)}: its kurtosis is 4.1. By Minkowski the fourth
    // moment of a block's mean is no more, and its variance is a quarter as rows are uncorrelated: its kurtosis is below
    // 66, and that of 16 blocks below 7. A deviation of 800 draws then errs by √(65/3200) and √(6/3200), 15 % together;
    // five times that is allowed, and excludes both m^{−¼} (a half) and m^{−1} (a sixteenth).
    const short = shorten(1 / 4);
    const ratio = statistics(4, 800, short).deviation / statistics(64, 800, short).deviation;
    expect(ratio).toBeGreaterThan(4 / 1.75);
    expect(ratio).toBeLessThan(4 * 1.75);
  });

  it("draws directions that are orthogonal in blocks of D", () => {
    const map = randomLogFeatures(width, 7);
    // ω_r·x from the difference of the log features of x and −x, of unit vectors in turn.
    const columns = Array.from({ length: width }, (_, d) => {
      const x = new Float64Array(width).fill(1, d, d + 1);
      const [plus, minus] = [new Float64Array(width), new Float64Array(width)];
      map.forward(x, plus, new Float64Array());
      map.forward(
        x.map((value) => -value),
        minus,
        new Float64Array(),
      );
      return plus.map((log, r) => (log - minus[r]) / 2);
    });
    for (let r = 0; r < width; r++) {
      for (let other = 0; other < r; other++) {
        const product = columns.reduce((sum, column) => sum + column[r] * column[other], 0);
        expect(Math.abs(product)).toBeLessThan(rounding);
      }
    }
  });

  it("tends to softmax attention with many features", () => {
    // With 4096 features of D = 4 and vectors of norm 2, a weight errs by about e/√4096, 4 %; ten times that is allowed.
    const composition = parseRecurrence("performer:features=4096,seed=1");
    const inputs = randomInputs(composition, "softmax", { tokens: 6, heads: 1, width }, ["state"]);
    const pairs = compose({ similarity: dot(), pattern: causal(), normaliser: softmax() });
    const { q, k, v } = inputs;
    const expected = referenceForward(pairs, { q: q!, k, v }).out;
    expectClose(recurrenceForward(composition, inputs).out, expected, 0.4);
  });
});
