import { expect, test } from "vitest";
import { headParameter, positive, real } from "./parameter.ts";
import { random } from "./random.ts";

const sizes = { heads: 3, width: 16 };
const rule = positive((width) => 1 / Math.sqrt(width), 100);

test("without an option a parameter is fixed at its default, one number per head", () => {
  const parameter = headParameter("beta", rule);
  expect(parameter).toMatchObject({ name: "beta", mode: "fixed", domain: "positive", maximum: 100 });
  expect(parameter.shape(sizes)).toEqual([3]);
  expect(parameter.initial(sizes, random(0))).toEqual(new Float64Array([0.25, 0.25, 0.25]));
});

test("a number fixes it at that number", () => {
  const parameter = headParameter("beta", rule, 2);
  expect(parameter.mode).toBe("fixed");
  expect(parameter.initial(sizes, random(0))).toEqual(new Float64Array([2, 2, 2]));
});

test.each(["learned", "auto"])("%s starts from the default and is then learned", (mode) => {
  const parameter = headParameter("beta", rule, mode);
  expect(parameter.mode).toBe(mode);
  expect(parameter.initial(sizes, random(0))).toEqual(new Float64Array([0.25, 0.25, 0.25]));
});

test("a parameter of any sign has no bound unless one is given", () => {
  expect(headParameter("sink", real(-1))).not.toHaveProperty("maximum");
  expect(headParameter("sink", real(-1)).domain).toBe("real");
});
