import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { widthOf } from "../wrap.ts";
import { liveLine, plainLine, type RunStanding } from "./progress-line.ts";

const standing: RunStanding = {
  label: "recall · l2 · lr 0.003 · seed 0",
  step: 120,
  steps: 300,
  loss: 0.51234,
  itemsPerSecond: 12_345,
  unit: "queries",
  timeLeftMs: 80_000,
};
const english = { say: (text: { en: string }) => text.en };
const unpainted = { done: (text: string) => text, open: (text: string) => text };
const draw = (columns: number, of: RunStanding = standing): string =>
  liveLine(of, { ...english, columns, labelColumns: widthOf(of.label), style: unpainted });

describe("a live line", () => {
  test("shows label, bar, share, loss, rate and time left where there is room", () => {
    expect(draw(120)).toBe(
      "recall · l2 · lr 0.003 · seed 0  ━━━━━━━━╌╌╌╌╌╌╌╌╌╌╌╌   40%  loss 0.5123  12.3k queries/s  1m20s left",
    );
  });

  test("gives up first the bar, then the middle of the label, then the rate, then the loss", () => {
    expect(draw(79)).toBe("recall · l2 · lr 0.003 · seed 0   40%  loss 0.5123  12.3k queries/s  1m20s left");
    expect(draw(69)).toBe("recall · l…3 · seed 0   40%  loss 0.5123  12.3k queries/s  1m20s left");
    expect(draw(55)).toBe("recall · l2 …03 · seed 0   40%  loss 0.5123  1m20s left");
    expect(draw(40)).toBe("recall · l2…3 · seed 0   40%  1m20s left");
    expect(draw(20)).toBe("40%  recall · l2 · …");
  });

  test("never exceeds the columns of the terminal", () => {
    fc.assert(
      fc.property(fc.integer({ min: 10, max: 160 }), fc.string({ maxLength: 80 }), (columns, label) => {
        expect(widthOf(draw(columns, { ...standing, label }))).toBeLessThanOrEqual(columns);
      }),
    );
  });

  test("has its columns where another run's line has them", () => {
    const other = { ...standing, loss: 12.5 };
    expect(draw(120, other).indexOf("queries")).toBe(draw(120).indexOf("queries"));
  });
});

describe("a plain line", () => {
  test("says the same in words", () => {
    expect(plainLine(standing, english.say)).toBe(
      "recall · l2 · lr 0.003 · seed 0: step 120/300, loss 0.5123, 12.3k queries/s, 1m20s left",
    );
  });

  test("says that a run measures when its steps are done", () => {
    expect(plainLine({ ...standing, step: 300, timeLeftMs: 0 }, english.say)).toMatch(
      /12.3k queries\/s, measuring$/,
    );
  });

  test("leaves out what is not known", () => {
    const measuring = { ...standing, loss: undefined, itemsPerSecond: 0, timeLeftMs: Number.NaN };
    expect(plainLine(measuring, english.say)).toBe("recall · l2 · lr 0.003 · seed 0: step 120/300");
  });
});
