import { grad, jit, numpy as np } from "@jax-js/jax";
import { beforeAll, describe, expect, test } from "vitest";
import { random } from "../base/random.ts";
import { startJax } from "../kernels/jax/start.ts";
import { exactGelu } from "../kernels/reference/gelu.ts";
import { crossEntropy } from "./cross-entropy.ts";
import { takeRows, unembed } from "./embedding.ts";
import { activatedFeedForward, activations, swiglu } from "./feed-forward.ts";
import { mergeHeads, splitHeads } from "./heads.ts";
import { linear } from "./linear.ts";

/** f32 sums of at most 64 products of numbers of size 3 against f64: 64·9·2⁻²⁴ ≈ 3.4e-5. */
const tolerance = 4e-5;

beforeAll(() => startJax());

const draws = (name: string, length: number): Float32Array => random(1, "layers", name).normals(length);
const array = (numbers: Float32Array, ...shape: number[]): np.Array => np.array(numbers, { shape });

function expectClose(actual: ArrayLike<number>, expected: readonly number[]): void {
  expect(actual).toHaveLength(expected.length);
  const worst = expected.reduce(
    (largest, value, place) => Math.max(largest, Math.abs(value - actual[place])),
    0,
  );
  expect(worst).toBeLessThan(tolerance);
}

/** x·Wᵀ in f64. */
function product(x: ArrayLike<number>, weight: ArrayLike<number>, width: number): number[] {
  const [rows, out] = [x.length / width, weight.length / width];
  return Array.from({ length: rows * out }, (_, flat) => {
    const [row, column] = [Math.floor(flat / out), flat % out];
    let sum = 0;
    for (let d = 0; d < width; d++) sum += x[row * width + d] * weight[column * width + d];
    return sum;
  });
}

describe("linear", () => {
  test("is x·Wᵀ + b", async () => {
    const [x, weight, bias] = [draws("x", 12), draws("w", 20), draws("b", 5)];
    const y = linear(array(x, 3, 4), array(weight, 5, 4), array(bias, 5));
    expectClose(
      await y.data(),
      product(x, weight, 4).map((value, flat) => value + bias[flat % 5]),
    );
  });
});

describe("feed-forward blocks", () => {
  const [width, hidden] = [4, 6];
  const [x, gate, up, down] = [draws("x", 12), draws("gate", 24), draws("up", 24), draws("down", 24)];

  test("SwiGLU is down(silu(gate x) ⊙ up x)", async () => {
    const silu = product(x, gate, width).map((h) => h / (1 + Math.exp(-h)));
    const gated = product(x, up, width).map((value, place) => value * silu[place]);
    const y = swiglu(array(x, 3, width), {
      gate: array(gate, hidden, width),
      up: array(up, hidden, width),
      down: array(down, width, hidden),
    });
    expectClose(await y.data(), product(gated, down, hidden));
  });

  const formulas: Record<keyof typeof activations, (h: number) => number> = {
    gelu: (h) => 0.5 * h * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (h + 0.044715 * h ** 3))),
    "gelu-exact": exactGelu,
    relu: (h) => Math.max(h, 0),
  };
  const names = Object.keys(activations) as (keyof typeof activations)[];

  test.each(names)("down(f(up x + b) + c) with f = %s", async (name) => {
    const [upBias, downBias] = [draws("up bias", hidden), draws("down bias", width)];
    const raised = product(x, up, width).map((h, flat) => formulas[name](h + upBias[flat % hidden]));
    const y = activatedFeedForward(
      array(x, 3, width),
      {
        up: array(up, hidden, width),
        upBias: array(upBias, hidden),
        down: array(down, width, hidden),
        downBias: array(downBias, width),
      },
      name,
    );
    expectClose(
      await y.data(),
      product(raised, down, hidden).map((value, flat) => value + downBias[flat % width]),
    );
  });

  test.each(["swiglu", ...names] as const)(
    "%s has finite values and gradients for inputs of size 1e4",
    async (kind) => {
      const large = array(Float32Array.of(-1e4, 1e4, 0, -200), 4, 1);
      const one = (): np.Array => np.ones([1, 1]);
      const sum = (x: np.Array): np.Array =>
        np.sum(
          kind === "swiglu"
            ? swiglu(x, { gate: one(), up: one(), down: one() })
            : activatedFeedForward(x, { up: one(), down: one() }, kind),
        );
      const numbers = [...(await sum(large.ref).data()), ...(await jit(grad(sum))(large).data())];
      expect(numbers.every(Number.isFinite)).toBe(true);
    },
  );
});

describe("rows of a table", () => {
  test("gradients of a row that was looked up twice are added", async () => {
    const weights = array(Float32Array.of(1, 2, 4), 3, 1);
    const weighted = (table: np.Array): np.Array =>
      np.sum(takeRows(table, np.array(Int32Array.of(2, 0, 2))).mul(weights.ref));
    const gradient = jit(grad(weighted))(np.zeros([4, 2]));
    expect([...(await gradient.data())]).toEqual([2, 2, 0, 0, 5, 5, 0, 0]);
  });

  test("products with a table whose rows 8 does not divide are those of the table alone", async () => {
    const [x, table] = [draws("x", 3 * 8), draws("table", 13 * 8)];
    const y = jit(unembed)(array(x, 3, 8), array(table, 13, 8));
    expect(y.shape).toEqual([3, 13]);
    expectClose(await y.data(), product(x, table, 8));
  });
});

describe("cross-entropy", () => {
  const [rows, classes] = [5, 7];
  const logits = draws("logits", rows * classes).map((value) => 3 * value);
  const targets = Int32Array.of(0, 6, 3, 3, 1);
  const softmax = (row: number): number[] => {
    const weights = Array.from(logits.subarray(row * classes, (row + 1) * classes), Math.exp);
    const mass = weights.reduce((a, b) => a + b);
    return weights.map((weight) => weight / mass);
  };

  test("is −ln of the softmax at the target", async () => {
    const losses = crossEntropy(array(logits, rows, classes), np.array(targets));
    expectClose(
      await losses.data(),
      Array.from(targets, (target, row) => -Math.log(softmax(row)[target])),
    );
  });

  test("has the gradient softmax minus one at the target", async () => {
    const gradient = jit(grad((x: np.Array) => np.sum(crossEntropy(x, np.array(targets)))))(
      array(logits, rows, classes),
    );
    const expected = Array.from(targets, (target, row) =>
      softmax(row).map((weight, column) => weight - (column === target ? 1 : 0)),
    );
    expectClose(await gradient.data(), expected.flat());
  });

  test("stays finite for logits of size 1e4", async () => {
    const losses = crossEntropy(array(Float32Array.of(1e4, -1e4, 0), 1, 3), np.array(Int32Array.of(1)));
    expect([...(await losses.data())]).toEqual([2e4]);
  });
});

describe("heads", () => {
  test("head h of rows is their coordinates h·width and on, and merging is the way back", async () => {
    const rows = draws("rows", 2 * 3 * 8);
    const heads = splitHeads(array(rows, 6, 8), 2, 4);
    expect(heads.shape).toEqual([2, 4, 3, 2]);
    const numbers = await heads.ref.data();
    const [batch, head, place, coordinate] = [1, 2, 0, 1];
    expect(numbers[((batch * 4 + head) * 3 + place) * 2 + coordinate]).toBe(
      rows[(batch * 3 + place) * 8 + 2 * head + 1],
    );
    expect([...(await jit(mergeHeads)(heads).data())]).toEqual([...rows]);
  });
});
