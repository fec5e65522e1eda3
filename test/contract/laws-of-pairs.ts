/** @file Laws about which pairs take part: causality, masks, key lengths, places of queries. */
import { expect } from "vitest";
import { causal, type Composition, full, intersect, type MaskTensor, sizeOf } from "../../src/index.ts";
import { expectClose, expectSame, expectZeros } from "./comparison.ts";
import { type Law, namedGradients, withInputs } from "./law.ts";
import { commonSizes, edited, makeProblem, squareSizes, taken } from "./problem.ts";

const changed = (value: number): number => 3 - value;

/** The forbidden pairs of a row say nothing: not even through rounding. */
export const causality: Law = {
  name: "changing a token leaves the outputs before it as they are, bit for bit",
  appliesTo: ({ patterns }) => intersect(patterns).causal,
  async check(bench, composition, selector) {
    const problem = makeProblem(composition, squareSizes, selector);
    const token = 3;
    const edit = (tensor: typeof problem.dOut): typeof problem.dOut =>
      edited(tensor, (value, [, , place]) => (place === token ? changed(value) : value));
    const { q, k, v } = problem.inputs;
    const before = [0, 1, 2];
    const first = await bench.forward(problem);
    const second = await bench.forward(withInputs(problem, { q: edit(q), k: edit(k), v: edit(v) }));
    expectSame("the output before the token", taken(second.out, 2, before), taken(first.out, 2, before));

    const dOut = edited(problem.dOut, (value, [, , place]) => (place < token ? value : 0));
    const { dk, dv } = await bench.backward({ ...problem, dOut }, first);
    const after = [3, 4, 5, 6];
    expectZeros("dk of tokens after all queries with a gradient", taken(dk, 2, after));
    expectZeros("dv of tokens after all queries with a gradient", taken(dv, 2, after));
  },
};

export const maskedRows: Law = {
  name: "a row without keys gives zeros and lse −∞, and has no gradient",
  async check(bench, composition, selector) {
    const problem = makeProblem(composition, commonSizes, selector);
    const row = 1;
    const mask = edited(problem.inputs.mask!, (value, [, , query]) => (query === row ? 0 : value));
    const masked = withInputs(problem, { mask });
    const isSoftmax = composition.normaliser.name === "softmax";
    const result = await bench.forward(masked, isSoftmax ? ["weights", "lse"] : ["weights"]);
    const { out, weights, lse } = result;
    expectZeros("the output of the row", taken(out, 2, [row]));
    expectZeros("the weights of the row", taken(weights!, 2, [row]));
    if (isSoftmax) expect([...taken(lse!, 2, [row]).data].every((value) => value === -Infinity)).toBe(true);

    const gradients = await bench.backward(masked, result);
    const dOut = edited(problem.dOut, (value, [, , query]) => (query === row ? 1e3 * value + 7 : value));
    const others = new Map(namedGradients(await bench.backward({ ...masked, dOut }, result)));
    expectZeros("dq of the row", taken(gradients.dq, 2, [row]));
    for (const [name, gradient] of namedGradients(gradients)) {
      expectSame(`${name} whatever the gradient of the row`, others.get(name)!, gradient);
    }
  },
};

export const keyLengths: Law = {
  name: "keys beyond a batch entry's length have no influence, and length 0 gives zeros",
  async check(bench, composition, selector) {
    const length = 4;
    const problem = withInputs(makeProblem(composition, commonSizes, selector), {
      keyLengths: [length, commonSizes.keys],
    });
    const { k, v } = problem.inputs;
    const edit = (tensor: typeof k): typeof k =>
      edited(tensor, (value, [batch, , key]) => (batch === 0 && key >= length ? changed(value) : value));
    const first = await bench.forward(problem);
    const second = await bench.forward(withInputs(problem, { k: edit(k), v: edit(v) }));
    expectSame("the output", second.out, first.out);
    const { dk, dv } = await bench.backward(problem, first);
    const beyond = [4, 5, 6];
    expectZeros("dk beyond the length", taken(taken(dk, 0, [0]), 2, beyond));
    expectZeros("dv beyond the length", taken(taken(dv, 0, [0]), 2, beyond));
    const empty = await bench.forward(withInputs(problem, { keyLengths: [0, commonSizes.keys] }));
    expectZeros("the output of the empty batch entry", taken(empty.out, 0, [0]));
  },
};

