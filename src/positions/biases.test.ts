/** @file Positions that add to scores or to embeddings, against their formulas written directly. */
import { describe, expect, test } from "vitest";
import { random } from "../base/random.ts";
import { alibi, learned, logCpb, logSpacedDistance, nope, positions, sinusoidal } from "./index.ts";

describe("alibi", () => {
  const deltas = Int32Array.of(-2, 0, 1, 5);

  test("has the slopes of the paper: 1/2, 1/4, … 1/256 for eight heads", () => {
    const table = alibi().table(8, Int32Array.of(1), {});
    expect([...table]).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((power) => -(2 ** -power)));
  });

  test("grows with |Δ| on both sides, and has no parameters", () => {
    const penalties = [...alibi().table(2, deltas, {})].map((value) => Math.abs(value));
    expect(penalties).toEqual([2 / 16, 0, 1 / 16, 5 / 16, 2 / 256, 0, 1 / 256, 5 / 256]);
    expect(alibi().tableGradient(2, deltas, {}, new Float64Array(8))).toEqual({});
  });
});

describe("log-cpb", () => {
  test("its input is ±1 at 7/8 of the window, in logarithmic steps", () => {
    expect(logSpacedDistance(0, 64)).toBe(0);
    expect(logSpacedDistance(7, 9)).toBeCloseTo(1, 14);
    expect(logSpacedDistance(-7, 9)).toBeCloseTo(-1, 14);
    expect(logSpacedDistance(1, 9)).toBeCloseTo(Math.log2(2) / 3, 14);
    expect(logSpacedDistance(3, 9)).toBeCloseTo(Math.log2(4) / 3, 14);
  });

  test("is 16·σ(MLP) of that input", () => {
    const [heads, hidden, window] = [3, 4, 17];
    const position = logCpb({ window, hidden });
    const parameters = Object.fromEntries(
      position.parameters.map(({ name, initial }) => [
        name,
        initial({ heads, width: 8 }, random("cpb", name)),
      ]),
    );
    const deltas = Int32Array.of(-16, -1, 0, 1, 7, 100);
    const table = position.table(heads, deltas, parameters);
    deltas.forEach((delta, place) => {
      const x = (Math.sign(delta) * Math.log(1 + (Math.abs(delta) * 8) / (window - 1))) / Math.log(8);
      for (let head = 0; head < heads; head++) {
        const logit = Array.from({ length: hidden }, (_, unit) => {
          const activation =
            parameters["log-cpb.hiddenWeight"][unit] * x + parameters["log-cpb.hiddenBias"][unit];
          return parameters["log-cpb.outWeight"][head * hidden + unit] * Math.max(0, activation);
        }).reduce((a, b) => a + b, 0);
        expect(table[head * deltas.length + place]).toBeCloseTo(8 * (1 + Math.tanh(logit / 2)), 12);
      }
    });
  });

  test("its parameters are drawn: different units, the same for the same seed", () => {
    const [weight] = logCpb().parameters;
    const drawn = weight.initial({ heads: 2, width: 4 }, random("a"));
    expect(drawn).toHaveLength(512);
    expect(new Set(drawn).size).toBeGreaterThan(500);
    expect(weight.initial({ heads: 2, width: 4 }, random("a"))).toEqual(drawn);
  });

  test("refuses a window without a distance", () => {
    expect(() => logCpb({ window: 1 })).toThrow(expect.objectContaining({ code: "bad-option" }));
  });
});

describe("embeddings", () => {
  test("sinusoidal is sin and cos of place · θ^{−2m/width} by turns", () => {
    const table = sinusoidal({ theta: 100 }).table!(3, 6);
    for (let place = 0; place < 3; place++) {
      for (let m = 0; m < 3; m++) {
        const angle = place / 100 ** ((2 * m) / 6);
        expect(table[place * 6 + 2 * m]).toBeCloseTo(Math.sin(angle), 14);
        expect(table[place * 6 + 2 * m + 1]).toBeCloseTo(Math.cos(angle), 14);
      }
    }
  });

  test("sinusoidal turns by the same angle from any place to the next", () => {
    const table = sinusoidal().table!(20, 4);
    const inner = (a: number, b: number): number =>
      [0, 1, 2, 3].reduce((sum, d) => sum + table[a * 4 + d] * table[b * 4 + d], 0);
    expect(inner(3, 8)).toBeCloseTo(inner(12, 17), 12);
  });

  test("learned has no table: a model learns it", () => {
    expect(learned().table).toBeUndefined();
    expect(nope().place).toBe("none");
  });
});

test("every position says what it computes and where it comes from", () => {
  for (const { definition } of positions) {
    expect(definition.formula.length, `formula of ${definition.selector}`).toBeGreaterThan(5);
    expect(definition.source, `source of ${definition.selector}`).toMatch(/\d{4}/);
  }
});
