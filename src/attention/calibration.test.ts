/** @file Calibration: unit row spread for every family, and the spreads that make it necessary (field.md §6.2). */
import { describe, expect, test } from "vitest";
import { normals } from "../../test/contract/problem.ts";
import {
  alibi,
  type AttentionInputs,
  calibrate,
  calibratedParameters,
  causal,
  compose,
  type Composition,
  full,
  l2,
  parseSelector,
  random,
  referenceForward,
  rope,
  rowSpread,
  similarity,
  similarityAlone,
  tensor64,
  topk,
} from "../index.ts";

const attentionOf = (selector: string): Composition =>
  compose({ similarity: parseSelector(selector).similarity, pattern: full() });

function inputsOf(
  heads: number,
  queries: number,
  keys: number,
  width: number,
  deviation = 1,
  batch = 1,
): AttentionInputs {
  const stream = random("calibration", queries, keys, width);
  const k = normals(stream, [batch, heads, keys, width], deviation);
  return { q: normals(stream, [batch, heads, queries, width], deviation), k, v: k };
}

describe("after calibration rows of scores have unit standard deviation", () => {
  const families = [
    "dot:scale=auto",
    "l2:beta=auto",
    "rbf:sigma=auto",
    "l1:beta=auto",
    "cauchy:beta=auto",
    "cosine:beta=auto",
    "cosine:tau=auto",
    "lorentz:beta=auto",
    "lorentz-distance:beta=auto",
    "poincare:beta=auto",
    "complex:scale=auto",
    "complex:scale=auto,part=im",
    "complex:scale=auto,part=abs",
    "tropical:beta=auto",
    "mahalanobis:beta=auto",
    "product:members=l2/poincare,weights=auto",
  ];
  const cases = families.flatMap((selector) => [4, 8, 64].map((width) => ({ selector, width })));

  test.each(cases)("$selector at D = $width", ({ selector, width }) => {
    const composition = attentionOf(selector);
    for (const deviation of [1, width ** -0.5]) {
      const inputs = inputsOf(2, 6, 9, width, deviation);
      const parameters = calibrate(composition, inputs);
      const spread = rowSpread(referenceForward(composition, { ...inputs, parameters }).scores);
      // Scores are proportional to the temperature, so one step is exact up to rounding.
      expect([...spread].map((value) => Math.abs(value - 1) < 1e-9)).toEqual([true, true]);
    }
  });
});

describe("what is calibrated is the similarity alone", () => {
  test("not the bias of positions or callers, nor what top-k leaves out", () => {
    const composition = compose({
      similarity: l2({ beta: "auto" }),
      position: alibi(),
      pattern: causal(),
      selection: topk({ k: 2 }),
    });
    const inputs = inputsOf(2, 9, 9, 8);
    const bias = tensor64(
      new Float64Array(162).map((_, place) => place % 7),
      [1, 2, 9, 9],
    );
    const parameters = calibrate(composition, { ...inputs, bias });
    const alone = similarityAlone(composition);
    expect([alone.position.name, alone.selection.name]).toEqual(["nope", "all"]);
    const spread = rowSpread(referenceForward(alone, { ...inputs, parameters }).scores);
    spread.forEach((value) => expect(value).toBeCloseTo(1, 9));
  });

  test("rotary positions stay, as they turn queries and keys", () => {
    const composition = compose({ similarity: l2(), position: rope(), pattern: full() });
    expect(similarityAlone(composition).position.name).toBe("rope");
  });

  test("masked pairs do not count", () => {
    const shape = [1, 1, 2, 3];
    expect([...rowSpread({ data: [1, 3, -Infinity, 5, -Infinity, -Infinity], shape })]).toEqual([1]);
    expect([...rowSpread({ data: Array.from({ length: 6 }, () => -Infinity), shape })]).toEqual([0]);
  });
});

describe("errors", () => {
  const code = expect.objectContaining({ name: "DomainError", code: "calibration" });

  test("a similarity without a temperature cannot be calibrated", () => {
    const mine = similarity("mine", { inner: "dot", score: ({ s }) => s });
    const composition = compose({ similarity: mine(), pattern: full() });
    expect(() => calibratedParameters(composition, {}, Float64Array.of(1))).toThrow(code);
  });

  test("scores that do not vary cannot be calibrated", () => {
    const composition = attentionOf("l2:beta=auto");
    const { q } = inputsOf(1, 3, 3, 4);
    const same = { data: new Float32Array(12).fill(1), shape: [1, 1, 3, 4] };
    expect(() => calibrate(composition, { q, k: same, v: same })).toThrow(code);
    expect(() => calibrate(composition, { q, k: same, v: same })).toThrow(/spread 0 in head 0/);
  });
});

/**
 * A row's standard deviation over 128 keys has a relative error of 1/√256; rows of a batch entry share their keys, and 8
 * entries are averaged: 2 %. The table is one such draw with two digits: three standard errors of both are 10 %.
 */
const SPREAD_TOLERANCE = 0.1;

describe("spreads at initialisation (field.md §6.2)", () => {
  const table = [
    { selector: "dot", deviation: () => 1, spreads: [0.96, 0.97, 1] },
    { selector: "l2", deviation: () => 1, spreads: [1.23, 1.2, 1.23] },
    { selector: "rbf", deviation: () => 1, spreads: [1.23, 1.2, 1.23] },
    { selector: "l1", deviation: () => 1, spreads: [0.76, 0.74, 0.75] },
    { selector: "lorentz", deviation: () => 1, spreads: [2.38, 2.39, 2.44] },
    { selector: "lorentz", deviation: (width: number) => width ** -0.5, spreads: [0.3, 0.075, 0.038] },
    { selector: "lorentz-distance", deviation: () => 1, spreads: [0.42, 0.22, 0.15] },
    {
      selector: "lorentz-distance",
      deviation: (width: number) => width ** -0.5,
      spreads: [0.25, 0.13, 0.09],
    },
    { selector: "cauchy", deviation: () => 1, spreads: [0.29, 0.14, 0.1] },
    { selector: "tropical:beta=1", deviation: () => 1, spreads: [1.03, 0.88, 0.84] },
  ];
  const cases = table.flatMap(({ selector, deviation, spreads }) =>
    [8, 32, 64].map((width, index) => ({
      selector,
      width,
      size: deviation(width),
      expected: spreads[index],
    })),
  );

  test.each(cases)(
    "$selector, D = $width, coordinates of size $size: $expected",
    ({ selector, width, size, expected }) => {
      const { scores } = referenceForward(attentionOf(selector), inputsOf(1, 16, 128, width, size, 8));
      expect(Math.abs(rowSpread(scores)[0] / expected - 1)).toBeLessThan(SPREAD_TOLERANCE);
    },
  );

  test.each([8, 32, 64])("√D·cos has spread 1 at D = %d", (width) => {
    const composition = attentionOf(`cosine:beta=${Math.sqrt(width)}`);
    const { scores } = referenceForward(composition, inputsOf(1, 16, 128, width, 1, 8));
    expect(Math.abs(rowSpread(scores)[0] - 1)).toBeLessThan(SPREAD_TOLERANCE);
  });
});
