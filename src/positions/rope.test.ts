/** @file Rotary positions: scores depend on the distance of places only, and each scaling is what its paper says. */
import { describe, expect, test } from "vitest";
import {
  type AttentionInputs,
  compose,
  full,
  parseSelector,
  random,
  referenceForward,
  type Tensor64,
} from "../index.ts";
import { rope, type RopeOptions } from "./rope.ts";
import { rotaryTable, type RotaryPosition } from "./index.ts";

const width = 8;
const stream = random("rope");
const vector = (): Float64Array => Float64Array.from(stream.normals(width));

/** Scores of one query at every place against one key at every place: [S, S]. */
function scoresOfPlaces(
  selector: string,
  q: Float64Array,
  k: Float64Array,
  count: number,
  offset = 0,
): Float64Array {
  const repeat = (row: Float64Array): Tensor64 => ({
    data: Float64Array.from({ length: count * width }, (_, i) => row[i % width]),
    shape: [1, 1, count, width],
  });
  const { similarity, position } = parseSelector(selector);
  const composition = compose({ similarity, position: position!, pattern: full() });
  const inputs: AttentionInputs = { q: repeat(q), k: repeat(k), v: repeat(k), offset };
  return referenceForward(composition, inputs).scores.data;
}

/** The largest difference of entries with the same Δ, and of entries with different Δ. */
function spreadByDistance(
  scores: Float64Array,
  count: number,
): { readonly same: number; readonly other: number } {
  let [same, other] = [0, 0];
  for (let i = 1; i < count; i++) {
    for (let j = 1; j < count; j++) {
      same = Math.max(same, Math.abs(scores[i * count + j] - scores[(i - 1) * count + j - 1]));
      other = Math.max(other, Math.abs(scores[i * count + j] - scores[i * count + j - 1]));
    }
  }
  return { same, other };
}

/** cos and sin of angles up to 40 radians: 40 · 1e-16 and a few roundings, times scores of size 10. */
const ANGLE_TOLERANCE = 1e-12;

const rotationInvariant = [
  "dot",
  "l2",
  "rbf",
  "cauchy",
  "cosine",
  "lorentz",
  "lorentz-distance",
  "poincare",
  "complex",
  "complex:part=im",
  "complex:part=abs",
];

describe("scores depend on Δ only", () => {
  const ropes = [
    "",
    ",scaling=pi,factor=3",
    ",scaling=ntk,factor=3",
    ",scaling=yarn,factor=3,original=100",
    ",scaling=llama3,factor=3,original=100",
    ",dims=4",
  ];
  const cases = rotationInvariant.flatMap((similarity) =>
    ropes.map((options) => `${similarity}+rope:theta=100,layout=interleaved${options}`),
  );
  test.each([...cases, ...["dot", "l2", "cosine", "poincare"].map((name) => `${name}+rope`)])(
    "%s",
    (selector) => {
      const [q, k] = [vector(), vector()];
      const { same, other } = spreadByDistance(scoresOfPlaces(selector, q, k, 12), 12);
      expect(same).toBeLessThan(ANGLE_TOLERANCE);
      expect(other).toBeGreaterThan(1e-3);
    },
  );

  test.each([
    "dot+rope:theta=100,scaling=xpos",
    "complex:part=im+rope:theta=100,layout=interleaved,scaling=xpos",
  ])("%s", (selector) => {
    const { same, other } = spreadByDistance(scoresOfPlaces(selector, vector(), vector(), 12), 12);
    expect(same).toBeLessThan(ANGLE_TOLERANCE);
    expect(other).toBeGreaterThan(1e-3);
  });

  test("a shared shift of queries and keys is no shift: offset moves queries alone", () => {
    const [q, k] = [vector(), vector()];
    const [plain, moved] = [0, 3].map((offset) => scoresOfPlaces("dot+rope:theta=100", q, k, 8, offset));
    const at = (scores: Float64Array, i: number, j: number): number => scores[i * 8 + j];
    expect(at(moved, 0, 3)).toBeCloseTo(at(plain, 0, 0), 12);
    expect(at(moved, 2, 1)).toBeCloseTo(at(plain, 4, 0), 12);
  });
});

