import { expect, test } from "vitest";
import { madeUpResults } from "../../test/made-up-results.ts";
import { verdictsOf } from "./expectations.ts";

test.each([
  [{ facts: { width: [8, 16], experts: [0, 4] } }, [0, 1], 1.5, "holds"],
  [{ facts: { width: [8, 16], experts: [0, 4] } }, [0, 1], 1, "does not hold"],
  [{ facts: { width: [8, 16], experts: [0, 4] } }, [0], 1.5, "undecided"],
  [{ facts: { width: [8, 16], experts: [4] } }, [0, 1], 1.5, "not measured"],
  // Four times the bits at twice the width are no matter of experts.
  [{ facts: { width: [8, 16], experts: [0, 4], router: ["dot", "l2"] } }, [0, 1], 1.5, "holds"],
])("%o with seeds %o, where experts store %s times as much: %s", (settings, seeds, gain, status) => {
  const results = madeUpResults(
    { tasks: ["facts"], similarities: ["dot"], seeds, learningRates: [0.01], settings },
    ({ seed, settings: { width, experts } }) => ({
      bits: 100 * Number(width) ** 2 * (experts === 0 ? 1 : gain) + seed,
    }),
  );
  expect(verdictsOf(results).find(({ id }) => id === "experts-store-facts")?.status).toBe(status);
});
