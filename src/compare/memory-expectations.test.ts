import { expect, test } from "vitest";
import { madeUpResults } from "../../test/made-up-results.ts";
import { type Verdict } from "./expectation.ts";
import { verdictsOf } from "./expectations.ts";
import { type ComparisonResults } from "./results.ts";

interface Measured {
  readonly accuracy: number;
  readonly stateBytes: number;
}

/** Recall by a sum of products and by a delta rule, whose cells stand in for it under the name l2. */
function verdict(sum: Measured, delta: Measured, seeds: readonly number[] = [0, 1]): Verdict | undefined {
  const results = madeUpResults(
    { tasks: ["recall"], similarities: ["dot+none", "l2"], seeds, learningRates: [0.01] },
    ({ selector, seed }) => {
      const { accuracy, stateBytes } = selector === "l2" ? delta : sum;
      return { accuracy: accuracy + 0.01 * seed, stateBytes };
    },
  );
  const renamed = JSON.parse(
    JSON.stringify(results).replaceAll('"l2"', '"gated-deltanet:chunk=16"'),
  ) as ComparisonResults;
  return verdictsOf(renamed).find(({ id }) => id === "delta-rule-recalls");
}

test.each([
  [{ accuracy: 0.6, stateBytes: 1024 }, "holds"],
  [{ accuracy: 0.6, stateBytes: 4096 }, "holds"],
  [{ accuracy: 0.899, stateBytes: 1024 }, "does not hold"],
  [{ accuracy: 0.97, stateBytes: 1024 }, "does not hold"],
  [{ accuracy: 0.6, stateBytes: 512 }, "not measured"],
])("a delta rule of 0.9 with 1,024 bytes beside a sum of %o: %s", (sum, status) => {
  expect(verdict(sum, { accuracy: 0.9, stateBytes: 1024 })?.status).toBe(status);
});

test("one seed decides nothing, and the evidence carries the bytes", () => {
  const found = verdict({ accuracy: 0.6, stateBytes: 1024 }, { accuracy: 0.9, stateBytes: 1024 }, [0]);
  expect(found?.status).toBe("undecided");
  expect(found?.evidence).toEqual([
    { label: { en: "gated-deltanet:chunk=16", zh: "gated-deltanet:chunk=16" }, value: "0.900, 1.0 kB" },
    { label: { en: "dot+none", zh: "dot+none" }, value: "0.600, 1.0 kB" },
  ]);
});
