/** @file Laws about values, shared keys and the order of keys: how outputs depend on what they join. */
import { expect } from "vitest";
import { full, type MaskTensor, nope, random, type Tensor } from "../../src/index.ts";
import { expectClose, expectSame, relativeDistance } from "./comparison.ts";
import { type Law, withInputs } from "./law.ts";
import { commonSizes, edited, makeProblem, normals, taken } from "./problem.ts";

export const valueLinearity: Law = {
  name: "the output is linear in the values",
  appliesTo: ({ aggregation }) => aggregation.name === "mean",
  async check(bench, composition, selector) {
    const problem = makeProblem(composition, commonSizes, selector);
    const { v } = problem.inputs;
    const other = normals(random("other values", selector), v.shape);
    const sum = { ...v, data: v.data.map((value, place) => value + other.data[place]) };
    const double = { ...v, data: v.data.map((value) => 2 * value) };
    const outOf = async (values: Tensor): Promise<Tensor> =>
      (await bench.forward(withInputs(problem, { v: values }))).out;
    const first = await outOf(v);
    const second = await outOf(other);
    const added = { ...first, data: first.data.map((value, place) => value + second.data[place]) };
    expectClose("f(v + v')", await outOf(sum), added, 2 * bench.tolerances.forward);
    expectSame("f(2v)", await outOf(double), { ...first, data: first.data.map((value) => 2 * value) });
  },
};

export const valueDependence: Law = {
  name: "every row that has a key depends on the values",
  async check(bench, composition, selector) {
    const problem = makeProblem(composition, commonSizes, selector);
    const { v } = problem.inputs;
    const first = await bench.forward(problem, ["weights"]);
    const shifted = { ...v, data: v.data.map((value) => value + 1) };
    const second = await bench.forward(withInputs(problem, { v: shifted }));
    const { keys, valueWidth } = commonSizes;
    const rows = first.out.data.length / valueWidth;
    const weightless = Array.from({ length: rows }, (_, row) =>
      first.weights!.data.subarray(row * keys, (row + 1) * keys).every((weight) => weight === 0),
    );
    expect(weightless.filter((isWeightless) => isWeightless).length).toBeLessThan(rows / 2);
    for (let row = 0; row < rows; row++) {
      if (weightless[row]) continue;
      const [a, b] = [first, second].map(({ out }) =>
        out.data.slice(row * valueWidth, (row + 1) * valueWidth),
      );
      expect([...a], `row ${row}`).not.toEqual([...b]);
    }
  },
};

export const sharedKeys: Law = {
  name: "query heads that share keys give what repeated keys give",
  async check(bench, composition, selector) {
    const problem = makeProblem(composition, commonSizes, selector);
    const { k, v } = problem.inputs;
    const groups = [0, 0, 1, 1];
    const repeated = withInputs(problem, { k: taken(k, 1, groups), v: taken(v, 1, groups) });
    const [shared, separate] = [await bench.forward(problem), await bench.forward(repeated)];
    expectClose("the output", shared.out, separate.out, bench.tolerances.forward);
    const [ofShared, ofSeparate] = [
      await bench.backward(problem, shared),
      await bench.backward(repeated, separate),
    ];
    for (const name of ["dk", "dv"] as const) {
      const [even, odd] = [taken(ofSeparate[name], 1, [0, 2]), taken(ofSeparate[name], 1, [1, 3])];
      const summed = { ...even, data: even.data.map((value, place) => value + odd.data[place]) };
      expectClose(name, ofShared[name], summed, bench.tolerances.gradient);
    }
    expectClose("dq", ofShared.dq, ofSeparate.dq, bench.tolerances.gradient);
  },
};

/** Without positions and patterns, keys are a set and queries do not know of each other. */
export const permutation: Law = {
  name: "without positions, permuting keys with their values changes nothing, permuting queries permutes the output",
  // Chunks of a bucket and blocks are made of places.
  appliesTo: ({ selection }) => selection.choose === undefined,
  async check(bench, composition, selector) {
    const setComposition = { ...composition, position: nope(), patterns: [full()] };
    const problem = makeProblem(setComposition, commonSizes, selector);
    const { q, k, v, mask, bias } = problem.inputs;
    const keyOrder = [...random("keys", selector).distinct(commonSizes.keys, commonSizes.keys)];
    const queryOrder = [...random("queries", selector).distinct(commonSizes.queries, commonSizes.queries)];
    const movedPairs = <T extends Tensor | MaskTensor>(pairs: T): T =>
      taken(taken(pairs, 2, queryOrder), 3, keyOrder);
    const moved = withInputs(problem, {
      q: taken(q, 2, queryOrder),
      k: taken(k, 2, keyOrder),
      v: taken(v, 2, keyOrder),
      mask: movedPairs(mask!),
      bias: movedPairs(bias!),
    });
    const turned = { ...moved, dOut: taken(problem.dOut, 2, queryOrder) };
    const { forward, gradient } = bench.tolerances;
    const [a, b] = [await bench.forward(problem), await bench.forward(turned)];
    expectClose("the output", b.out, taken(a.out, 2, queryOrder), forward);
    const [da, db] = [await bench.backward(problem, a), await bench.backward(turned, b)];
    expectClose("dq", db.dq, taken(da.dq, 2, queryOrder), gradient);
    expectClose("dk", db.dk, taken(da.dk, 2, keyOrder), gradient);
    expectClose("dv", db.dv, taken(da.dv, 2, keyOrder), gradient);
  },
};

export const repeatability: Law = {
  name: "the same call gives the same numbers and leaves its inputs as they are",
  async check(bench, composition, selector) {
    const problem = makeProblem(composition, commonSizes, selector);
    const { q, k, v, mask, bias, parameters } = problem.inputs;
    const tensors = { q, k, v, mask, bias, dOut: problem.dOut, ...parameters };
    const before = Object.entries(tensors).map(
      ([name, tensor]) => [name, edited(tensor as Tensor, (x) => x)] as const,
    );
    const [first, second] = [await bench.forward(problem), await bench.forward(problem)];
    const [gradients, again] = [await bench.backward(problem, first), await bench.backward(problem, second)];
    expectSame("the output", second.out, first.out);
    expectSame("dq", again.dq, gradients.dq);
    expectSame("dk", again.dk, gradients.dk);
    for (const [name, copy] of before) {
      expect(
        relativeDistance(tensors[name as keyof typeof tensors] as Tensor, copy),
        `change of ${name}`,
      ).toBe(0);
    }
  },
};

export const lawsOfValues: readonly Law[] = [
  valueLinearity,
  valueDependence,
  sharedKeys,
  permutation,
  repeatability,
];
