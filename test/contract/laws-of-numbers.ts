/** @file Laws about the numbers themselves: equal to the reference, at every size, finite for every input. */
import fc from "fast-check";
import { expect } from "vitest";
import {
  type AttentionSizes,
  type Composition,
  parametersOf,
  referenceBackward,
  referenceForward,
  type Tensor,
  tensor64,
} from "../../src/index.ts";
import { expectClose, expectFinite } from "./comparison.ts";
import { type Bench, benchOf, type Law, namedGradients, type Tolerances, withInputs } from "./law.ts";
import { commonSizes, edited, makeProblem, type Problem } from "./problem.ts";

/** Asserts that a call gives what the reference gives: outputs, what can be returned beside them, all gradients. */
async function expectReference(bench: Bench, problem: Problem): Promise<void> {
  const { composition, inputs, dOut } = problem;
  const { forward, gradient } = bench.tolerances;
  const options = { guard: bench.guard };
  const expected = referenceForward(composition, inputs, options);
  const isSoftmax = composition.normaliser.name === "softmax";
  const actual = await bench.forward(problem, isSoftmax ? ["scores", "weights", "lse"] : ["scores", "weights"]);
  expectClose("out", actual.out, expected.out, forward);
  expectClose("scores", actual.scores, expected.scores, forward);
  expectClose("weights", actual.weights, expected.weights, forward);
  if (expected.lse !== undefined) expectClose("lse", actual.lse, expected.lse, forward);

  const { dBias, dParameters, ...ofInputs } = referenceBackward(
    composition,
    inputs,
    tensor64(dOut.data, dOut.shape),
    options,
  );
  const gradients = new Map(namedGradients(await bench.backward(problem)));
  const wanted = { ...ofInputs, ...(dBias === undefined ? {} : { dBias }), ...dParameters };
  for (const [name, value] of Object.entries(wanted)) expectClose(name, gradients.get(name), value, gradient);
}

export const equalsReference: Law = {
  name: "outputs and gradients are those of the f64 reference",
  check: (bench, composition, selector) => expectReference(bench, makeProblem(composition, commonSizes, selector)),
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
  "of size 1e4": (value) => Math.max(-1e4, Math.min(1e4, 5e3 * value)),
  zero: () => 0,
  "all the same": (_, [, , , coordinate]) => (coordinate + 1) / 8,
  "all the same and of size 1e4": () => 1e4,
  denormal: (value) => Math.fround(1e-41 * value),
  "huge and tiny by turns": (value, [, , row]) => (row % 2 === 0 ? 5e3 : 1e-20) * value,
};

/** The one formula that may leave float32: it is the exponential of a score. `attention()` refuses such outputs. */
const overflows = ({ normaliser }: Composition): boolean => normaliser.name === "none" && normaliser.nonNegative;

export const finiteness: Law = {
  name: "there is no NaN or infinity for inputs of size up to 1e4, zeros, duplicates and denormals",
  async check(bench, composition, selector) {
    for (const [name, change] of Object.entries(extremes)) {
      const isLarge = /1e4|huge/.test(name);
      if (isLarge && overflows(composition)) continue;
      const problem = makeProblem(composition, commonSizes, selector);
      const { q, k, v } = problem.inputs;
      const extreme = withInputs(problem, { q: edited(q, change), k: edited(k, change), v: edited(v, change) });
      const { out, weights } = await bench.forward(extreme, ["weights"]);
      expectFinite(`the output for inputs ${name}`, out);
      expectFinite(`the weights for inputs ${name}`, weights!);
      for (const [gradient, value] of namedGradients(await bench.backward(extreme))) {
        expectFinite(`${gradient} for inputs ${name}`, value);
      }
    }
  },
};

export const lawsOfNumbers: readonly Law[] = [equalsReference, gradientNames, finiteness];

/** Sizes that no tile divides, and those around the usual tiles. */
const lengths = [1, 3, 17, 63, 64, 65, 100];
const widths = [1, 3, 8, 16, 33, 64, 128];

/** Whether the parts take this width at all: pairs need an even one, products a multiple of their members. */
export function takesWidth({ similarity, position }: Composition, width: number): boolean {
  try {
    similarity.terms(width);
    if (position.place === "rotation") position.pairs(width);
    return true;
  } catch {
    return false;
  }
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
      return isCheap && takesWidth(compositions[index].composition, width);
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
