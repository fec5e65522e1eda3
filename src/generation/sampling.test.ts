import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { random } from "../base/random.ts";
import { logProbability, sampler, type SamplingOptions, tokenProbabilities } from "./sampling.ts";

const ln = Math.log;
/** Probabilities 1/10, 2/10, 3/10, 4/10. */
const tenths = [ln(1), ln(2), ln(3), ln(4)];
/** A few roundings of f64 near 1. */
const ROUNDING = 1e-12;

function expectClose(actual: ArrayLike<number>, expected: readonly number[]): void {
  expect(actual.length).toBe(expected.length);
  expected.forEach((value, place) => expect(Math.abs(actual[place] - value)).toBeLessThan(ROUNDING));
}

describe("each option is Hugging Face's", () => {
  test.each<{
    name: string;
    logits?: number[];
    options: SamplingOptions;
    previous?: number[];
    expected: number[];
  }>([
    { name: "nothing: softmax", options: {}, expected: [0.1, 0.2, 0.3, 0.4] },
    {
      name: "temperature divides logits",
      options: { temperature: 0.5 },
      expected: [1 / 30, 4 / 30, 9 / 30, 16 / 30],
    },
    { name: "temperature 0 is greedy", options: { temperature: 0 }, expected: [0, 0, 0, 1] },
    { name: "top-k keeps k", options: { topK: 2 }, expected: [0, 0, 3 / 7, 4 / 7] },
    {
      name: "top-k keeps what equals the last kept",
      logits: [1, 1, 0],
      options: { topK: 1 },
      expected: [0.5, 0.5, 0],
    },
    { name: "top-k 0 keeps all", options: { topK: 0 }, expected: [0.1, 0.2, 0.3, 0.4] },
    // 0.4 < 0.65 ≤ 0.4 + 0.3
    { name: "top-p keeps the fewest that reach p", options: { topP: 0.65 }, expected: [0, 0, 3 / 7, 4 / 7] },
    { name: "top-p keeps the best, however small p", options: { topP: 1e-9 }, expected: [0, 0, 0, 1] },
    {
      name: "top-p keeps the lower number of equals",
      logits: [0, 0, 0, 0],
      options: { topP: 0.6 },
      expected: [1 / 3, 1 / 3, 1 / 3, 0],
    },
    { name: "min-p keeps what is p times the best", options: { minP: 0.6 }, expected: [0, 0, 3 / 7, 4 / 7] },
    {
      name: "the penalty divides what is positive and multiplies what is negative, once each",
      logits: [2, -2, 2, -2],
      options: { repetitionPenalty: 2 },
      previous: [0, 1, 1, 0],
      expected: [1, -4, 2, -2].map(
        (logit) => Math.exp(logit) / (Math.exp(1) + Math.exp(-4) + Math.exp(2) + Math.exp(-2)),
      ),
    },
    // After the temperature 1, 4, 9, 16 of 30: the order the other way round would keep three.
    {
      name: "temperature before top-p",
      options: { temperature: 0.5, topP: 0.7 },
      expected: [0, 0, 9 / 25, 16 / 25],
    },
    // Of 3/7 and 4/7 the best reaches 0.5 alone; without top-k first it would not.
    { name: "top-k before top-p", options: { topK: 2, topP: 0.5 }, expected: [0, 0, 0, 1] },
    {
      name: "-Infinity never comes",
      logits: [-Infinity, 0, 0],
      options: { temperature: 3 },
      expected: [0, 0.5, 0.5],
    },
  ])("$name", ({ logits = tenths, options, previous, expected }) => {
    expectClose(tokenProbabilities(logits, options, previous), expected);
  });
});

const anyLogits = fc.array(fc.double({ min: -30, max: 30, noNaN: true }), { minLength: 1, maxLength: 40 });
const anyOptions: fc.Arbitrary<SamplingOptions> = fc.record({
  temperature: fc.constantFrom(0, 1e-300, 0.3, 1, 5, 1e300),
  topK: fc.nat(45),
  topP: fc.double({ min: 1e-6, max: 1, noNaN: true }),
  minP: fc.double({ min: 0, max: 1, noNaN: true }),
  repetitionPenalty: fc.constantFrom(0.5, 1, 1.3),
});

test("whatever the options, probabilities sum to 1, a best token stays, and the logits are untouched", () => {
  fc.assert(
    fc.property(anyLogits, anyOptions, fc.array(fc.nat(50)), (logits, options, previous) => {
      const before = [...logits];
      const chances = tokenProbabilities(logits, options, previous);
      expect(logits).toEqual(before);
      expect(Math.abs(chances.reduce((sum, chance) => sum + chance, 0) - 1)).toBeLessThan(ROUNDING);
      expect(chances.every((chance) => chance >= 0)).toBe(true);
      const token = sampler(options, random(1, "test"))(logits, previous);
      expect(chances[token]).toBeGreaterThan(0);
    }),
  );
});

