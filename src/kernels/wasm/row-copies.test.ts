/** @file Rows joined from their copies, against softmax over all keys at once in float64. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { addCopies, copyRows, joinCopies } from "./row-copies.ts";

const score = fc.double({ min: -30, max: 30, noNaN: true });
/** Scores of a row's copies; value of key j is j + 1. */
const parts = fc.tuple(
  fc.array(score, { maxLength: 6 }),
  fc.array(score, { maxLength: 6 }),
  fc.array(score, { maxLength: 6 }),
);

/** lse and mean of values from `first`; empty rows as a kernel leaves them. */
function softmaxOf(scores: readonly number[], first: number, sink: number | undefined): [number, number] {
  if (scores.length === 0) return [-Infinity, 0];
  const mass = scores.reduce((sum, s) => sum + Math.exp(s), sink === undefined ? 0 : Math.exp(sink));
  const mean = scores.reduce((sum, s, index) => sum + Math.exp(s) * (first + index), 0) / mass;
  return [Math.log(mass), mean];
}

/** float32 rounds an lse of 30 by 2e-6, which is the relative error of its weight. */
const TOLERANCE = 2e-5;

test.each([true, false])(
  "a row joined from three copies is the row's softmax; with a sink: %s",
  (hasSink) => {
    fc.assert(
      fc.property(parts, score, (scores, sinkScore) => {
        const sink = hasSink ? Math.fround(sinkScore) : undefined;
        const starts = [1, 1 + scores[0].length, 1 + scores[0].length + scores[1].length];
        const copies = scores.map((part, index) => softmaxOf(part, starts[index], sink));
        const logSumExp = Float32Array.from(copies, ([lse]) => lse);
        const out = Float32Array.from(copies.flatMap(([, mean]) => [mean, -mean]));
        joinCopies({ out, logSumExp, width: 2 }, Int32Array.of(0, 0, 0), 1, sink);
        const [lse, mean] = softmaxOf(scores.flat(), 1, sink);
        if (lse === -Infinity) expect(logSumExp[0]).toBe(-Infinity);
        else expect(Math.abs(logSumExp[0] - lse)).toBeLessThan(TOLERANCE);
        expect(Math.abs(out[0] - mean)).toBeLessThan(TOLERANCE * (1 + mean));
        expect(out[1]).toBe(-out[0]);
      }),
    );
  },
);

test("copies are written after the rows, and their sums come back to them", () => {
  const order = Int32Array.of(0, 1, 1, 0);
  const data = Float32Array.of(1, 2, 3, 4, Number.NaN, Number.NaN, Number.NaN, Number.NaN);
  copyRows(data, 2, order, 2);
  expect([...data]).toEqual([1, 2, 3, 4, 3, 4, 1, 2]);
  addCopies(data, 2, order, 2);
  expect([...data.subarray(0, 4)]).toEqual([2, 4, 6, 8]);
});
