/** @file Laws between attentions: different words for the same numbers, and motions that leave them as they are. */
import {
  applyMatrix,
  type Composition,
  dot,
  full,
  intersect,
  moba,
  nope,
  random,
  randomLorentzBoost,
  type Tensor,
  topk,
} from "../../src/index.ts";
import { expectClose, expectZeros } from "./comparison.ts";
import { type Bench, type Law, withInputs } from "./law.ts";
import { commonSizes, edited, makeProblem, type Problem, taken } from "./problem.ts";

/** Asserts that two calls have the same output and the same gradients of queries, keys and values. */
async function expectEqualCalls(bench: Bench, actual: Problem, expected: Problem): Promise<void> {
  const [a, b] = [await bench.forward(actual), await bench.forward(expected)];
  expectClose("the output", a.out, b.out, bench.tolerances.forward);
  const [ga, gb] = [await bench.backward(actual, a), await bench.backward(expected, b)];
  for (const name of ["dq", "dk", "dv"] as const) {
    expectClose(name, ga[name], gb[name], bench.tolerances.gradient);
  }
}

export const keepingAll: Law = {
  name: "top-k of as many keys as there are is dense",
  appliesTo: ({ selection }) => selection.name === "all",
  async check(bench, composition, selector) {
    const problem = makeProblem(composition, commonSizes, selector);
    const selection = topk({ k: commonSizes.keys });
    await expectEqualCalls(bench, { ...problem, composition: { ...composition, selection } }, problem);
  },
};

export const keepingAllBlocks: Law = {
  name: "as many blocks as there are, beside the own one, are dense",
  appliesTo: ({ selection, patterns }) => selection.name === "all" && intersect(patterns).causal,
  async check(bench, composition, selector) {
    const problem = makeProblem(composition, commonSizes, selector);
    const selection = moba({ block: 2, k: commonSizes.keys });
    await expectEqualCalls(bench, { ...problem, composition: { ...composition, selection } }, problem);
  },
};

/** Whether scores alone decide which keys are kept, so that what moves all vectors alike changes nothing. */
const selectsByScores = ({ selection }: Composition): boolean => selection.choose === undefined;

export const keyBias: Law = {
  name: "under softmax l2 is dot with the key bias −β‖k‖²",
  // A sink's score is no score of a pair: what a row shares counts against it. Top-k sees the order within a row alone.
  // A rotation that lengthens keys, as yarn's does, changes the norms that the bias is made of.
  appliesTo: ({ similarity, normaliser, position }) =>
    similarity.name === "l2" &&
    normaliser.shiftInvariant &&
    !(position.place === "rotation" && position.amplitude !== 1),
  async check(bench, composition, selector) {
    const problem = makeProblem(composition, commonSizes, selector);
    const { k, bias, parameters = {} } = problem.inputs;
    const { beta, ...rest } = parameters;
    const { batch, heads, keyHeads, queries, keys, width } = commonSizes;
    const empty: Tensor = {
      data: new Float32Array(batch * heads * queries * keys),
      shape: [batch, heads, queries, keys],
    };
    const withNorms = edited(empty, (_, [b, h, query, key]) => {
      const at = ((b * keyHeads + Math.floor((h * keyHeads) / heads)) * keys + key) * width;
      const square = k.data.subarray(at, at + width).reduce((sum, x) => sum + x * x, 0);
      return bias!.data[(h * queries + query) * keys + key] - beta.data[h] * square;
    });
    const asDot = withInputs(
      { ...problem, composition: { ...composition, similarity: dot() } },
      { bias: withNorms, parameters: { ...rest, scale: edited(beta, (value) => 2 * value) } },
    );
    const [a, b] = [await bench.forward(asDot), await bench.forward(problem)];
    expectClose("the output", a.out, b.out, bench.tolerances.forward);
    const [ga, gb] = [await bench.backward(asDot, a), await bench.backward(problem, b)];
    // dk of the bias is not part of the dot product's: queries and values see the weights alone.
    expectClose("dq", ga.dq, gb.dq, bench.tolerances.gradient);
    expectClose("dv", ga.dv, gb.dv, bench.tolerances.gradient);
  },
};

/** Rows of zeros before all others of the axis. */
function withZerosBefore<
  T extends { readonly data: Float32Array | Uint8Array; readonly shape: readonly number[] },
