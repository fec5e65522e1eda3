import { describe, expect, test } from "vitest";
import { recipeOf } from "../train/recipes/index.ts";
import { planComparison } from "./plan.ts";
import { presetNames, presets } from "./presets.ts";

describe.each(presetNames)("the preset %s", (preset) => {
  const columns = presets[preset].columns;

  test("holds only settings that its recipes have, and attentions that exist and whose parts fit together", () => {
    const plan = planComparison({ preset, tasks: Object.keys(columns) }, recipeOf);
    expect(new Set(plan.columns.map(({ task }) => task))).toEqual(new Set(Object.keys(columns)));
  });

  test("scales a rope for the longest length that it is tested at", () => {
    const [column] = planComparison({ preset, tasks: ["extrapolation"] }, recipeOf).columns;
    const { factors, length } = column.settings as {
      readonly factors: readonly number[];
      readonly length: number;
    };
    const scaled = columns["extrapolation"].selectors.filter((selector) => selector.includes("factor="));
    for (const selector of scaled) {
      expect(selector).toContain(`factor=${Math.max(...factors)}`);
      if (selector.includes("original=")) expect(selector).toContain(`original=${length}`);
    }
  });
});

test("full has at least three seeds in every cell, and the others fewer runs", () => {
  const plans = presetNames.map((preset) => planComparison({ preset }, recipeOf));
  const full = plans.at(-1)!;
  expect(Math.min(...full.cells.map(({ seeds }) => seeds.length))).toBeGreaterThanOrEqual(3);
  const counts = plans.map(({ runs }) => runs.length);
  expect(Math.min(...counts)).toBe(counts[0]);
  expect(Math.max(...counts.slice(0, -1))).toBeLessThan(full.runs.length);
});
