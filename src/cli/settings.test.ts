import { describe, expect, test } from "vitest";
import { CommandError } from "./command-error.ts";
import { collectSetting, mergeSettings, settingsOfTable } from "./settings.ts";

describe("collectSetting", () => {
  test.each([
    ["language.steps=4k", { language: { steps: 4000 } }],
    ["steps=100", { "*": { steps: 100 } }],
    ["recall-tokens.width=16", { "recall-tokens": { width: 16 } }],
    ["hierarchy.width=2,5", { hierarchy: { width: [2, 5] } }],
    ["hierarchy.source=tree", { hierarchy: { source: "tree" } }],
    ["recall.shuffled=true", { recall: { shuffled: true } }],
    ['language.text="a,b.txt"', { language: { text: "a,b.txt" } }],
    ["extrapolation.factors=[2,4]", { extrapolation: { factors: [2, 4] } }],
    ["language.text=my book=2.txt", { language: { text: "my book=2.txt" } }],
  ])("reads %s", (text, settings) => {
    expect(collectSetting(text)).toEqual(settings);
  });

  test.each(["steps", "=4", "language.steps=", "a.b.c=1", 'language.text="open'])("refuses '%s'", (text) => {
    expect(() => collectSetting(text)).toThrow(CommandError);
  });

  test("a later setting wins over an earlier one, and leaves the others", () => {
    const earlier = collectSetting("recall.steps=1", collectSetting("recall.width=8"));
    expect(collectSetting("recall.steps=2", earlier)).toEqual({ recall: { width: 8, steps: 2 } });
  });
});

describe("settings of a config file", () => {
  test("are of one task in a table of its name, else of every task", () => {
    expect(settingsOfTable({ steps: 5, language: { width: 8 } })).toEqual({
      "*": { steps: 5 },
      language: { width: 8 },
    });
  });

  test("lose against flags one by one", () => {
    const merged = mergeSettings(
      { recall: { steps: 1, width: 8 } },
      { recall: { steps: 2 }, language: { steps: 3 } },
    );
    expect(merged).toEqual({ recall: { steps: 2, width: 8 }, language: { steps: 3 } });
  });
});
