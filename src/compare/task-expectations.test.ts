import { expect, test } from "vitest";
import { madeUpResults } from "../../test/made-up-results.ts";
import { type Metrics } from "../train/trainable.ts";
import { type Verdict } from "./expectation.ts";
import { verdictsOf } from "./expectations.ts";

/** A verdict on made-up numbers of a task; every attention has two seeds, or those given. */
function verdict(
  id: string,
  task: string,
  measured: Readonly<Record<string, (seed: number) => Metrics>>,
  seeds: readonly number[] = [0, 1],
): Verdict {
  const request = { tasks: [task], similarities: Object.keys(measured), seeds, learningRates: [0.01] };
  const results = madeUpResults(request, ({ selector, seed }) => measured[selector](seed));
  const found = verdictsOf(results).find((candidate) => candidate.id === id);
  expect(found).toBeDefined();
  return found as Verdict;
}

test.each(["copy", "selective-copy", "induction", "associative-recall"])(
  "%s is solved from an accuracy of 0.95 on, with the task's own position",
  (task) => {
    const id = `dot-solves-${task}`;
    expect(verdict(id, task, { dot: () => ({ accuracy: 0.95 }) }).status).toBe("holds");
    expect(verdict(id, task, { dot: () => ({ accuracy: 0.94 }) }).status).toBe("does not hold");
    expect(verdict(id, task, { "dot+nope": () => ({ accuracy: 1 }) })).toMatchObject({
      status: "not measured",
      reason: { en: `needs ${task}: dot` },
    });
  },
);

test.each([
  [1, 0.3, "holds"],
  [1, 0.96, "does not hold"],
  [0.6, 0.3, "undecided"],
])("softmax copies %d and a fixed state %d: %s, with their bytes", (softmax, fixed, status) => {
  const found = verdict("linear-fails-copy", "copy", {
    dot: () => ({ accuracy: softmax, stateBytes: 65536 }),
    "dot+none": () => ({ accuracy: fixed, stateBytes: 4096 }),
  });
  expect(found.status).toBe(status);
  expect(found.evidence.map(({ label }) => label.en)).toEqual([
    "dot+none, head width 4",
    "dot, head width 4",
  ]);
  expect(found.evidence[0].value).toMatch(/kB$/);
});

test.each([
  [{ accuracyAt30: 1, accuracyAt60: 0.9, accuracyAt120: 0.4, accuracyAt480: 0.1 }, "holds"],
  [{ accuracyAt30: 1, accuracyAt60: 0.9, accuracyAt120: 0.95, accuracyAt480: 0.1 }, "does not hold"],
  [{ accuracyAt30: 0.3, accuracyAt60: 0.1, accuracyAt120: 0.1, accuracyAt480: 0.1 }, "undecided"],
  [{ accuracyAt30: 1, accuracyAt60: 0.1 }, "not measured"],
])("induction with rope, %o: %s", (series, status) => {
  const metrics = { accuracy: series.accuracyAt30, ...series } as Metrics;
  expect(verdict("rope-loses-induction", "induction", { "dot+rope": () => metrics }).status).toBe(status);
});

test("a task is solved, or not, by the widest heads that were compared", () => {
  const results = madeUpResults(
    { tasks: ["copy"], similarities: ["dot"], seeds: [0], learningRates: [0.01] },
    ({ settings }) => ({ accuracy: settings["headWidth"] === 8 ? 1 : 0.5 }),
  );
  expect(verdictsOf(results).find(({ id }) => id === "dot-solves-copy")).toMatchObject({
    status: "holds",
    evidence: [{ label: { en: "dot, head width 8", zh: "dot，头宽度 8" } }],
  });
});

test("a scaled rope is not the plain one", () => {
  const metrics = { accuracy: 1, accuracyAt30: 1, accuracyAt480: 0.1 };
  const scaled = { "dot+rope:scaling=ntk,factor=16": (): Metrics => metrics };
  expect(verdict("rope-loses-induction", "induction", scaled).status).toBe("not measured");
});

test("nested expressions are harder only beyond the spread, and with one seed nobody knows", () => {
  const measured =
    (loss: number) =>
    (seed: number): Metrics => ({
      accuracy: 0.5,
      depthAccuracyAt1: 0.8,
      depthAccuracyAt2: 0.5,
      depthAccuracyAt5: 0.8 - loss + 0.1 * seed,
    });
  expect(verdict("nesting-is-hard", "listops", { dot: measured(0.5) }).status).toBe("holds");
  expect(verdict("nesting-is-hard", "listops", { dot: measured(0.05) }).status).toBe("does not hold");
  const once = verdict("nesting-is-hard", "listops", { dot: measured(0.5) }, [0]);
  expect(once.status).toBe("undecided");
  expect(once.evidence.map(({ label }) => label.en)).toEqual([
    "dot, nesting depth 1",
    "dot, nesting depth 5",
  ]);
});

test.each([
  [1.9, "holds"],
  [2.1, "does not hold"],
])("%d bits a parameter: %s", (bitsPerParameter, status) => {
  const measured = { dot: (): Metrics => ({ bits: 1000, bitsPerParameter }) };
  expect(verdict("two-bits-a-parameter", "facts", measured).status).toBe(status);
});
