import { expect, test } from "vitest";
import { learned, rope } from "../positions/index.ts";
import { computationNotes, trainingSelector } from "./training-selector.ts";

test.each([
  ["dot", "dot:scale=auto+causal"],
  ["l2", "l2:beta=auto+causal"],
  ["rbf", "rbf:sigma=auto+causal"],
  ["lorentz:c=2", "lorentz:beta=auto,c=2+causal"],
  ["product:members=l2/poincare", "product:members=l2/poincare,weights=auto+causal"],
])("'%s' gets a pattern and a calibrated temperature", (written, complete) => {
  expect(trainingSelector(written)).toBe(complete);
});

test.each([
  "cosine:tau=0.1+causal",
  "cosine:beta=learned+causal",
  "dot:scale=0.25+full",
  "product:members=l2/l1,weights=fixed+causal",
])("'%s' stays as it is, for it says its temperature and its pattern", (complete) => {
  expect(trainingSelector(complete)).toBe(complete);
});

test("a task's position enters where none is named, and 'nope' names one", () => {
  expect(trainingSelector("dot", rope())).toBe("dot:scale=auto+rope+causal");
  expect(trainingSelector("dot+alibi", rope())).toBe("dot:scale=auto+alibi+causal");
  expect(trainingSelector("dot+nope", rope())).toBe("dot:scale=auto+causal");
});

test("a recurrence has its order in time, and takes places that are added to embeddings", () => {
  expect(trainingSelector("gla+causal", rope())).toBe("gla");
  expect(trainingSelector("deltanet", learned())).toBe("deltanet+learned");
  expect(trainingSelector("deltanet+nope", learned())).toBe("deltanet+nope");
  expect(trainingSelector("deltanet+rope", learned())).toBe("deltanet+rope");
  expect(() => trainingSelector("deltanet+alibi")).toThrow("order enters a state by its updates");
});

test("a run says what is not computed where it was asked for", () => {
  expect(computationNotes("dot", false)).toEqual([]);
  expect(computationNotes("gla+learned", true)).toEqual([]);
  expect(computationNotes("gla+learned", false).join()).toMatch(/'gla' is computed by the f64 reference/);
  expect(computationNotes("rwkv4", true)).toEqual([]);
});
