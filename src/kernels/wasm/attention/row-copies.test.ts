/** @file Rows joined from their copies, against softmax over all keys at once in float64. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { nodeEngine } from "../engine/pool.node.ts";
import { copyRecords, type CopyTask, runCopies, writeCopyLists } from "./row-copies.ts";

const engine = nodeEngine({ threads: 1 });

/** Runs a task over rows of so many numbers, and returns them with the log-sum-exp that joining leaves. */
function run(
  task: CopyTask,
  data: Float32Array,
  order: Int32Array,
  count: number,
  { width = 4, lse, sink }: { width?: number; lse?: Float32Array; sink?: number | undefined } = {},
): { readonly data: Float32Array; readonly lse: Float32Array } {
  const { arena } = engine;
  const { mark } = arena;
  arena.poison();
  const logs = lse ?? new Float32Array(order.length);
  const [at, logSumExp] = [data, logs].map((numbers) => {
    const address = arena.take(4 * numbers.length);
    arena.floats.set(numbers, address / 4);
    return address;
  });
  const join = { logSumExp, factors: arena.take(4 * order.length), sink };
  runCopies(engine, task, copyRecords(task, writeCopyLists(engine, order, count), at, width, join));
  const read = (address: number, length: number): Float32Array =>
    arena.floats.slice(address / 4, address / 4 + length);
  const result = { data: read(at, data.length), lse: read(logSumExp, logs.length) };
  arena.giveBack(mark);
  return result;
}

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
        const order = Int32Array.of(0, 0, 0);
        const means = Float32Array.from(copies.flatMap(([, mean]) => [mean, -mean, 0, 1]));
        const { data: out, lse: joined } = run("joinCopies", means, order, 1, { lse: logSumExp, sink });
        const [lse, mean] = softmaxOf(scores.flat(), 1, sink);
        if (lse === -Infinity) expect(joined[0]).toBe(-Infinity);
        else expect(Math.abs(joined[0] - lse)).toBeLessThan(TOLERANCE);
        expect(Math.abs(out[0] - mean)).toBeLessThan(TOLERANCE * (1 + mean));
        expect(out[1]).toBe(-out[0]);
      }),
    );
  },
);

test("copies are written after the rows, and their sums come back to them", () => {
  const order = Int32Array.of(0, 1, 1, 0);
  const rows = [1, 2, 3, 4, 5, 6, 7, 8];
  const data = Float32Array.from({ length: 16 }, (_, at) => rows[at] ?? Number.NaN);
  const { data: copied } = run("copyRows", data, order, 2);
  expect([...copied]).toEqual([...rows, 5, 6, 7, 8, 1, 2, 3, 4]);
  const doubled = rows.map((number) => 2 * number);
  expect([...run("addCopies", copied, order, 2).data.subarray(0, 8)]).toEqual(doubled);
  const numbers = Float32Array.of(5, 7, Number.NaN, Number.NaN);
  expect([...run("copyNumbers", numbers, order, 2, { width: 1 }).data]).toEqual([5, 7, 7, 5]);
});
