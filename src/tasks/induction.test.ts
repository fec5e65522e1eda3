import { expect, test } from "vitest";
import fc from "fast-check";
import { allowedError, rowsOf } from "../../test/rows.ts";
import { random } from "../base/random.ts";
import { inductionTokens, type InductionSettings } from "./induction.ts";

const settings: fc.Arbitrary<InductionSettings> = fc.record({
  vocabulary: fc.integer({ min: 3, max: 30 }),
  length: fc.integer({ min: 3, max: 50 }),
  batch: fc.integer({ min: 1, max: 4 }),
});

test("the trigger stands twice, the second time at the end, and the answer is what followed the first", () => {
  fc.assert(
    fc.property(settings, fc.nat(), (made, seed) => {
      const { tokens, positions, targets } = inductionTokens(made, random(seed));
      const trigger = made.vocabulary - 1;
      rowsOf(tokens, made.length).forEach((row, sequence) => {
        const places = row.flatMap((token, place) => (token === trigger ? [place] : []));
        expect(places).toHaveLength(2);
        expect(places[1]).toBe(made.length - 1);
        expect(positions[sequence]).toBe(made.length - 1);
        expect(row[places[0] + 1]).toBe(targets[sequence]);
        expect(targets[sequence]).toBeLessThan(trigger);
        expect(row.every((token) => token >= 0 && token <= trigger)).toBe(true);
      });
    }),
  );
});

test("the trigger's place and the answer are uniform, so neither a place nor a count tells the answer", () => {
  const draws = 20_000;
  const { tokens, targets } = inductionTokens({ vocabulary: 4, length: 7, batch: draws }, random(5));
  const places = rowsOf(tokens, 7).map((row) => row.indexOf(3));
  for (let place = 0; place < 5; place++) {
    const share = places.filter((found) => found === place).length / draws;
    expect(Math.abs(share - 1 / 5)).toBeLessThan(allowedError(1 / 5, draws));
  }
  for (let token = 0; token < 3; token++) {
    const share = targets.filter((target) => target === token).length / draws;
    expect(Math.abs(share - 1 / 3)).toBeLessThan(allowedError(1 / 3, draws));
  }
});

test("the same stream gives the same batch, another step another", () => {
  const made = { vocabulary: 20, length: 30, batch: 2 };
  const at = (step: number): string =>
    inductionTokens(made, random(1, "induction", "train", step)).tokens.join();
  expect(at(4)).toBe(at(4));
  expect(at(4)).not.toBe(at(5));
});

test.each([
  [{ vocabulary: 2, length: 8, batch: 1 }, "vocabulary must be a whole number ≥ 3: 2"],
  [{ vocabulary: 8, length: 2, batch: 1 }, "length must be a whole number ≥ 3: 2"],
  [{ vocabulary: 8, length: 8, batch: 0 }, "batch must be a whole number ≥ 1: 0"],
])("%o is refused", (made, message) => {
  expect(() => inductionTokens(made, random(1))).toThrow(message);
});
