/** @file Derivatives from the outside in against those variable by variable. */
import { expect, test } from "vitest";
import { random } from "../../base/random.ts";
import {
  abs,
  derivative,
  evaluate,
  type Expression,
  max,
  min,
  tanh,
  variable,
  variablesOf,
} from "../../score/index.ts";
import { similarities, similarity } from "../../similarities/index.ts";
import { slopesOf } from "./slopes.ts";

const written = similarities
  .filter(({ definition }) => definition.selector !== "product")
  .map((make) => ({ name: make.definition.selector, score: make().score }));
const kinks = similarity("kinks", {
  inner: "dot",
  score: ({ s, q2, k2 }) => max(min(s, q2), abs(k2).mul(s)).add(tanh(s.mul(k2)).mul(s)),
})();

/** Both orders round differently, by a few units of float64's last place for each of some thirty operations. */
const ROUNDING = 1e-12;

test.each([...written, kinks])(
  "the slopes of $name are its derivatives",
  ({ score }: { readonly score: Expression }) => {
    const names = [...variablesOf(score)];
    const slopes = slopesOf(score, names);
    const stream = random("slopes");
    for (let draw = 0; draw < 20; draw++) {
      const bindings = Object.fromEntries(names.map((name) => [name, 0.2 + Math.abs(stream.normal())]));
      names.forEach((name, index) => {
        const expected = evaluate(derivative(score, name), bindings);
        const distance = Math.abs(evaluate(slopes[index], bindings) - expected);
        expect(distance, `∂/∂${name}`).toBeLessThanOrEqual(ROUNDING * Math.max(1, Math.abs(expected)));
      });
    }
  },
);

test("a variable that does not occur has slope zero", () => {
  const [slope] = slopesOf(variable("s").mul(2), ["q2"]);
  expect(evaluate(slope, {})).toBe(0);
});
