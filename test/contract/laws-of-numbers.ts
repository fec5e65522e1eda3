/** @file Laws about the numbers themselves: equal to the reference, at every size, finite for every input. */
import fc from "fast-check";
import { expect } from "vitest";
import {
  type AttentionSizes,
  type Composition,
  parametersOf,
  random,
  referenceBackward,
  referenceForward,
  type Tensor,
  tensor64,
} from "../../src/index.ts";
import { expectClose, expectFinite, type Numbers, relativeDistance, zeroFloor } from "./comparison.ts";
import {
  type Bench,
  benchOf,
  type Law,
  namedGradients,
  neededExtras,
  type Tolerances,
  withInputs,
} from "./law.ts";
import { commonSizes, edited, makeProblem, type Problem } from "./problem.ts";

/** What of a call is compared beside the output and lse. */
export interface Compared {
  /** Scores and weights. */
  readonly pairs: boolean;
  readonly gradients: boolean;
}

/** How a call is compared. */
export interface Comparison {
  /** Default: all. */
  readonly compared?: Compared;
  /** The call as rounding could have it; default: inputs off by one rounding. */
  readonly perturbed?: (problem: Problem, ...keys: readonly (number | string)[]) => Problem;
  /** How many such calls, of which the farthest counts (default 1). */
  readonly draws?: number;
}

/** What the reference gives for a call: outputs, what can be returned beside them, all gradients. */
function referenceOf(
  { composition, inputs, dOut }: Problem,
  guard: number,
  compared: Compared,
): Readonly<Record<string, Numbers>> {
  const { out, scores, weights, lse } = referenceForward(composition, inputs, { guard });
  const forward = {
    out,
    ...(compared.pairs ? { scores, weights } : {}),
    ...(lse === undefined ? {} : { lse }),
  };
  if (!compared.gradients) return forward;
  const { dBias, dParameters, ...ofInputs } = referenceBackward(
    composition,
    inputs,
    tensor64(dOut.data, dOut.shape),
    { guard },
  );
  return {
    ...forward,
    ...ofInputs,
    ...(dBias === undefined ? {} : { dBias }),
    ...dParameters,
  };
}

/** The call with every number of q, k, v and the parameters off by one rounding to float32, up or down. */
export function nudged(problem: Problem, ...keys: readonly (number | string)[]): Problem {
  const stream = random("nudged", ...keys);
  const nudge = (tensor: Tensor): Tensor =>
    edited(tensor, (value) => value * (1 + (stream.uniform() < 0.5 ? 2 ** -23 : -(2 ** -23))));
  const { q, k, v, parameters = {} } = problem.inputs;
  return withInputs(problem, {
    q: nudge(q),
    k: nudge(k),
    v: nudge(v),
    parameters: Object.fromEntries(Object.entries(parameters).map(([name, tensor]) => [name, nudge(tensor)])),
  });
}

/** How many times what one rounding of the inputs does a backend may be off beside its tolerance. */
const conditionFactor = 16;

/**
 * Below this, numbers of a tensor count as noise around zero. The gradient of a parameter is a sum over all pairs of a head,
 * of either sign: its noise grows as their root.
 */
export function floorOf({ inputs: { q, k, parameters = {} } }: Problem, name: string): number {
  const pairs = q.shape[0] * q.shape[2] * k.shape[2];
  return Object.hasOwn(parameters, name) ? zeroFloor * Math.sqrt(pairs) : zeroFloor;
}

/**
 * Asserts that a call gives what the reference gives, up to the bench's tolerances and the call's own condition: where a
 * formula multiplies the rounding of its inputs (angles of far hyperbolic points, sums that cancel), nobody can do better.
 */
export async function expectReference(
  bench: Bench,
  problem: Problem,
  { compared = { pairs: true, gradients: true }, perturbed = nudged, draws = 1 }: Comparison = {},
): Promise<void> {
  const expected = referenceOf(problem, bench.guard, compared);
  const pairs = compared.pairs ? (["scores", "weights"] as const) : [];
  const result = await bench.forward(problem, [...pairs, ...neededExtras(problem.composition)]);
  const gradients = compared.gradients ? namedGradients(await bench.backward(problem, result)) : [];
  const actual = new Map<string, Numbers>([...Object.entries(result), ...gradients]);
  let roundings: readonly Readonly<Record<string, Numbers>>[] | undefined;
  for (const [name, wanted] of Object.entries(expected)) {
    let tolerance = Object.hasOwn(result, name) ? bench.tolerances.forward : bench.tolerances.gradient;
    const floor = floorOf(problem, name);
    if (!(relativeDistance(actual.get(name) ?? nothing, wanted, floor) <= tolerance)) {
      roundings ??= Array.from({ length: draws }, (_, draw) =>
        referenceOf(perturbed(problem, ...problem.inputs.q.shape, draw), bench.guard, compared),
      );
      tolerance +=
        conditionFactor *
        Math.max(...roundings.map((rounded) => relativeDistance(rounded[name], wanted, floor)));
    }
    expectClose(name, actual.get(name), wanted, tolerance, floor);
  }
}

const nothing: Numbers = { data: [], shape: [] };

export const equalsReference: Law = {
  name: "outputs and gradients are those of the f64 reference",
  check: (bench, composition, selector) =>
    expectReference(bench, makeProblem(composition, commonSizes, selector)),
};