test("top-p 1 with top-k V is plain sampling, and no option keeps fewer tokens when it is looser", () => {
  fc.assert(
    fc.property(anyLogits, fc.double({ min: 0.01, max: 0.99, noNaN: true }), (logits, topP) => {
      expect(tokenProbabilities(logits, { topP: 1, topK: logits.length, minP: 0 })).toEqual(
        tokenProbabilities(logits, {}),
      );
      const plain = tokenProbabilities(logits, {});
      const kept = tokenProbabilities(logits, { topP });
      const mass = plain.reduce((sum, chance, token) => (kept[token] > 0 ? sum + chance : sum), 0);
      expect(mass).toBeGreaterThan(topP - ROUNDING);
      const least = Math.min(...plain.filter((_, token) => kept[token] > 0));
      // Without the least of them p is not reached.
      expect(mass - least).toBeLessThan(topP + ROUNDING);
    }),
  );
});

test("the temperature to zero tends to greedy", () => {
  fc.assert(
    fc.property(anyLogits, (logits) => {
      const sorted = [...logits].sort((a, b) => b - a);
      fc.pre(sorted.length < 2 || sorted[0] - sorted[1] > 1e-3);
      // The others together: at most 39·exp(−1e-3/1e-5) of the best.
      expectClose(tokenProbabilities(logits, { temperature: 1e-5 }), [
        ...tokenProbabilities(logits, { temperature: 0 }),
      ]);
    }),
  );
});

test("frequencies of draws are the probabilities", () => {
  const options = { temperature: 0.8, topK: 5, minP: 0.05 };
  const logits = Array.from({ length: 8 }, (_, token) => Math.sin(3 * token));
  const chances = tokenProbabilities(logits, options);
  const choose = sampler(options, random(7, "generate"));
  const draws = 20_000;
  const counts = new Float64Array(8);
  for (let draw = 0; draw < draws; draw++) counts[choose(logits)]++;
  chances.forEach((chance, token) => {
    // Hoeffding: a frequency is off by more than ε with probability ≤ 2·exp(−2nε²), here 2e-7 each; the seed is fixed.
    const bound = Math.sqrt(8 / draws);
    expect(Math.abs(counts[token] / draws - chance)).toBeLessThan(bound);
    if (chance === 0) expect(counts[token]).toBe(0);
  });
});

test("the same stream chooses the same tokens, greedy draws nothing and takes the lower of equals", () => {
  const chosen = (seed: number): number[] => {
    const choose = sampler({}, random(seed, "generate"));
    return Array.from({ length: 12 }, () => choose(tenths));
  };
  expect(chosen(1)).toEqual(chosen(1));
  expect(chosen(1)).not.toEqual(chosen(2));
  const undrawn = random(1, "generate");
  expect(sampler({ temperature: 0 }, undrawn)([1, 3, 3])).toBe(1);
  expect(undrawn.uniform()).toBe(random(1, "generate").uniform());
});

test("the log-probability is the model's own", () => {
  tenths.forEach((_, token) => expectClose([logProbability(tenths, token)], [ln((token + 1) / 10)]));
  expectClose([logProbability([1000, 1000], 0)], [ln(0.5)]);
});

test.each<SamplingOptions>([
  { temperature: -1 },
  { temperature: Infinity },
  { temperature: Number.NaN },
  { topK: -1 },
  { topK: 1.5 },
  { topP: 0 },
  { topP: 1.1 },
  { minP: -0.1 },
  { minP: 2 },
  { repetitionPenalty: 0 },
])("%o is refused before anything is drawn", (options) => {
  const bad = expect.objectContaining({ code: "bad-sampling" }) as unknown;
  expect(() => sampler(options, random(1))).toThrow(bad);
  expect(() => tokenProbabilities([0], options)).toThrow(bad);
});

test.each([
  { logits: [0, Number.NaN], code: "logits-not-finite" },
  { logits: [Infinity, 0], code: "logits-not-finite" },
  { logits: [-Infinity, -Infinity], code: "logits-not-finite" },
  { logits: [], code: "logits-empty" },
])("logits $logits are refused", ({ logits, code }) => {
  for (const temperature of [0, 1]) {
    expect(() => sampler({ temperature }, random(1))(logits)).toThrow(expect.objectContaining({ code }));
  }
});