>(tensor: T, axis: number, count: number): T {
  const rows = tensor.shape[axis];
  const first = edited(
    taken(
      tensor,
      axis,
      Array.from({ length: count }, () => 0),
    ),
    () => 0,
  );
  const inner = tensor.shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const shape = tensor.shape.map((extent, a) => (a === axis ? extent + count : extent));
  const data = new (tensor.data.constructor as new (length: number) => T["data"])(
    shape.reduce((a, b) => a * b, 1),
  );
  const outer = tensor.data.length / (rows * inner);
  for (let block = 0; block < outer; block++) {
    data.set(
      first.data.subarray(block * count * inner, (block + 1) * count * inner),
      block * (rows + count) * inner,
    );
    data.set(
      tensor.data.subarray(block * rows * inner, (block + 1) * rows * inner),
      (block * (rows + count) + count) * inner,
    );
  }
  return { ...tensor, data, shape };
}

export const distanceOnly: Law = {
  name: "without patterns, moving all queries and keys by the same number of places changes nothing",
  // A sigmoid's bias −ln S and the centre of xPos know the number of keys; both are told by the caller, not hidden.
  // Hashing counts the keys of a bucket, and blocks begin at fixed places.
  appliesTo: (composition) => {
    const { normaliser, position } = composition;
    const knowsKeys = normaliser.name === "sigmoid" && normaliser.options["bias"] !== -1;
    const hasCentre = position.place === "rotation" && position.decay !== undefined;
    return selectsByScores(composition) && !knowsKeys && !hasCentre;
  },
  async check(bench, composition, selector) {
    const problem = makeProblem({ ...composition, patterns: [full()] }, commonSizes, selector);
    const by = 3;
    const { k, v, mask, bias, offset = 0 } = problem.inputs;
    const moved = withInputs(problem, {
      k: withZerosBefore(k, 2, by),
      v: withZerosBefore(v, 2, by),
      mask: withZerosBefore(mask!, 3, by),
      bias: withZerosBefore(bias!, 3, by),
      offset: offset + by,
    });
    const [a, b] = [await bench.forward(moved), await bench.forward(problem)];
    expectClose("the output", a.out, b.out, bench.tolerances.forward);
    const [ga, gb] = [await bench.backward(moved, a), await bench.backward(problem, b)];
    expectClose("dq", ga.dq, gb.dq, bench.tolerances.gradient);
    const places = Array.from({ length: commonSizes.keys }, (_, key) => key + by);
    for (const name of ["dk", "dv"] as const) {
      expectClose(name, taken(ga[name], 2, places), gb[name], bench.tolerances.gradient);
      expectZeros(`${name} of the places before`, taken(ga[name], 2, [0, 1, 2]));
    }
  },
};

export const boosts: Law = {
  name: "without position, scores of hyperbolic points are unchanged under a Lorentz boost of all of them",
  // What is chosen by the vectors depends on where their origin is.
  appliesTo: (composition) =>
    /^lorentz(-distance)?$/.test(composition.similarity.name) && selectsByScores(composition),
  async check(bench, composition, selector) {
    const problem = makeProblem({ ...composition, position: nope() }, commonSizes, selector);
    const { q, k, parameters } = problem.inputs;
    const [curvature] = parameters!["c"].data;
    const sameCurvature = edited(parameters!["c"], () => curvature);
    const { width } = commonSizes;
    const boost = randomLorentzBoost(random("boost", selector), width);
    const boosted = (points: Tensor): Tensor => {
      const data = points.data.slice();
      for (let at = 0; at < data.length; at += width) {
        const space = points.data.subarray(at, at + width);
        const time = Math.sqrt(1 / curvature + space.reduce((sum, x) => sum + x * x, 0));
        data.set(applyMatrix(boost, [time, ...space]).slice(1), at);
      }
      return { ...points, data };
    };
    const there = withInputs(problem, { parameters: { ...parameters, c: sameCurvature } });
    const here = withInputs(there, { q: boosted(q), k: boosted(k) });
    const [a, b] = [await bench.forward(here, ["scores"]), await bench.forward(there, ["scores"])];
    // Coordinates grow by e to the boost's rapidity, and rounding by its square: the inputs themselves are rounded.
    expectClose("the scores", a.scores, b.scores!, boostRounding * bench.tolerances.forward);
  },
};

/** (e^rapidity)² of a boost by about one. */
const boostRounding = 16;

export const lawsOfIdentities: readonly Law[] = [keepingAll, keepingAllBlocks, keyBias, distanceOnly, boosts];