test("dot with rope is Re Σ q_m·conj(k_m)·e^{iΔθ_m}", () => {
  const [q, k] = [vector(), vector()];
  const scores = scoresOfPlaces("dot:scale=1+rope:theta=50,layout=interleaved", q, k, 5);
  for (let i = 0; i < 5; i++) {
    for (let j = 0; j < 5; j++) {
      let expected = 0;
      for (let m = 0; m < width / 2; m++) {
        const [a, b, c, d] = [q[2 * m], q[2 * m + 1], k[2 * m], k[2 * m + 1]];
        const angle = (i - j) * 50 ** ((-2 * m) / width);
        expected += (a * c + b * d) * Math.cos(angle) - (b * c - a * d) * Math.sin(angle);
      }
      expect(scores[i * 5 + j]).toBeCloseTo(expected, 12);
    }
  }
});

describe("layouts", () => {
  test("half pairs (m, m + D/2) as Hugging Face's rotate-half, interleaved pairs (2m, 2m + 1)", () => {
    expect(rope().pairs(6)).toEqual([
      [0, 3],
      [1, 4],
      [2, 5],
    ]);
    expect(rope({ layout: "interleaved" }).pairs(6)).toEqual([
      [0, 1],
      [2, 3],
      [4, 5],
    ]);
  });

  test("a partial rotation leaves the other coordinates and has the frequencies of its own width", () => {
    const partial = rope({ dims: 4 });
    expect(partial.pairs(8)).toEqual([
      [0, 2],
      [1, 3],
    ]);
    expect(partial.frequencies(8)).toEqual(rope().frequencies(4));
  });

  test("interleaved is half after a permutation of coordinates", () => {
    const [q, k] = [vector(), vector()];
    const order = [0, 2, 4, 6, 1, 3, 5, 7];
    const permuted = (x: Float64Array): Float64Array => Float64Array.from(order, (d) => x[d]);
    const half = scoresOfPlaces("dot+rope", permuted(q), permuted(k), 6);
    const interleaved = scoresOfPlaces("dot+rope:layout=interleaved", q, k, 6);
    half.forEach((value, place) => expect(value).toBeCloseTo(interleaved[place], 12));
  });
});

