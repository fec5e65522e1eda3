import { expect, test } from "vitest";
import { madeUpResults } from "../../test/made-up-results.ts";
import { type Verdict } from "./expectation.ts";
import { verdictsOf } from "./expectations.ts";

/** An attention of time N² beside a recurrence of time c·N, up to 1,024 tokens. */
function verdict(
  id: string,
  {
    exponent,
    factor,
    seeds = [0, 1],
    similarities = ["dot", "gla"],
  }: {
    readonly exponent: number;
    readonly factor: number;
    readonly seeds?: readonly number[];
    readonly similarities?: readonly string[];
  },
): Verdict | undefined {
  const results = madeUpResults({ tasks: ["scaling"], similarities, seeds }, ({ selector, seed }) => {
    const power = selector === "gla" ? exponent : 2;
    const scale = selector === "gla" ? factor : 1;
    const time = (length: number): number => (scale * length ** power) / 1e4 + seed / 1e3;
    return {
      timeExponent: power + seed / 100,
      ...Object.fromEntries([256, 512, 1024].map((length) => [`timeMsAt${length}`, time(length)])),
    };
  });
  return verdictsOf(results).find((found) => found.id === id);
}

test.each([
  ["recurrences-grow-slowly", { exponent: 1, factor: 1 }, "holds"],
  ["recurrences-grow-slowly", { exponent: 2.005, factor: 1 }, "does not hold"],
  ["recurrences-grow-slowly", { exponent: 2.5, factor: 1 }, "does not hold"],
  ["recurrences-grow-slowly", { exponent: 1, factor: 1, seeds: [0] }, "undecided"],
  ["recurrences-grow-slowly", { exponent: 1, factor: 1, similarities: ["l2", "gla"] }, "not measured"],
  // A window is not all pairs.
  [
    "recurrences-grow-slowly",
    { exponent: 1, factor: 1, similarities: ["dot+window:w=8", "gla"] },
    "not measured",
  ],
  ["recurrences-overtake", { exponent: 1, factor: 900 }, "holds"],
  ["recurrences-overtake", { exponent: 1, factor: 1100 }, "undecided"],
  ["recurrences-overtake", { exponent: 1, factor: 900, seeds: [0] }, "undecided"],
] as const)("%s where a recurrence takes %o: %s", (id, recurrence, status) => {
  expect(verdict(id, recurrence)?.status).toBe(status);
});

test("the evidence is the time at the longest length", () => {
  expect(verdict("recurrences-overtake", { exponent: 1, factor: 900, seeds: [0] })?.evidence).toEqual([
    { label: { en: "gla, length 1024", zh: "gla，长度 1024" }, value: "92.2 ms" },
    { label: { en: "dot, length 1024", zh: "dot，长度 1024" }, value: "105 ms" },
  ]);
});
