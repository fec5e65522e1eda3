/** @file Laws about gradients alone: what they must not depend on, and what they are linear in. */
import { intersect, random, type Tensor } from "../../src/index.ts";
import { expectClose, expectSame, type Numbers } from "./comparison.ts";
import { type Law, namedGradients, withInputs } from "./law.ts";
import { floorOf } from "./laws-of-numbers.ts";
import { commonSizes, edited, makeProblem, normals, squareSizes, taken } from "./problem.ts";

const doubled = <T extends Numbers & { readonly data: Float32Array }>(tensor: T): T => ({
  ...tensor,
  data: tensor.data.map((value) => 2 * value),
});

const sizeOfLargest = ({ data }: Tensor): number =>
  data.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);

export const outGradientLinearity: Law = {
  name: "gradients are linear in the gradient of the output",
  async check(bench, composition, selector) {
    const problem = makeProblem(composition, commonSizes, selector);
    const { dOut } = problem;
    const other = normals(random("other gradient", selector), dOut.shape);
    const sum = { ...dOut, data: dOut.data.map((value, place) => value + other.data[place]) };
    const result = await bench.forward(problem);
    const of = async (gradient: Tensor): Promise<Map<string, Tensor>> =>
      new Map(namedGradients(await bench.backward({ ...problem, dOut: gradient }, result)));
    const [first, second, added, twice] = [
      await of(dOut),
      await of(other),
      await of(sum),
      await of(doubled(dOut)),
    ];
    for (const [name, gradient] of first) {
      // A power of two is no rounding.
      expectSame(`${name} of twice the gradient`, twice.get(name)!, doubled(gradient));
      const parts = second.get(name)!;
      const wanted = { ...gradient, data: gradient.data.map((value, place) => value + parts.data[place]) };
      // Each part is as exact as its own size, whatever cancels in their sum.
      const floor = Math.max(floorOf(problem, name), sizeOfLargest(gradient), sizeOfLargest(parts));
      expectClose(`${name} of a sum`, added.get(name), wanted, 2 * bench.tolerances.gradient, floor);
    }
  },
};

export const valueGradients: Law = {
  name: "the gradient of values does not depend on them, and those of queries and keys are linear in them",
  appliesTo: ({ aggregation }) => aggregation.name === "mean",
  async check(bench, composition, selector) {
    const problem = makeProblem(composition, commonSizes, selector);
    const { v } = problem.inputs;
    const other = withInputs(problem, { v: normals(random("other values", selector), v.shape) });
    const [first, second, twice] = [
      await bench.backward(problem),
      await bench.backward(other),
      await bench.backward(withInputs(problem, { v: doubled(v) })),
    ];
    expectSame("dv", second.dv, first.dv);
    expectSame("dq of twice the values", twice.dq, doubled(first.dq));
    expectSame("dk of twice the values", twice.dk, doubled(first.dk));
  },
};

export const causalGradients: Law = {
  name: "changing a token leaves the gradients of queries before it as they are, bit for bit",
  appliesTo: ({ patterns }) => intersect(patterns).causal,
  async check(bench, composition, selector) {
    const problem = makeProblem(composition, squareSizes, selector);
    const token = 3;
    const before = [0, 1, 2];
    const edit = (tensor: Tensor): Tensor =>
      edited(tensor, (value, [, , place]) => (place === token ? 3 - value : value));
    const { q, k, v } = problem.inputs;
    const first = await bench.backward(problem);
    const changed = withInputs(problem, { q: edit(q), k: edit(k), v: edit(v) });
    const second = await bench.backward({ ...changed, dOut: edit(problem.dOut) });
    expectSame("dq before the token", taken(second.dq, 2, before), taken(first.dq, 2, before));
  },
};

export const lawsOfGradients: readonly Law[] = [outGradientLinearity, valueGradients, causalGradients];
