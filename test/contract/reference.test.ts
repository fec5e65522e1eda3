/** @file The f64 reference under the contract: what it rounds to float32 at its surface keeps every law. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { guards, referenceBackend } from "../../src/index.ts";
import { attentionContract } from "./attention-contract.ts";
import { checkCoordinates, checkDirections } from "./central-differences.ts";
import {
  type Choice,
  everyCombination,
  expectedClash,
  legalChoices,
  legalPairs,
  legalSelectors,
  oneSelectorEach,
  read,
  selectorOf,
} from "./legal-selectors.ts";
import { takesLengths, takesWidth } from "./laws-of-numbers.ts";
import { makeProblem } from "./problem.ts";

/** Four roundings to float32, 2^-24 each, of numbers as large as the largest: two parts, their sum, what it is compared with. */
const ROUNDING = 2 ** -22;

attentionContract(referenceBackend, {
  tolerances: { forward: ROUNDING, gradient: ROUNDING },
  guard: guards.f64,
  sampledSizes: 12,
});

/** Small enough for some fifty forward passes a selector, uneven, with shared keys. */
const smallSizes = { batch: 1, heads: 2, keyHeads: 1, queries: 3, keys: 4, width: 8, valueWidth: 3 };

describe("gradients of the reference are central differences", () => {
  test.each(legalSelectors)("%s", (selector) => {
    checkDirections(makeProblem(read(selector), smallSizes, "directions", selector), 1, selector);
  });

  test.each(oneSelectorEach)("coordinate by coordinate: %s", (selector) => {
    const sizes = { ...smallSizes, heads: 1, queries: 2, keys: 3, valueWidth: 2 };
    checkCoordinates(makeProblem(read(selector), sizes, "coordinates", selector));
  });
});

test("gradients are central differences at uneven sizes, always the same sample", () => {
  const compositions = legalSelectors.map((selector) => ({ selector, composition: read(selector) }));
  const sizes = fc.record({
    index: fc.nat({ max: compositions.length - 1 }),
    queries: fc.constantFrom(1, 3, 17),
    keys: fc.constantFrom(1, 3, 17),
    width: fc.constantFrom(1, 3, 8, 16, 33),
    valueWidth: fc.constantFrom(1, 3, 8, 33),
  });
  fc.assert(
    fc.property(sizes, ({ index, ...extents }) => {
      const { selector, composition } = compositions[index];
      fc.pre(takesWidth(composition, extents.width) && takesLengths(composition, extents));
      const problem = makeProblem(
        composition,
        { batch: 1, heads: 2, keyHeads: 1, ...extents },
        "sizes",
        selector,
      );
      checkDirections(problem, 1, selector);
    }),
    { seed: 5, numRuns: 40, endOnFailure: true },
  );
});

/** The code of what `act` throws, nothing when it returns. */
function codeOf(act: () => unknown): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}

describe("combinations", () => {
  test("every clash of the algebra is refused with its code, and nothing else is", () => {
    const wrong = everyCombination()
      .map((choice) => ({
        selector: selectorOf(choice),
        expected: expectedClash(choice),
        actual: codeOf(() => read(selectorOf(choice))),
      }))
      .filter(({ expected, actual }) => expected !== actual);
    expect(wrong).toEqual([]);
  });

  test("every legal pair of values occurs in one of the selectors", () => {
    const missing = legalPairs().filter(
      (pair) =>
        !legalChoices.some((choice) =>
          Object.entries(pair).every(([kind, value]) => choice[kind as keyof Choice] === value),
        ),
    );
    expect(missing).toEqual([]);
    expect(legalPairs().length).toBeGreaterThan(500);
  });
});
