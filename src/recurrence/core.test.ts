/** @file What the core refuses, and in which words. */
import { describe, expect, it } from "vitest";
import { tensor64, zeros64 } from "../base/tensor.ts";
import { cores, randomCall } from "./core-fixtures.ts";
import { checkCoreInputs } from "./core.ts";

const core = cores["channel correction bonus raw"];
const call = randomCall(core, "refusals", { tokens: 4, heads: 2 });

describe("inputs of the core", () => {
  it("are measured", () => {
    expect(checkCoreInputs(core, call)).toEqual({
      batch: 1,
      heads: 2,
      tokens: 4,
      width: 3,
      valueWidth: 2,
      stateWidth: 2,
    });
  });

  it.each([
    ["a term left out", { ...call, a: undefined }, "missing-input"],
    ["a wrong width", { ...call, k: zeros64([1, 2, 4, 5]) }, "recurrence-shape"],
    ["a wrong length", { ...call, v: zeros64([1, 2, 5, 2]) }, "recurrence-shape"],
    ["heads that do not divide", { ...call, k: zeros64([1, 3, 4, 3]) }, "heads"],
    ["a wrong state", { ...call, state: zeros64([1, 2, 3, 3]) }, "recurrence-shape"],
    ["a decay of heads", { ...call, logDecay: zeros64([1, 2, 4]) }, "recurrence-shape"],
    [
      "a growing decay",
      { ...call, logDecay: tensor64(new Float64Array(24).fill(0.1), [1, 2, 4, 3]) },
      "decay-domain",
    ],
    ["an empty extent", { ...call, q: zeros64([1, 2, 0, 3]) }, "recurrence-shape"],
    ["data too short", { ...call, u: { data: new Float64Array(5), shape: [2, 3] } }, "tensor-size"],
    ["infinities", { ...call, v: tensor64(new Float64Array(16).fill(Infinity), [1, 2, 4, 2]) }, "not-finite"],
  ])("refuse %s", (_, inputs, code) => {
    expect(() => checkCoreInputs(core, inputs as typeof call)).toThrow(expect.objectContaining({ code }));
  });

  it("refuse a term that the update does not have", () => {
    expect(() => checkCoreInputs(cores["none sum after raw"], call)).toThrow(
      expect.objectContaining({ code: "unused-input" }),
    );
  });
});
