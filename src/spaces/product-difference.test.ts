import fc from "fast-check";
import { expect, test } from "vitest";
import { productDifference } from "./product-difference.ts";

// Whole numbers of up to 53 bits: their products are exact as BigInt, and rounded as f64.
const whole = fc.maxSafeInteger();
const nudge = fc.integer({ min: -3, max: 3 });

test("is the difference of the exact products to two roundings, for near products and for any", () => {
  const rows = fc.oneof(
    fc.tuple(whole, whole, whole, whole),
    fc.tuple(whole, nudge, nudge).map(([a, b, c]) => [a, a + b + c, a + b, a + c] as const),
    fc.tuple(whole, whole).map(([a, b]) => [a, b, b, a] as const),
  );
  fc.assert(
    fc.property(rows, ([a, b, c, d]) => {
      const exact = Number(BigInt(a) * BigInt(b) - BigInt(c) * BigInt(d));
      const error = Math.abs(productDifference(a, b, c, d) - exact);
      expect(error).toBeLessThanOrEqual(2 * Number.EPSILON * Math.abs(exact));
    }),
    { numRuns: 1000 },
  );
});
