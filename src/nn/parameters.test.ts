import { jit, numpy as np } from "@jax-js/jax";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { initialParameters } from "../attention/index.ts";
import { tensor64 } from "../base/tensor.ts";
import { startJax } from "../kernels/jax/start.ts";
import { compose } from "../attention/index.ts";
import { causal } from "../patterns/index.ts";
import { cosine, dot } from "../similarities/index.ts";
import { heldName, heldValues, holdValues, isTrained, valuesOf } from "./attention-parameters.ts";
import { normalWeights, residualDeviation, weightDeviation } from "./initialisation.ts";

/** A logarithm held in f32 is off by 2⁻²⁴ of its size, at most 7 here, and so is the value relatively. */
const relativeTolerance = 1e-6;

beforeAll(() => startJax());

describe("attention parameters as a model holds them", () => {
  const [beta] = cosine({ beta: "learned" }).parameters;

  test("a positive one is held as its logarithm and comes back", () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-3, max: 100, noNaN: true }), (value) => {
        const held = holdValues(beta, tensor64([value], [1]));
        expect(heldName(beta)).toBe("log_beta");
        expect(Math.abs(heldValues(beta, held).data[0] / value - 1)).toBeLessThan(relativeTolerance);
      }),
    );
  });

  test("its value in a stage is cut at its maximum", async () => {
    const values = jit((held: np.Array) => valuesOf(beta, held))(np.array([0, Math.log(50), 9]));
    const [one, fifty, cut] = await values.data();
    expect(one).toBe(1);
    expect(Math.abs(fifty / 50 - 1)).toBeLessThan(relativeTolerance);
    expect(Math.abs(cut / 100 - 1)).toBeLessThan(relativeTolerance);
  });

  test("fixed ones are not trained, calibrated and learned ones are", () => {
    expect(
      [dot(), dot({ scale: "auto" }), dot({ scale: "learned" })].map(({ parameters }) =>
        isTrained(parameters[0]),
      ),
    ).toEqual([false, true, true]);
  });

  test("the value of 1/√D survives being held", () => {
    const composition = compose({ similarity: dot({ scale: "learned" }), pattern: causal() });
    const { scale } = initialParameters(composition, { heads: 2, width: 16 });
    const [parameter] = composition.similarity.parameters;
    for (const value of heldValues(parameter, holdValues(parameter, scale)).data) {
      expect(Math.abs(value / 0.25 - 1)).toBeLessThan(relativeTolerance);
    }
  });
});

describe("weights before training", () => {
  const shape = [64, 64] as const;

  test("are the same for the same seed and name, and others for another of either", () => {
    const one = normalWeights(1, "a", shape, 1).data;
    expect(normalWeights(1, "a", shape, 1).data).toEqual(one);
    expect(normalWeights(2, "a", shape, 1).data).not.toEqual(one);
    expect(normalWeights(1, "b", shape, 1).data).not.toEqual(one);
  });

  test("spread by the deviation that was asked for", () => {
    const numbers = normalWeights(1, "a", shape, 0.3).data;
    const spread = Math.sqrt(numbers.reduce((sum, value) => sum + value ** 2, 0) / numbers.length);
    // 4096 draws estimate a deviation to 1/√8192 ≈ 1.1 %; 5 % is more than four of those.
    expect(Math.abs(spread / 0.3 - 1)).toBeLessThan(0.05);
  });

  test("are GPT-2's at its width, wider in narrower models, narrower into the residual stream", () => {
    expect(weightDeviation(768)).toBe(0.02);
    expect(weightDeviation(48)).toBeCloseTo(0.08, 12);
    expect(residualDeviation(768, 8)).toBeCloseTo(0.005, 12);
  });
});
