/** @file The k largest of a row against a stable sort. */
import { jit, numpy as np } from "@jax-js/jax";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { largestOfRow } from "./largest-of-row.ts";
import { startJax } from "./start.ts";

beforeAll(() => startJax());

/** Scores as they occur: few distinct ones, excluded ones, both zeros, the ends of float32. */
const score = fc.oneof(
  { weight: 4, arbitrary: fc.float({ noNaN: true, min: -8, max: 8 }) },
  { weight: 3, arbitrary: fc.constantFrom(-1, 0, -0, 1, 2) },
  { weight: 2, arbitrary: fc.constant(-Infinity) },
  { weight: 1, arbitrary: fc.float({ noNaN: true, noDefaultInfinity: true }) },
);

function bySorting(row: readonly number[], k: number): boolean[] {
  const order = [...row.keys()].sort((a, b) => (row[a] === row[b] ? a - b : row[b] - row[a]));
  const kept = new Set(order.slice(0, k));
  return row.map((_, place) => kept.has(place));
}

test.each([
  { keys: 1, k: 1 },
  { keys: 7, k: 3 },
  { keys: 16, k: 1 },
  { keys: 33, k: 32 },
])("exactly $k of $keys are kept, ties to the lower index", ({ keys, k }) => {
  const rows = 12;
  const compiled = jit((values: np.Array) => largestOfRow(values, k));
  fc.assert(
    fc.property(fc.array(score, { minLength: rows * keys, maxLength: rows * keys }), (scores) => {
      const values = Float32Array.from(scores);
      const kept = compiled(np.array(values, { shape: [2, 2, 3, keys] })).dataSync();
      for (let row = 0; row < rows; row++) {
        const [start, stop] = [row * keys, (row + 1) * keys];
        expect([...kept.subarray(start, stop)].map((flag) => flag !== 0)).toEqual(
          bySorting([...values.subarray(start, stop)], k),
        );
      }
    }),
    { numRuns: 30 },
  );
  compiled.dispose();
});
