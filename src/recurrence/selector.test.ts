/** @file Selectors of the recurrent class: parsing and printing are inverse, clashes name their cure. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { recurrentNames } from "../attention/selector.ts";
import { recurrences } from "./recurrences.ts";
import { printRecurrence } from "./composition.ts";
import { parseAnySelector, parseRecurrence } from "./selector.ts";

const code = (expected: string, name = "DomainError"): unknown =>
  expect.objectContaining({ name, code: expected });

describe("selectors", () => {
  const whole = fc.integer({ min: 1, max: 4096 }).map(String);
  const options = fc.oneof(
    fc
      .record(
        {
          map: fc.constantFrom("elu1", "relu", "taylor2", "hedgehog", "identity"),
          normaliser: fc.constantFrom("sum", "none"),
          chunk: whole,
        },
        { requiredKeys: [] },
      )
      .map((chosen) => ["linear", chosen] as const),
    fc
      .record({ features: whole, seed: whole, chunk: whole }, { requiredKeys: [] })
      .map((chosen) => ["performer", chosen] as const),
    fc
      .tuple(fc.constantFrom(...recurrentNames), fc.record({ chunk: whole }, { requiredKeys: [] }))
      .map(([name, chosen]) => [name, chosen] as const),
  );
  const selectors = fc
    .tuple(options, fc.constantFrom("", "+rope:theta=500"), fc.constantFrom("", "+causal", "+full"))
    .filter(
      ([[name, chosen], position, end]) =>
        (end !== "+full" || (/linear|performer/.test(name) && !("chunk" in chosen))) &&
        (position === "" || /linear|performer|retnet|deltanet/.test(name)),
    )
    .map(([[name, chosen], position, end]) => {
      const written = Object.entries(chosen).map(([option, value]) => `${option}=${value}`);
      return `${[name, written.join(",")].filter((text) => text !== "").join(":")}${position}${end}`;
    });

  it("are printed as they are read", () => {
    fc.assert(
      fc.property(selectors, (selector) => {
        const printed = printRecurrence(parseRecurrence(selector));
        expect(printed).toBe(selector.replace("+causal", ""));
        expect(printRecurrence(parseRecurrence(printed))).toBe(printed);
      }),
    );
  });

  it("are known to attentions by name, so that both classes are told apart", () => {
    expect(recurrences.map(({ definition }) => definition.selector)).toEqual(recurrentNames);
  });

  it("of either class are read by one function", () => {
    expect(parseAnySelector("rwkv6:chunk=64")).toMatchObject({ kind: "recurrence" });
    expect(parseAnySelector("dot+rope+causal")).toMatchObject({ kind: "attention" });
    expect(() => parseAnySelector("retnt")).toThrow(code("unknown-part"));
    expect(() => parseAnySelector("retnt")).toThrow(/'retnt'. Did you mean 'retnet'/);
    expect(() => parseAnySelector("cosin")).toThrow(/'cosine'/);
  });

  it.each([
    ["delta", "unknown-part", "DomainError", /rule of the recurrent class: 'delta'. Did you mean 'deltanet'/],
    ["linear:map=elu", "bad-option", "DomainError", /elu1 or relu/],
    ["linear:maps=elu1", "unknown-option", "DomainError", /'map'/],
    ["performer:features=0", "bad-option", "DomainError", /whole number ≥ 1: 0/],
    ["gla:chunk=1.5", "bad-option", "DomainError", /whole number ≥ 1: 1.5/],
    ["retnet+full", "clash-pattern", "UnsupportedError", /use linear or performer/],
    ["linear+window:w=8", "clash-pattern", "UnsupportedError", /forget by decay/],
    ["retnet+alibi", "clash-position", "UnsupportedError", /enters a state by its updates/],
    ["gla+rope", "clash-position", "UnsupportedError", /'decay' has one number for each/],
    ["rwkv4+rope", "clash-position", "UnsupportedError", /no queries to turn/],
    ["retnet+rope:scaling=xpos", "clash-position", "UnsupportedError", /a rope that only turns/],
    ["gla+topk:k=4", "clash-selection", "UnsupportedError", /cannot leave out keys/],
    ["linear+softmax", "clash-normaliser", "UnsupportedError", /normaliser=none/],
    ["linear+centroid", "clash-aggregation", "UnsupportedError", /Drop it/],
    ["linear:chunk=4+full", "clash-chunk", "UnsupportedError", /nothing is cut/],
    ["linear:map=exp,normaliser=none", "clash-normaliser", "UnsupportedError", /another map/],
  ])("'%s' is refused as %s", (selector, expected, name, says) => {
    expect(() => parseRecurrence(selector)).toThrow(code(expected, name));
    expect(() => parseRecurrence(selector)).toThrow(says);
  });

  it("may say what changes nothing", () => {
    expect(printRecurrence(parseRecurrence("gla+causal+nope+all+mean"))).toBe("gla");
    expect(printRecurrence(parseRecurrence("linear+full+causal"))).toBe("linear");
  });
});
