import { expect, test } from "vitest";
import fc from "fast-check";
import { allowedError, rowsOf } from "../../test/rows.ts";
import { random } from "../base/random.ts";
import { selectiveCopyTokens, type SelectiveCopySettings } from "./selective-copy.ts";

const settings: fc.Arbitrary<SelectiveCopySettings> = fc.record({
  vocabulary: fc.integer({ min: 4, max: 30 }),
  noise: fc.integer({ min: 0, max: 40 }),
  symbols: fc.integer({ min: 1, max: 12 }),
  batch: fc.integer({ min: 1, max: 3 }),
});

test("what is not noise before the markers is the answer, in order, and the markers hold nothing of it", () => {
  fc.assert(
    fc.property(settings, fc.nat(), (made, seed) => {
      const { tokens, positions, targets } = selectiveCopyTokens(made, random(seed));
      const { noise, symbols, vocabulary } = made;
      const answers = rowsOf(targets, symbols);
      const places = rowsOf(positions, symbols);
      rowsOf(tokens, noise + 2 * symbols).forEach((row, sequence) => {
        const shown = row.slice(0, noise + symbols);
        expect(shown.filter((token) => token !== 0)).toEqual(answers[sequence]);
        expect(answers[sequence].every((token) => token >= 1 && token <= vocabulary - 2)).toBe(true);
        expect(row.slice(noise + symbols)).toEqual(answers[sequence].map(() => vocabulary - 1));
        expect(places[sequence]).toEqual(answers[sequence].map((_, order) => noise + symbols + order));
      });
    }),
  );
});

test("every place is as likely to hold a symbol, so distances differ", () => {
  const draws = 20_000;
  const { tokens } = selectiveCopyTokens({ vocabulary: 4, noise: 6, symbols: 2, batch: draws }, random(2));
  const rows = rowsOf(tokens, 10);
  for (let place = 0; place < 8; place++) {
    const share = rows.filter((row) => row[place] !== 0).length / draws;
    expect(Math.abs(share - 2 / 8)).toBeLessThan(allowedError(2 / 8, draws));
  }
});

test("the same stream gives the same batch, another step another", () => {
  const made = { vocabulary: 16, noise: 30, symbols: 4, batch: 2 };
  const at = (step: number): string =>
    selectiveCopyTokens(made, random(1, "selective-copy", "train", step)).tokens.join();
  expect(at(4)).toBe(at(4));
  expect(at(4)).not.toBe(at(5));
});

test.each([
  [{ vocabulary: 3, noise: 8, symbols: 1, batch: 1 }, "vocabulary must be a whole number ≥ 4: 3"],
  [{ vocabulary: 8, noise: -1, symbols: 1, batch: 1 }, "noise must be a whole number ≥ 0: -1"],
  [{ vocabulary: 8, noise: 1, symbols: 0, batch: 1 }, "symbols must be a whole number ≥ 1: 0"],
  [{ vocabulary: 8, noise: 2 ** 25, symbols: 1, batch: 1 }, "at most 2^24 tokens: 33554434"],
])("%o is refused", (made, message) => {
  expect(() => selectiveCopyTokens(made, random(1))).toThrow(message);
});
