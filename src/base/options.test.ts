import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DomainError } from "./errors.ts";
import {
  checkOptions,
  didYouMean,
  integerOption,
  numberOption,
  parseNumberOrWord,
  textOption,
  wordOption,
} from "./options.ts";

const rules = {
  k: integerOption(1, true),
  beta: numberOption("positive", "learned", "auto"),
  mode: wordOption("hard", "soft"),
};

function refusal(options: Parameters<typeof checkOptions>[2]): DomainError {
  try {
    checkOptions("topk", rules, options);
  } catch (error) {
    if (error instanceof DomainError) return error;
  }
  throw new Error("the options were accepted");
}

describe("what an option accepts", () => {
  test.each([
    {
      name: "a whole number from a minimum",
      rule: integerOption(2),
      good: [2, 3, 1e6],
      bad: [1, 2.5, "2", Number.NaN],
    },
    {
      name: "a positive number",
      rule: numberOption("positive"),
      good: [0.5, 1e-9],
      bad: [0, -1, "x", Infinity],
    },
    {
      name: "a number or a word",
      rule: numberOption("real", "learned"),
      good: [-1, 0, "learned"],
      bad: ["auto"],
    },
    { name: "a word", rule: wordOption("hard", "soft"), good: ["hard", "soft"], bad: ["", "medium", 1] },
    { name: "text", rule: textOption("a list"), good: ["a+b"], bad: [""] },
  ])("$name", ({ rule, good, bad }) => {
    expect(good.filter((value) => !rule.accepts(value))).toEqual([]);
    expect(bad.filter((value) => rule.accepts(value))).toEqual([]);
  });
});

test("options come back in the order of the rules, without the absent ones", () => {
  const checked = checkOptions("topk", rules, { mode: "soft", beta: undefined, k: 4 });
  expect(Object.entries(checked)).toEqual([
    ["k", 4],
    ["mode", "soft"],
  ]);
});

test("an unknown option is refused with the known ones and the nearest", () => {
  const error = refusal({ k: 1, bta: 2 });
  expect(error.code).toBe("unknown-option");
  expect(error.message).toMatch(/no option 'bta': it takes k, beta, mode\. Did you mean 'beta'/);
});

test("an option named like a property of every object is unknown too", () => {
  expect(refusal({ k: 1, constructor: 2 }).code).toBe("unknown-option");
});

test("a missing or a bad option is refused with what is allowed", () => {
  expect(refusal({})).toMatchObject({
    code: "missing-option",
    message: expect.stringContaining("a whole number ≥ 1"),
  });
  expect(refusal({ k: 0 })).toMatchObject({
    code: "bad-option",
    message: expect.stringContaining("a whole number ≥ 1: 0"),
  });
});

test("names are offered nearest first", () => {
  expect(didYouMean("hrd", ["soft", "hard"])).toBe("Did you mean 'hard' or 'soft'?");
});

test("text that is a number is read as one, other text stays text", () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
      expect(parseNumberOrWord(String(value))).toBe(Number(String(value)));
    }),
  );
  expect(["", " ", "auto", "1x", "NaN", "Infinity"].map(parseNumberOrWord)).toEqual([
    "",
    " ",
    "auto",
    "1x",
    "NaN",
    "Infinity",
  ]);
});
