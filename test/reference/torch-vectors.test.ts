/** @file The reference against attentions written from their definitions in PyTorch, f64 (torch-vectors.py made the file). */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
  completeSelector,
  compose,
  parseSelector,
  referenceBackward,
  referenceForward,
} from "../../src/attention/index.ts";
import { type Tensor64, tensor64 } from "../../src/base/index.ts";

interface Stored {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

const vectors = JSON.parse(readFileSync(new URL("torch-vectors.json", import.meta.url), "utf8")) as {
  readonly offset: number;
  readonly cases: Readonly<Record<string, Readonly<Record<string, Stored>>>>;
} & Readonly<Record<"q" | "k" | "v" | "dOut", Stored>>;

const load = ({ data, shape }: Stored): Tensor64 => tensor64(data, shape);

/** Two f64 programs that add in another order; PyTorch's arcosh of near points loses the most. */
const f64Agreement = 1e-9;

function expectClose(actual: Tensor64, wanted: Stored): void {
  expect(actual.shape).toEqual(wanted.shape);
  const scale = wanted.data.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1);
  actual.data.forEach((value, place) => {
    expect(Math.abs(value - (wanted.data[place] ?? Number.NaN))).toBeLessThan(f64Agreement * scale);
  });
}

test.each(Object.entries(vectors.cases))(
  "%s equals PyTorch in output, log-sum-exp and gradients",
  (selector, wanted) => {
    const composition = compose(completeSelector(parseSelector(selector), {}));
    const inputs = { q: load(vectors.q), k: load(vectors.k), v: load(vectors.v), offset: vectors.offset };
    // The smallest square under a root exists for coincident points; PyTorch's plain formulas have none.
    const options = { guard: 1e-30 };
    const { out, lse } = referenceForward(composition, inputs, options);
    expectClose(out, wanted["out"]);
    expect(lse === undefined).toBe(wanted["lse"] === undefined);
    if (lse !== undefined) expectClose(lse, wanted["lse"]);
    const gradients = referenceBackward(composition, inputs, load(vectors.dOut), options);
    for (const name of ["dq", "dk", "dv"] as const) expectClose(gradients[name], wanted[name]);
  },
);
