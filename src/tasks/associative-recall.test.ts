import { expect, test } from "vitest";
import fc from "fast-check";
import { allowedError, rowsOf } from "../../test/rows.ts";
import { random } from "../base/random.ts";
import { associativeRecallTokens, type AssociativeRecallSettings } from "./associative-recall.ts";

const settings: fc.Arbitrary<AssociativeRecallSettings> = fc
  .record({
    vocabulary: fc.integer({ min: 5, max: 30 }),
    half: fc.integer({ min: 2, max: 25 }),
    batch: fc.integer({ min: 1, max: 4 }),
  })
  .map(({ half, ...rest }) => ({ ...rest, length: 2 * half }));

test("the pairs of a sequence are a one-to-one map, the question is one of its keys, and the answer its value", () => {
  fc.assert(
    fc.property(settings, fc.nat(), (made, seed) => {
      const { tokens, positions, targets } = associativeRecallTokens(made, random(seed));
      const half = Math.floor((made.vocabulary - 1) / 2);
      rowsOf(tokens, made.length).forEach((row, sequence) => {
        const valueOf = new Map<number, number>();
        for (let place = 0; place < made.length - 2; place += 2) {
          const [key, value] = [row[place], row[place + 1]];
          expect(key >= 0 && key < half && value >= half && value < 2 * half).toBe(true);
          expect(valueOf.get(key) ?? value).toBe(value);
          valueOf.set(key, value);
        }
        expect(new Set(valueOf.values()).size).toBe(valueOf.size);
        expect(row[made.length - 2]).toBe(made.vocabulary - 1);
        expect(positions[sequence]).toBe(made.length - 1);
        expect(valueOf.get(row[made.length - 1])).toBe(targets[sequence]);
      });
    }),
  );
});

test("pairsAgo counts back to the last pair of the asked key", () => {
  fc.assert(
    fc.property(settings, fc.nat(), (made, seed) => {
      const { tokens, pairsAgo } = associativeRecallTokens(made, random(seed));
      rowsOf(tokens, made.length).forEach((row, sequence) => {
        const keys = row.slice(0, -2).filter((_, place) => place % 2 === 0);
        const back = keys.toReversed().indexOf(row[made.length - 1]);
        expect(pairsAgo[sequence]).toBe(back + 1);
      });
    }),
  );
});

test("a key says nothing of its value from one sequence to the next", () => {
  const draws = 20_000;
  const { tokens } = associativeRecallTokens({ vocabulary: 7, length: 4, batch: draws }, random(4));
  const counts = new Map<string, number>();
  for (const [key, value] of rowsOf(tokens, 4)) {
    counts.set(`${key} ${value}`, (counts.get(`${key} ${value}`) ?? 0) + 1);
  }
  expect(counts.size).toBe(9);
  for (const count of counts.values()) {
    expect(Math.abs(count / draws - 1 / 9)).toBeLessThan(allowedError(1 / 9, draws));
  }
});

test("the same stream gives the same batch, another step another", () => {
  const made = { vocabulary: 20, length: 40, batch: 2 };
  const at = (step: number): string =>
    associativeRecallTokens(made, random(1, "associative-recall", "train", step)).tokens.join();
  expect(at(4)).toBe(at(4));
  expect(at(4)).not.toBe(at(5));
});

test.each([
  [{ vocabulary: 4, length: 8, batch: 1 }, "vocabulary must be a whole number ≥ 5: 4"],
  [{ vocabulary: 8, length: 9, batch: 1 }, "its length must be even: 9. Pass 8 or 10"],
  [{ vocabulary: 8, length: 2, batch: 1 }, "length must be a whole number ≥ 4: 2"],
])("%o is refused", (made, message) => {
  expect(() => associativeRecallTokens(made, random(1))).toThrow(message);
});
