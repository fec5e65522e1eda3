import { expect, test } from "vitest";
import { pairScore } from "../../attention/pair-score.ts";
import { parseSelector } from "../../attention/index.ts";
import { random } from "../../base/index.ts";
import { guards } from "../../similarities/index.ts";
import { embeddingKernel } from "./embedding-kernel.ts";

/** Both forms compute the same f64 formula; only the order of a sum's terms may differ. */
const f64Reordering = 1e-12;

const selectors = [
  "dot",
  "l2",
  "rbf",
  "l1",
  "cauchy",
  "cosine",
  "lorentz",
  "lorentz-distance",
  "poincare",
  "complex",
  "complex:part=im",
  "complex:part=abs",
  "tropical",
  "product:members=l2/poincare(c=2)",
];

test.each(selectors)("%s: the emitted kernel equals the reference's pair score and gradient", (selector) => {
  const { similarity } = parseSelector(selector);
  for (const width of [2, 4, 10]) {
    const draws = random("embedding-kernel", selector, width);
    const table = Float64Array.from(draws.normals(3 * width));
    const reference = pairScore(similarity, width, guards.f64);
    const kernel = embeddingKernel(similarity, width);
    const parameters = Float64Array.from(kernel.parameterNames, () => 0.5 + draws.uniform());
    expect(reference.parameterNames).toEqual(kernel.parameterNames);
    const head = { queries: table, keys: table };
    const expected = reference.score(head, 2, 0, parameters);
    expect(Math.abs(kernel.score(table, 2, 0, parameters) - expected)).toBeLessThanOrEqual(
      f64Reordering * (1 + Math.abs(expected)),
    );
    const wanted = { queries: new Float64Array(table.length), keys: new Float64Array(table.length) };
    const wantedParameters = new Float64Array(parameters.length);
    reference.accumulate(1.5, head, 2, 0, parameters, wanted, wantedParameters);
    const gradient = new Float64Array(table.length);
    const parameterGradient = new Float64Array(parameters.length);
    const slopes = new Float64Array(1 + kernel.slopeCount);
    expect(kernel.scoreWithSlopes(table, 2, 0, parameters, slopes, 1)).toBe(
      kernel.score(table, 2, 0, parameters),
    );
    kernel.accumulate(1.5, table, 2, 0, slopes, 1, gradient, parameterGradient);
    gradient.forEach((value, flat) => {
      const sum = wanted.queries[flat] + wanted.keys[flat];
      expect(Math.abs(value - sum)).toBeLessThanOrEqual(f64Reordering * (1 + Math.abs(sum)));
    });
    parameterGradient.forEach((value, index) => {
      expect(Math.abs(value - wantedParameters[index])).toBeLessThanOrEqual(
        f64Reordering * (1 + Math.abs(wantedParameters[index])),
      );
    });
  }
});

test("a metric per coordinate is refused with the cure", () => {
  expect(() => embeddingKernel(parseSelector("mahalanobis").similarity, 4)).toThrow(/Use l2/);
});
