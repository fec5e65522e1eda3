/** @file Routing on flat arrays against its f64 reference, and the order of the sorted rows. */
import { expect, test } from "vitest";
import { random } from "../../base/random.ts";
import { referenceRouting, referenceRoutingBackward } from "../reference/routing.ts";
import { mixtralRouting, type RoutingRule, switchRouting } from "../reference/routing-rule.ts";
import { pullRouting, routeTokens, sortByExpert } from "./expert-routing.ts";

/** One rounding to float32 of numbers up to 1. */
const ROUNDING = 2 ** -24;

const rules: readonly RoutingRule[] = [
  switchRouting(),
  switchRouting({ choices: 3, capacityFactor: 0.5 }),
  mixtralRouting(),
  mixtralRouting({ choices: 3, capacityFactor: 1, balance: 0 }),
];

test.each(rules)("$name with $choices choices, factor $capacityFactor", (rule) => {
  for (const [tokens, experts] of [
    [1, 3],
    [63, 5],
    [100, 64],
  ]) {
    const stream = random("routing", tokens, experts, rule.name);
    const data = stream.normals(tokens * experts);
    // Ties are decided, not left to luck.
    for (let token = 0; token < tokens; token += 7) data[token * experts + 1] = data[token * experts];
    const rows = Array.from({ length: tokens }, (_, token) => [
      ...data.subarray(token * experts, (token + 1) * experts),
    ]);
    const expected = referenceRouting(rows, rule);
    const routing = routeTokens({ data, experts }, rule);
    expect([...routing.chosen]).toEqual(expected.chosen.flat());
    expect([...routing.places].map((place) => place >= 0)).toEqual(expected.isKept.flat());
    expect(routing.dropped).toBe(expected.dropped);
    expect([...routing.load]).toEqual(expected.load);
    expect(Math.abs(routing.balance - expected.balance)).toBeLessThanOrEqual(ROUNDING);
    expectClose(routing.gates, expected.gates.flat(), 1);

    const byGates = stream.normals(tokens * rule.choices);
    const gatesOf = Array.from({ length: tokens }, (_, token) => [
      ...byGates.subarray(token * rule.choices, (token + 1) * rule.choices),
    ]);
    const gradient = pullRouting({ data, experts }, rule, routing, { gates: byGates, balance: 3 });
    // Weights in float32 times gradients of size 4, twice.
    expectClose(gradient, referenceRoutingBackward(rows, rule, gatesOf, 3).flat(), 16);
  }
});

function expectClose(given: Float32Array, expected: readonly number[], size: number): void {
  expect(given.length).toBe(expected.length);
  const worst = expected.reduce((most, value, place) => Math.max(most, Math.abs(value - given[place])), 0);
  expect(worst).toBeLessThanOrEqual(size * ROUNDING);
}

test("rows are sorted by expert, tokens in their order, experts from multiples on", () => {
  const chosen = Int32Array.of(2, 0, 2, 1, 0, 2);
  const places = Int32Array.of(0, 0, 1, 0, 1, -1);
  const sorted = sortByExpert({ experts: 4, choices: 1, chosen, places }, 4);
  expect(sorted.count).toBe(12);
  expect([...sorted.starts]).toEqual([0, 4, 8, 12]);
  expect([...sorted.taken]).toEqual([2, 1, 2, 0]);
  expect([...sorted.rows]).toEqual([8, 0, 9, 4, 1, -1]);
});

test("scores that are not numbers say that training diverged", () => {
  const data = Float32Array.of(1, 2, Number.NaN, Number.NaN);
  expect(() => routeTokens({ data, experts: 2 }, switchRouting())).toThrow(
    "Cannot route as the scores of experts must be finite: NaN. Use a smaller learning rate",
  );
});