describe("scalings", () => {
  const frequencies = (options: RopeOptions): readonly number[] => [...rope(options).frequencies(64)];
  const plain = frequencies({});

  test("frequencies are θ^{−2m/D}", () => {
    plain.forEach((value, m) => expect(value).toBeCloseTo(1 / Math.exp((2 * m * Math.log(10_000)) / 64), 14));
  });

  test("with factor 1, pi, ntk and yarn are rope itself", () => {
    expect(frequencies({ scaling: "pi", factor: 1 })).toEqual(plain);
    expect(frequencies({ scaling: "ntk", factor: 1 })).toEqual(plain);
    const yarn = rope({ scaling: "yarn", factor: 1, original: 2048 });
    expect(yarn.amplitude).toBe(1);
    yarn.frequencies(64).forEach((value, m) => expect(value / plain[m]).toBeCloseTo(1, 14));
  });

  test("pi divides places", () => {
    frequencies({ scaling: "pi", factor: 4 }).forEach((value, m) => expect(value).toBe(plain[m] / 4));
  });

  test("ntk keeps the fastest pair and divides the slowest by the factor", () => {
    const scaled = frequencies({ scaling: "ntk", factor: 4 });
    expect(scaled[0]).toBe(1);
    expect(scaled.at(-1)! / plain.at(-1)!).toBeCloseTo(1 / 4, 12);
  });

  test("llama3 keeps wavelengths below a quarter of the trained length, divides those beyond it, and joins both smoothly", () => {
    const [factor, original] = [32, 8192];
    const plain = rope({ theta: 500_000 }).frequencies(64);
    // Hugging Face's _compute_llama3_parameters with low_freq_factor 1 and high_freq_factor 4.
    const expected = plain.map((frequency) => {
      const wavelength = (2 * Math.PI) / frequency;
      if (wavelength < original / 4) return frequency;
      if (wavelength > original) return frequency / factor;
      const smooth = (original / wavelength - 1) / (4 - 1);
      return ((1 - smooth) * frequency) / factor + smooth * frequency;
    });
    const scaled = rope({ theta: 500_000, scaling: "llama3", factor, original }).frequencies(64);
    scaled.forEach((frequency, m) => expect(frequency / expected[m]).toBeCloseTo(1, 12));
    const ratios = [...scaled].map((frequency, m) => frequency / plain[m]);
    expect(ratios.filter((ratio) => ratio === 1).length).toBeGreaterThan(9);
    expect(ratios.filter((ratio) => ratio < 1 && ratio > 1.1 / factor).length).toBeGreaterThan(1);
    expect(ratios.at(-1)).toBeCloseTo(1 / factor, 14);
  });

  test("yarn keeps pairs that turn 32 times or more, divides those that turn less than once, and ramps between", () => {
    const [factor, original] = [4, 2048];
    const yarn = rope({ scaling: "yarn", factor, original });
    expect(yarn.amplitude).toBe(0.1 * Math.log(4) + 1);
    const ratios = [...yarn.frequencies(64)].map((value, m) => value / plain[m]);
    const turns = plain.map((frequency) => (original * frequency) / (2 * Math.PI));
    turns.forEach((count, m) => {
      if (count >= 32) expect(ratios[m]).toBe(1);
      if (count <= 1) expect(ratios[m]).toBeCloseTo(1 / factor, 14);
      if (m > 0) expect(ratios[m]).toBeLessThanOrEqual(ratios[m - 1] + 1e-15);
    });
    // The ramp is linear in m from ⌊d·ln(L/64π)/(2 ln θ)⌋ = 8 to ⌈d·ln(L/2π)/(2 ln θ)⌉ = 21.
    expect(ratios[8]).toBe(1);
    expect(ratios[9]).toBeCloseTo(1 - (1 / 13) * 0.75, 14);
    expect(ratios[20]).toBeCloseTo(1 - (12 / 13) * 0.75, 14);
    expect(ratios[21]).toBeCloseTo(0.25, 14);
  });

  test("xpos decays by ζ = (2m + 0.4D)/(1.4D) per 512 places, inversely for keys", () => {
    const xpos = rope({ scaling: "xpos" });
    const decay = xpos.decay!(8);
    [...decay].forEach((value, m) => expect(value).toBeCloseTo((2 * m + 3.2) / 11.2, 14));
    const at = (role: "query" | "key", place: number): number => {
      const { cos, sin } = rotaryTable(xpos, 8, { first: place, count: 1, role, length: 512 });
      return Math.hypot(cos[0], sin[0]);
    };
    expect(at("query", 256 + 512)).toBeCloseTo(decay[0], 12);
    expect(at("key", 256 + 512)).toBeCloseTo(1 / decay[0], 12);
    expect(at("query", 256)).toBeCloseTo(1, 14);
    expect(at("query", 300) * at("key", 200)).toBeCloseTo(decay[0] ** (100 / 512), 12);
  });

  test("scores of xpos do not depend on the length that centres it", () => {
    const xpos: RotaryPosition = rope({ scaling: "xpos" });
    const product = (length: number): number => {
      const query = rotaryTable(xpos, 4, { first: 7, count: 1, role: "query", length });
      const key = rotaryTable(xpos, 4, { first: 2, count: 1, role: "key", length });
      return query.cos[1] * key.cos[1] + query.sin[1] * key.sin[1];
    };
    expect(product(1000)).toBeCloseTo(product(8), 13);
  });
});

describe("errors", () => {
  const code = (expected: string, name = "DomainError"): unknown =>
    expect.objectContaining({ name, code: expected });
  test.each([
    { name: "pi without a factor", make: () => rope({ scaling: "pi" }), says: /needs 'factor'/ },
    {
      name: "yarn without the original length",
      make: () => rope({ scaling: "yarn", factor: 2 }),
      says: /'original'/,
    },
    {
      name: "a factor that has no effect",
      make: () => rope({ factor: 2 }),
      says: /no effect with scaling=none/,
    },
    {
      name: "an original that has no effect",
      make: () => rope({ scaling: "pi", factor: 2, original: 9 }),
      says: /'original'/,
    },
  ])("refuse $name", ({ make, says }) => {
    expect(make).toThrow(code("rope-scaling"));
    expect(make).toThrow(says);
  });

  test.each([
    { name: "an odd width", make: () => rope().pairs(5) },
    { name: "odd dims", make: () => rope({ dims: 3 }).pairs(8) },
    { name: "more dims than the width", make: () => rope({ dims: 8 }).frequencies(6) },
  ])("refuse $name", ({ make }) => {
    expect(make).toThrow(code("rope-width", "ShapeError"));
  });
});
