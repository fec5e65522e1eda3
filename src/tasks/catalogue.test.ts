import { expect, test } from "vitest";
import { tasks } from "./catalogue.ts";

test("every task is listed under its own name, in English and in Chinese", () => {
  expect(Object.keys(tasks)).toEqual([
    "recall",
    "recall-tokens",
    "copy",
    "selective-copy",
    "induction",
    "associative-recall",
    "listops",
    "facts",
    "language",
    "hierarchy",
    "extrapolation",
    "scaling",
  ]);
  for (const [name, task] of Object.entries(tasks)) {
    expect(task.name).toBe(name);
    expect(task.summaryZh).toMatch(/\p{Script=Han}/u);
    expect(task.summary).not.toMatch(/\p{Script=Han}/u);
  }
});
