import { expect, test } from "vitest";
import { type LabelledTokens } from "../tasks/index.ts";
import { type EvaluateTokens, heldOut, measureLabels, octave } from "./token-task.ts";

const batchOf = (targets: readonly number[], batch: number): LabelledTokens => ({
  tokens: new Int32Array(batch * 4),
  batch,
  positions: Int32Array.from(targets, (_, label) => label % (targets.length / batch)),
  targets: Int32Array.from(targets),
});

/** Always says 1, with a loss of 2 for what is not. */
const ones: EvaluateTokens = ({ targets }) =>
  Promise.resolve({
    predicted: new Int32Array(targets.length).fill(1),
    losses: Float32Array.from(targets, (target) => (target === 1 ? 0 : 2)),
  });

test("shares are over labels, over whole sequences, and along the series, of all batches together", async () => {
  const batches = [batchOf([1, 1, 0, 1], 2), batchOf([0, 1, 0, 0], 2)];
  expect(
    await measureLabels(batches, ones, { name: "placeAccuracy", at: (_, label) => 1 + (label % 2) }),
  ).toEqual({
    accuracy: 4 / 8,
    loss: 1,
    exact: 1 / 4,
    placeAccuracyAt1: 1 / 4,
    placeAccuracyAt2: 3 / 4,
  });
});

test("one label a sequence has no share of whole sequences beside it, and batches may differ in size", async () => {
  expect(await measureLabels([batchOf([1, 0], 2), batchOf([1], 1)], ones)).toEqual({
    accuracy: 2 / 3,
    loss: expect.closeTo(2 / 3, 12) as number,
  });
});

test("octaves begin at powers of two", () => {
  expect([1, 2, 3, 4, 7, 8, 1023, 1024].map(octave)).toEqual([1, 2, 2, 4, 4, 8, 512, 1024]);
});

test("held-out batches are those of the split, one a step", () => {
  expect(heldOut(3, (split, step) => `${split} ${step}`, "test")).toEqual(["test 0", "test 1", "test 2"]);
});