/** What a mask must hold for `full` to allow what the patterns allow. */
function maskOf({ patterns }: Composition, own: MaskTensor, offset: number): MaskTensor {
  const pattern = intersect(patterns);
  return edited(own, (value, [, , query, key]) => (pattern.allows(query + offset, key) ? value : 0));
}

export const patternIsMask: Law = {
  name: "a pattern is the same as a mask of its allowed pairs",
  async check(bench, composition, selector) {
    const problem = makeProblem(composition, commonSizes, selector);
    const { mask, offset = 0 } = problem.inputs;
    const masked = withInputs(
      { ...problem, composition: { ...composition, patterns: [full()] } },
      { mask: maskOf(composition, mask!, offset) },
    );
    const [byPattern, byMask] = [await bench.forward(problem), await bench.forward(masked)];
    expectClose("the output", byMask.out, byPattern.out, bench.tolerances.forward);
  },
};

export const decoding: Law = {
  name: "the last query alone, placed by its offset, is the last row of the whole call",
  async check(bench, composition, selector) {
    const problem = makeProblem(composition, squareSizes, selector);
    const { q, mask, bias } = problem.inputs;
    const last = [squareSizes.queries - 1];
    const alone = withInputs(problem, {
      q: taken(q, 2, last),
      mask: taken(mask!, 2, last),
      bias: taken(bias!, 2, last),
      offset: squareSizes.keys - 1,
    });
    const [whole, row] = [await bench.forward(problem), await bench.forward(alone)];
    expectClose("the row", row.out, taken(whole.out, 2, last), bench.tolerances.forward);
  },
};

/** A causal decoder sees no difference between keys that are not there yet and keys that are masked by their place. */
export const cache: Law = {
  name: "a causal query needs only the keys up to its own place",
  // A sigmoid's bias −ln S and the centre of xPos know the number of keys; both are told by the caller, not hidden.
  appliesTo: ({ patterns, normaliser, position }) =>
    intersect(patterns).causal &&
    !(normaliser.name === "sigmoid" && normaliser.options["bias"] !== -1) &&
    !(position.place === "rotation" && position.decay !== undefined),
  async check(bench, composition, selector) {
    const problem = makeProblem(
      { ...composition, patterns: [...composition.patterns, causal()] },
      squareSizes,
      selector,
    );
    const place = 4;
    const present = [0, 1, 2, 3, 4];
    const { q, k, v, mask, bias } = problem.inputs;
    const alone = withInputs(problem, {
      q: taken(q, 2, [place]),
      k: taken(k, 2, present),
      v: taken(v, 2, present),
      mask: taken(taken(mask!, 2, [place]), 3, present),
      bias: taken(taken(bias!, 2, [place]), 3, present),
      offset: place,
    });
    const [whole, row] = [await bench.forward(problem), await bench.forward(alone)];
    expectClose("the row", row.out, taken(whole.out, 2, [place]), bench.tolerances.forward);
  },
};

export const noLeaks: Law = {
  name: "batch entries and heads do not mix",
  async check(bench, composition, selector) {
    const problem = makeProblem(composition, commonSizes, selector);
    const { q, k, v } = problem.inputs;
    const edit = (tensor: typeof q, head: number): typeof q =>
      edited(tensor, (value, [batch, h]) => (batch === 1 && h === head ? changed(value) : value));
    const first = await bench.forward(problem);
    const second = await bench.forward(withInputs(problem, { q: edit(q, 3), k: edit(k, 1), v: edit(v, 1) }));
    expectSame("the other batch entry", taken(second.out, 0, [0]), taken(first.out, 0, [0]));
    expectSame("heads of other keys", taken(second.out, 1, [0, 1]), taken(first.out, 1, [0, 1]));
    expect(sizeOf(second.out.shape)).toBe(second.out.data.length);
  },
};

export const lawsOfPairs: readonly Law[] = [
  causality,
  maskedRows,
  keyLengths,
  patternIsMask,
  decoding,
  cache,
  noLeaks,
];
