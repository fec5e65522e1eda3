import { expect, test } from "vitest";
import { madeUpResults } from "../../test/made-up-results.ts";
import { verdictsOf } from "./expectations.ts";

/** The verdict on a claim where attention to all pairs and what is held against it have these accuracies. */
function verdict(
  id: string,
  selector: string,
  { all, other, length = 32 }: { readonly all: number; readonly other: number; readonly length?: number },
): string | undefined {
  const results = madeUpResults(
    {
      tasks: ["copy"],
      similarities: ["dot", selector],
      seeds: [0],
      learningRates: [0.01],
      settings: { copy: { length, headWidth: 8 } },
    },
    (run) => ({ accuracy: run.selector === "dot" ? all : other }),
  );
  return verdictsOf(results).find((found) => found.id === id)?.status;
}

const window = "dot+causal+window:w=8";

test.each([
  ["topk-keeps-copy", "dot+topk:k=4", { all: 1, other: 0.96 }, "holds"],
  ["topk-keeps-copy", "dot+topk:k=4", { all: 1, other: 0.94 }, "does not hold"],
  ["topk-keeps-copy", "dot+topk:k=4", { all: 0.9, other: 0.99 }, "undecided"],
  ["topk-keeps-copy", "dot+moba:block=8,k=2", { all: 1, other: 1 }, "not measured"],
  ["topk-keeps-copy", "l2+topk:k=4", { all: 1, other: 1 }, "not measured"],
  ["lsh-keeps-copy", "dot+lsh:buckets=4", { all: 1, other: 1 }, "holds"],
  ["moba-keeps-copy", "dot+moba:block=8,k=2", { all: 1, other: 0.889 }, "does not hold"],
  // Two layers of windows of eight reach 14 places back: a word of 15 symbols is too long, one of 14 is not.
  ["window-loses-copy", window, { all: 1, other: 0.1 }, "holds"],
  ["window-loses-copy", window, { all: 1, other: 1 }, "does not hold"],
  ["window-loses-copy", window, { all: 1, other: 0.1, length: 30 }, "not measured"],
])("%s with %s and %o: %s", (id, selector, measured, status) => {
  expect(verdict(id, selector, measured)).toBe(status);
});
