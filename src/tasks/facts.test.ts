import { expect, test } from "vitest";
import fc from "fast-check";
import { allowedError, rowsOf } from "../../test/rows.ts";
import { random } from "../base/random.ts";
import { bitsRecovered, factTable, factTokens } from "./facts.ts";

test("every fact has a name of its own, and its sequence asks for its answer at the last letter", () => {
  const settings = fc.record({
    facts: fc.integer({ min: 1, max: 60 }),
    letters: fc.integer({ min: 4, max: 12 }),
    nameLength: fc.integer({ min: 3, max: 6 }),
    answers: fc.integer({ min: 2, max: 20 }),
  });
  fc.assert(
    fc.property(settings, fc.nat(), (made, seed) => {
      const { facts, letters, nameLength, answers } = made;
      const table = factTable(made, random(seed));
      const names = rowsOf(table.names, nameLength).map((name) => name.join());
      expect(new Set(names).size).toBe(facts);
      expect(table.names.every((letter) => letter >= 0 && letter < letters)).toBe(true);
      expect(table.answers.every((answer) => answer >= letters && answer < letters + answers)).toBe(true);
      const order = random(seed, "order").distinct(facts, facts);
      const { tokens, positions, targets } = factTokens(table, order);
      rowsOf(tokens, nameLength).forEach((row, sequence) => {
        expect(targets[sequence]).toBe(table.answers[names.indexOf(row.join())]);
        expect(positions[sequence]).toBe(nameLength - 1);
      });
    }),
  );
});

test("answers follow no rule: they are uniform whatever a letter of the name is", () => {
  const facts = 20_000;
  const table = factTable({ facts, letters: 2, nameLength: 20, answers: 4 }, random(6));
  const counts = new Map<string, number>();
  rowsOf(table.names, 20).forEach((name, fact) => {
    const key = `${name[19]} ${table.answers[fact]}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  });
  expect(counts.size).toBe(8);
  for (const count of counts.values()) {
    expect(Math.abs(count / facts - 1 / 8)).toBeLessThan(allowedError(1 / 8, facts));
  }
});

test("the bits of a table grow with its facts and with the answers of each", () => {
  const bits = (facts: number, answers: number): number =>
    factTable({ facts, letters: 8, nameLength: 4, answers }, random(1)).bits;
  expect(bits(100, 16)).toBe(400);
  expect(bits(200, 16)).toBe(2 * bits(100, 16));
  expect(bits(100, 4)).toBe(bits(100, 16) / 2);
});

test("bits recovered are all where every answer is sure, none at a guess, and never less", () => {
  const table = factTable({ facts: 10, letters: 8, nameLength: 4, answers: 4 }, random(1));
  expect(bitsRecovered(table, new Float32Array(10))).toBe(20);
  expect(bitsRecovered(table, new Float64Array(10).fill(Math.log(4)))).toBeCloseTo(0, 12);
  expect(bitsRecovered(table, new Float64Array(10).fill(Math.log(2)))).toBeCloseTo(10, 12);
  expect(bitsRecovered(table, new Float32Array(10).fill(9))).toBe(0);
});

test("the largest number of names is still told apart", () => {
  const { names } = factTable({ facts: 500, letters: 65536, nameLength: 2, answers: 2 }, random(1));
  expect(names.every((letter) => letter >= 0 && letter < 65536)).toBe(true);
  expect(new Set(rowsOf(names, 2).map(String)).size).toBe(500);
});

test.each([
  [{ facts: 9, letters: 2, nameLength: 3, answers: 4 }, "2^3 names for 9 facts"],
  [{ facts: 9, letters: 2, nameLength: 33, answers: 4 }, "at most 2^32 names"],
  [{ facts: 9, letters: 4, nameLength: 3, answers: 1 }, "answers must be a whole number ≥ 2: 1"],
  [{ facts: 0, letters: 4, nameLength: 3, answers: 2 }, "facts must be a whole number ≥ 1: 0"],
])("%o is refused", (made, message) => {
  expect(() => factTable(made, random(1))).toThrow(message);
});
