/** @file Scores on jax-js: every operation, derivatives, shapes, the guard. */
import { numpy as np, vjp } from "@jax-js/jax";
import { beforeAll, describe, expect, test } from "vitest";
import { random } from "../../base/random.ts";
import {
  binaryOperations,
  constant,
  derivative,
  evaluate,
  Expression,
  sqrt,
  unaryOperations,
  variable,
} from "../../score/index.ts";
import { guards, similarities } from "../../similarities/index.ts";
import { lazyValues, scoreOf } from "./score.ts";
import { startJax } from "./start.ts";

beforeAll(() => startJax());

/** A handful of float32 operations, each exact to 2^-24, and functions exact to 1e-6. */
const FEW_OPERATIONS = 3e-6;

const close = (actual: number, expected: number, tolerance: number): void => {
  expect(Math.abs(actual - expected)).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(expected)));
};

/** Numbers of every sign and size at which all operations are defined, zero where it is allowed. */
const arguments_ = [-3, -1, -0.25, 0, 1e-6, 0.25, 1, 3];

describe("every operation is the one of the reference", () => {
  test.each(unaryOperations)("%s", async (operation) => {
    const expression = new Expression(operation, [variable("x")]);
    const isDefined = (x: number): boolean => Number.isFinite(evaluate(expression, { x }));
    const values = arguments_.filter(isDefined);
    const [x] = [np.array(values)];
    const actual = await (lazyValues([expression], { x })(0) as np.Array).data();
    values.forEach((value, place) =>
      close(actual[place], evaluate(expression, { x: Math.fround(value) }), FEW_OPERATIONS),
    );
  });

  test.each(binaryOperations)("%s, of arrays and of numbers on either side", async (operation) => {
    const [x, y] = [variable("x"), variable("y")];
    const forms = [
      new Expression(operation, [x, y]),
      new Expression(operation, [x, constant(2)]),
      new Expression(operation, [constant(2), y]),
    ];
    const [a, b] = [
      [-3, 0.5, 2, 2],
      [2, -0.25, 2, 4],
    ];
    const values = lazyValues(forms, { x: np.array(a), y: np.array(b) });
    for (const [index, form] of forms.entries()) {
      const actual = await (values(index) as np.Array).data();
      a.forEach((value, place) =>
        close(actual[place], evaluate(form, { x: value, y: b[place] }), FEW_OPERATIONS),
      );
    }
  });
});

/** One value of each variable per pair, query, key or head, as in an attention of B, H, Q, S = 2, 3, 4, 5. */
function drawVariables(names: readonly string[]): Record<string, Float32Array> {
  const stream = random("score");
  return Object.fromEntries(
    names.map((name) => [name, Float32Array.from({ length: 120 }, () => 0.3 + Math.abs(stream.normal()))]),
  );
}

const shapes: Readonly<Record<string, number[]>> = { s: [2, 3, 4, 5], q2: [2, 3, 4, 1], k2: [2, 3, 1, 5] };
const shapeOf = (name: string): number[] => shapes[name] ?? [1, 3, 1, 1];

/** Place in the variable's array of pair (b, h, i, j). */
function placeOf(shape: readonly number[], pair: readonly number[]): number {
  return shape.reduce((flat, extent, axis) => flat * extent + (extent === 1 ? 0 : pair[axis]), 0);
}

const pairs = Array.from({ length: 120 }, (_, flat) => [
  Math.floor(flat / 60),
  Math.floor(flat / 20) % 3,
  Math.floor(flat / 5) % 4,
  flat % 5,
]);

describe("scores of every similarity with one inner reduction", () => {
  const simple = similarities.filter(
    ({ definition }) => !["product", "complex"].includes(definition.selector),
  );
  test.each(simple.map((make) => ({ name: make.definition.selector, similarity: make() })))(
    "$name and its derivatives, broadcast over heads, queries and keys",
    async ({ similarity }) => {
      const own = similarity.parameters.map(({ name }) => name).filter((name) => name !== similarity.metric);
      const names = ["s", "q2", "k2", ...own];
      const numbers = drawVariables(names);
      const arrays = Object.fromEntries(
        names.map((name) => {
          const shape = shapeOf(name);
          const size = shape.reduce((product, extent) => product * extent);
          return [name, np.array(numbers[name].slice(0, size), { shape })];
        }),
      );
      const guard = guards.f32;
      const at = (pair: readonly number[]): Record<string, number> => ({
        guard,
        ...Object.fromEntries(names.map((name) => [name, numbers[name][placeOf(shapeOf(name), pair)]])),
      });
      const score = scoreOf(similarity.score, { ...arrays, guard }, true);
      const value = await np.broadcastTo(score.value(), [2, 3, 4, 5]).data();
      for (const [place, pair] of pairs.entries())
        close(value[place], evaluate(similarity.score, at(pair)), 1e-5);

      for (const name of names) {
        const slope = derivative(similarity.score, name);
        const one = { [name]: np.ones(shapeOf(name)) };
        const tangent = score.tangent(one);
        if (tangent === undefined) {
          expect(pairs.every((pair) => evaluate(slope, at(pair)) === 0)).toBe(true);
          continue;
        }
        const actual = await np.broadcastTo(tangent, [2, 3, 4, 5]).data();
        // Derivatives are quotients of numbers that were rounded before: ten times the tolerance of values.
        for (const [place, pair] of pairs.entries()) close(actual[place], evaluate(slope, at(pair)), 1e-4);
      }
    },
  );
});

test("a derivative at the guard is finite, and one of jax-js's own would not be", async () => {
  const distance = sqrt(variable("s").add(variable("guard")));
  const zero = np.zeros([1, 1, 1, 1]);
  const tangent = scoreOf(distance, { s: zero.ref, guard: guards.f32 }, true).tangent({
    s: np.ones([1, 1, 1, 1]),
  });
  close((await tangent!.data())[0], 0.5 / Math.sqrt(guards.f32), FEW_OPERATIONS);

  const [root, pull] = vjp((x: np.Array) => np.sqrt(x), [zero]);
  root.dispose();
  const [slope] = pull(np.zeros([1, 1, 1, 1])) as np.Array[];
  expect(await slope.data()).toEqual(Float32Array.of(NaN));
});
