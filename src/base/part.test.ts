import { expect, test } from "vitest";
import { DomainError } from "./errors.ts";
import { integerOption, numberOption } from "./options.ts";
import { definePart, type Part, printPart } from "./part.ts";

interface Ring extends Part {
  readonly kind: "pattern";
  readonly reach: number;
}

const ring = definePart<Ring, { readonly reach: number; readonly slack?: number }>(
  {
    kind: "pattern",
    selector: "ring",
    formula: "|i - j| mod N ≤ reach",
    source: "this test",
    rules: { reach: integerOption(1, true), slack: numberOption("real") },
  },
  ({ reach, slack = 0 }) => ({ reach: reach + slack }),
);

test("a part carries its kind, its name, its options and what was built from them", () => {
  expect(ring({ reach: 2, slack: 1 })).toEqual({
    kind: "pattern",
    name: "ring",
    options: { reach: 2, slack: 1 },
    reach: 3,
  });
});

test("the factory carries what `qklab list` prints", () => {
  expect(ring.definition).toMatchObject({ selector: "ring", source: "this test" });
});

test("options are checked before anything is built", () => {
  expect(() => ring()).toThrow(DomainError);
  expect(() => ring({ reach: 0 })).toThrow(/ring/);
});

test("a part prints as its selector, the same for every order of options", () => {
  expect(printPart(ring({ reach: 2 }))).toBe("ring:reach=2");
  expect(printPart(ring({ slack: 1, reach: 2 }))).toBe("ring:reach=2,slack=1");
  expect(printPart({ kind: "pattern", name: "full", options: {} })).toBe("full");
});
