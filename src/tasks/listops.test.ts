import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import fc from "fast-check";
import { rowsOf } from "../../test/rows.ts";
import { describeWithSharedData } from "../../test/shared-data.ts";
import { random } from "../base/random.ts";
import { evaluateListops, listopsTokens, type ListopsSettings, listopsWords } from "./listops.ts";

describe("the evaluator", () => {
  test.each([
    ["7", 7],
    ["[MIN 4 2 9 ]", 2],
    ["[MAX 4 2 9 ]", 9],
    ["[MED 4 2 9 ]", 4],
    ["[MED 4 9 ]", 6],
    ["[MED 1 2 3 4 ]", 2],
    ["[SM 9 8 7 ]", 4],
    ["[FIRST 3 1 ]", 3],
    ["[LAST 3 1 ]", 1],
    ["[MAX 2 [MIN 9 3 ] [SM 5 [MED 1 1 8 ] ] ]", 6],
    ["( ( ( [MAX ( ( ( [MIN 9 ) 3 ) ] ) ) 1 ) ] )", 3],
  ])("%s is %d", (expression, value) => {
    expect(evaluateListops(expression)).toBe(value);
  });

  test("goes as deep as an expression does", () => {
    const depth = 20_000;
    expect(evaluateListops("[MAX 1 ".repeat(depth) + "2 " + "] ".repeat(depth))).toBe(2);
  });

  test.each([
    ["", "nothing"],
    ["[MAX 1 2", "[MAX is not closed"],
    ["[MAX ]", "[MAX has no argument"],
    ["1 ]", "']' stands after its end"],
    ["]", "a ']' closes nothing"],
    ["[AVG 1 ]", "'[AVG'"],
    ["[MAX 12 ]", "'12'"],
    ["[constructor 1 ]", "'[constructor'"],
  ])("refuses '%s'", (expression, words) => {
    expect(() => evaluateListops(expression)).toThrow(words);
  });
});

describeWithSharedData("the rows of the original data", "listops", (folder) => {
  test.each(["test.tsv", "test_d8.tsv"])("%s: every value is the published one", (file) => {
    const rows = readFileSync(join(folder, file), "utf8").trimEnd().split("\n");
    const wrong = rows.filter((row) => {
      const [value, expression] = row.split("\t");
      return evaluateListops(expression) !== Number(value);
    });
    expect(rows.length).toBeGreaterThanOrEqual(500);
    expect(wrong).toEqual([]);
  });
});

const settings: fc.Arbitrary<ListopsSettings> = fc
  .record({
    depth: fc.integer({ min: 1, max: 5 }),
    arguments: fc.integer({ min: 2, max: 6 }),
    maximumLength: fc.integer({ min: 8, max: 60 }),
    batch: fc.integer({ min: 1, max: 3 }),
  })
  .map((made) => ({ ...made, minimumLength: 4 }));

/** The deepest bracket of a row of words. */
function nesting(words: readonly string[]): number {
  let open = 0;
  let deepest = 0;
  for (const word of words) {
    if (word.startsWith("[")) deepest = Math.max(deepest, ++open);
    if (word === "]") open -= 1;
  }
  return deepest;
}

describe("the generator", () => {
  test("makes expressions whose value, by the evaluator, is the answer where the question stands", () => {
    fc.assert(
      fc.property(settings, fc.nat(), (made, seed) => {
        const { tokens, positions, targets, depths } = listopsTokens(made, random(seed));
        rowsOf(tokens, made.maximumLength + 1).forEach((row, sequence) => {
          const words = row.map((token) => listopsWords[token]);
          const end = positions[sequence];
          const expression = words.slice(0, end);
          expect(words.indexOf("=")).toBe(end);
          expect(new Set(words.slice(end + 1)).size).toBeLessThanOrEqual(1);
          expect(evaluateListops(expression.join(" "))).toBe(targets[sequence]);
          expect(nesting(expression)).toBe(depths[sequence]);
          expect(depths[sequence]).toBeLessThanOrEqual(made.depth);
          expect(end >= made.minimumLength && end <= made.maximumLength).toBe(true);
        });
      }),
    );
  });

  test("nests deeper and writes longer as far as it is allowed, with all of its operations", () => {
    const made = { arguments: 4, minimumLength: 4, maximumLength: 80, batch: 300 };
    const batches = [1, 2, 4].map((depth) => listopsTokens({ ...made, depth }, random(1)));
    const meanLength = batches.map(({ positions }) => positions.reduce((sum, end) => sum + end) / 300);
    expect(batches.map(({ depths }) => Math.max(...depths))).toEqual([1, 2, 4]);
    expect(meanLength[0]).toBeLessThan(meanLength[1]);
    expect(meanLength[1]).toBeLessThan(meanLength[2]);
    expect(new Set(batches[2].tokens).size).toBe(listopsWords.length);
  });

  test("the same stream gives the same batch, another step another", () => {
    const made = { depth: 4, arguments: 5, minimumLength: 10, maximumLength: 50, batch: 2 };
    const at = (step: number): string =>
      listopsTokens(made, random(1, "listops", "train", step)).tokens.join();
    expect(at(4)).toBe(at(4));
    expect(at(4)).not.toBe(at(5));
  });

  const fits = { depth: 2, arguments: 3, minimumLength: 4, maximumLength: 20, batch: 1 };
  test.each([
    [{ depth: 0 }, "depth must be a whole number ≥ 1: 0"],
    [{ arguments: 1 }, "arguments must be a whole number ≥ 2: 1"],
    [{ maximumLength: 3 }, "maximumLength must be a whole number ≥ 4: 3"],
    [{ minimumLength: 21 }, "the least is above the largest"],
    [{ minimumLength: 18, maximumLength: 30 }, "the longest has 17 words"],
  ])("%o is refused", (change, message) => {
    expect(() => listopsTokens({ ...fits, ...change }, random(1))).toThrow(message);
  });

  test("a length that is next to never met ends in an error instead of a search without end", () => {
    const rare = { depth: 8, arguments: 2, minimumLength: 700, maximumLength: 766, batch: 1 };
    expect(() => listopsTokens(rare, random(1))).toThrow("none of 100000 draws has such a length");
  });
});