export const gradientNames: Law = {
  name: "there is one gradient for every input and every parameter, of its shape",
  async check(bench, composition, selector) {
    const problem = makeProblem(composition, commonSizes, selector);
    const { q, k, v, bias } = problem.inputs;
    const gradients = await bench.backward(problem);
    const shapes = (tensors: Readonly<Record<string, Tensor | undefined>>): unknown =>
      Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, tensor?.shape]));
    const { dq, dk, dv, dBias } = gradients;
    expect(shapes({ dq, dk, dv, dBias })).toEqual(shapes({ dq: q, dk: k, dv: v, dBias: bias! }));
    expect(shapes(gradients.dParameters)).toEqual(
      Object.fromEntries(parametersOf(composition).map(({ name, shape }) => [name, shape(commonSizes)])),
    );
  },
};

/** Inputs at the ends of what float32 tensors hold in practice. */
const extremes: Readonly<Record<string, (value: number, place: readonly number[]) => number>> = {
  // Two standard deviations reach the limit, so that many coordinates stand at it.
  "of size 1e4": (value) => Math.max(-1e4, Math.min(1e4, 5e3 * value)),
  zero: () => 0,
  "all the same": (_, [, , , coordinate]) => (coordinate + 1) / 8,
  "all the same and of size 1e4": () => 1e4,
  denormal: (value) => Math.fround(1e-41 * value),
  "huge and tiny by turns": (value, [, , row]) => (row % 2 === 0 ? 5e3 : 1e-20) * value,
};

/** The one formula that may leave float32: it is the exponential of a score. `attention()` refuses such outputs. */
const overflows = ({ normaliser }: Composition): boolean =>
  normaliser.name === "none" && normaliser.nonNegative;

export const finiteness: Law = {
  name: "there is no NaN or infinity for inputs of size up to 1e4, zeros, duplicates and denormals",
  async check(bench, composition, selector) {
    for (const [name, change] of Object.entries(extremes)) {
      const isLarge = /1e4|huge/.test(name);
      if (isLarge && overflows(composition)) continue;
      const problem = makeProblem(composition, commonSizes, selector);
      const { q, k, v } = problem.inputs;
      const extreme = withInputs(problem, {
        q: edited(q, change),
        k: edited(k, change),
        v: edited(v, change),
      });
      const result = await bench.forward(extreme, ["weights", ...neededExtras(composition)]);
      expectFinite(`the output for inputs ${name}`, result.out);
      expectFinite(`the weights for inputs ${name}`, result.weights!);
      for (const [gradient, value] of namedGradients(await bench.backward(extreme, result))) {
        expectFinite(`${gradient} for inputs ${name}`, value);
      }
    }
  },
};

export const lawsOfNumbers: readonly Law[] = [equalsReference, gradientNames, finiteness];

/** Sizes that no tile divides, and those around the usual tiles. */
const lengths = [1, 3, 17, 63, 64, 65, 100];
const widths = [1, 3, 8, 16, 33, 64, 128];

/**
 * Whether the parts take this width at all: pairs need an even one, products a multiple of their members. A unit vector
 * of one coordinate is a sign, whose gradient is all rounding, so that there is nothing to compare.
 */
export function takesWidth({ similarity, position }: Composition, width: number): boolean {
  if (similarity.space === "sphere" && width === 1) return false;
  try {
    similarity.terms(width);
    if (position.place === "rotation") position.pairs(width);
    return true;
  } catch {
    return false;
  }
}

/** Whether the parts take these lengths at all: to share a bucket with keys, queries must be among their places. */
export function takesLengths(
  { selection }: Composition,
  { queries, keys }: { readonly queries: number; readonly keys: number },
  offset: number = keys - queries,
): boolean {
  return selection.name !== "lsh" || (offset >= 0 && offset + queries <= keys);
}

/** Multiply-adds that one sampled call may cost the reference, so that a suite stays quick. */
const largestCost = 2e6;

/** Checks the reference's numbers at sampled sizes of Q, S, D and E, always the same sample. */
export async function checkSizes(
  bench: Bench,
  compositions: readonly { readonly selector: string; readonly composition: Composition }[],
  samples: number,
  tolerancesOf: (selector: string) => Tolerances | undefined,
): Promise<void> {
  const call = fc
    .record({
      index: fc.nat({ max: compositions.length - 1 }),
      queries: fc.constantFrom(...lengths),
      keys: fc.constantFrom(...lengths),
      width: fc.constantFrom(...widths),
      valueWidth: fc.constantFrom(...widths),
    })
    .filter(({ index, queries, keys, width, valueWidth }) => {
      const isCheap = queries * keys * (width + valueWidth) <= largestCost;
      const { composition } = compositions[index];
      return isCheap && takesWidth(composition, width) && takesLengths(composition, { queries, keys });
    });
  await fc.assert(
    fc.asyncProperty(call, async ({ index, ...extents }) => {
      const { selector, composition } = compositions[index];
      const tolerances = tolerancesOf(selector);
      if (tolerances === undefined) return;
      const sizes: AttentionSizes = { batch: 1, heads: 2, keyHeads: 1, ...extents };
      const problem = tempered(makeProblem(composition, sizes, selector));
      await expectReference(benchOf(bench.backend, tolerances, bench.guard), problem);
    }),
    { seed: 2, numRuns: samples, endOnFailure: true },
  );
}

/** Queries and keys of norm about 1 whatever the width, so that exponentials of raw scores stay in range. */
function tempered(problem: Problem): Problem {
  const { q, k } = problem.inputs;
  const shrink = (tensor: Tensor): Tensor => edited(tensor, (value) => value / Math.sqrt(tensor.shape[3]));
  return withInputs(problem, { q: shrink(q), k: shrink(k) });
}
