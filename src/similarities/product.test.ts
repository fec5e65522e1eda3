/** @file Products of similarities: names, defaults, what cannot be a member. */
import { describe, expect, test } from "vitest";
import { random } from "../base/random.ts";
import { product } from "./index.ts";

const code = (expected: string, name = "DomainError"): unknown =>
  expect.objectContaining({ name, code: expected });

describe("products", () => {
  test("rename parameters by member and give each its own default", () => {
    const made = product({ members: "l2/poincare(c=2;beta=learned)", weights: "fixed" });
    const values = made.parameters.map(({ name, mode, initial }) => [
      name,
      mode,
      initial({ heads: 1, width: 8 }, random(0))[0],
    ]);
    expect(values).toEqual([
      ["weight_0", "fixed", 1],
      ["weight_1", "fixed", 1],
      ["beta_0", "fixed", 1 / (2 * Math.sqrt(4))],
      ["beta_1", "learned", 1],
      ["c_1", "fixed", 2],
    ]);
  });

  test.each([
    { members: "l2", code: "product-members", kind: "UnsupportedError", says: /at least two/ },
    {
      members: "l2/mahalanobis",
      code: "product-members",
      kind: "UnsupportedError",
      says: /'l2' as the member/,
    },
    {
      members: "l2/cosine(beta=auto)",
      code: "product-members",
      kind: "UnsupportedError",
      says: /weights=auto/,
    },
    { members: "l2/cosin", code: "unknown-similarity", kind: "DomainError", says: /'cosine'/ },
    {
      members: "l2/product(members=l1)",
      code: "unknown-similarity",
      kind: "DomainError",
      says: /Did you mean/,
    },
    { members: "l2/", code: "unknown-similarity", kind: "DomainError", says: /Did you mean/ },
    { members: "l2/poincare(c=2=3)", code: "bad-selector", kind: "DomainError", says: /name=value/ },
    { members: "l2/poincare(c=2;c=3)", code: "bad-selector", kind: "DomainError", says: /once/ },
    { members: "l2/poincare(c)", code: "bad-selector", kind: "DomainError", says: /name=value/ },
    { members: "l2/poincare(k=2)", code: "unknown-option", kind: "DomainError", says: /it takes beta, c/ },
    { members: 5 as never, code: "bad-option", kind: "DomainError", says: /two or more/ },
  ])("refuse members $members", ({ members, code: expected, kind, says }) => {
    const make = (): unknown => product({ members });
    expect(make).toThrow(code(expected, kind));
    expect(make).toThrow(says);
  });
});
