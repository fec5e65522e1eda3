/** @file Defaults of a composition, and clashes: each names both parts and the cure. */
import { describe, expect, test } from "vitest";
import {
  all,
  attention,
  causal,
  centroid,
  complex,
  compose,
  dot,
  full,
  l1,
  l2,
  logCpb,
  mahalanobis,
  maxplus,
  none,
  parametersOf,
  product,
  rope,
  sigmoid,
  softmax,
  tropical,
} from "../index.ts";

describe("defaults", () => {
  test("no position, all pairs, softmax, mean; max-plus brings none", () => {
    const { position, selection, normaliser, aggregation, patterns } = compose({
      similarity: l2(),
      pattern: causal(),
    });
    expect([position.name, selection.name, normaliser.name, aggregation.name]).toEqual([
      "nope",
      "all",
      "softmax",
      "mean",
    ]);
    expect(patterns.map(({ name }) => name)).toEqual(["causal"]);
    const scored = compose({
      similarity: tropical(),
      pattern: full(),
      selection: all(),
      aggregation: maxplus(),
    });
    expect(scored.normaliser.name).toBe("none");
  });

  test("parameters are listed part by part, the similarity's first", () => {
    const composition = compose({
      similarity: mahalanobis(),
      position: logCpb(),
      pattern: full(),
      normaliser: softmax({ sink: 0 }),
      aggregation: centroid(),
    });
    expect(parametersOf(composition).map(({ name }) => name)).toEqual([
      "beta",
      "m",
      "log-cpb.hiddenWeight",
      "log-cpb.hiddenBias",
      "log-cpb.outWeight",
      "softmax.sink",
      "centroid.c",
    ]);
  });
});

describe("clashes name both parts and the cure", () => {
  const position = rope();
  const interleaved = rope({ layout: "interleaved" });
  const cases = [
    {
      name: "rope with l1",
      make: () => compose({ similarity: l1(), position, pattern: full() }),
      says: /'rope' with 'l1'.*Use alibi/,
    },
    {
      name: "rope with tropical",
      make: () => compose({ similarity: tropical(), position, pattern: full() }),
      says: /'rope' with 'tropical'.*Use alibi/,
    },
    {
      name: "rope with a metric",
      make: () => compose({ similarity: mahalanobis(), position, pattern: full() }),
      says: /'mahalanobis'.*Use alibi/,
    },
    {
      name: "rope with a product",
      make: () =>
        compose({ similarity: product({ members: "l2/dot" }), position: interleaved, pattern: full() }),
      says: /'product'.*Use alibi/,
    },
    {
      name: "the half layout with complex coordinates",
      make: () => compose({ similarity: complex({ part: "im" }), position, pattern: full() }),
      says: /layout is half.*layout=interleaved/,
    },
    {
      name: "xpos with a distance",
      make: () => compose({ similarity: l2(), position: rope({ scaling: "xpos" }), pattern: full() }),
      says: /xpos with 'l2'.*Use dot/,
    },
    {
      name: "the centroid with raw scores",
      make: () =>
        compose({ similarity: dot(), pattern: full(), normaliser: none(), aggregation: centroid() }),
      says: /'centroid' with 'none'.*softmax, sigmoid or none:map=exp/,
    },
    {
      name: "max-plus with weights",
      make: () =>
        compose({
          similarity: dot(),
          pattern: full(),
          normaliser: sigmoid() as never,
          aggregation: maxplus(),
        }),
      says: /'maxplus' with 'sigmoid'.*normaliser none/,
    },
    {
      name: "max-plus with exponentials",
      make: () =>
        compose({
          similarity: dot(),
          pattern: full(),
          normaliser: none({ map: "exp" }),
          aggregation: maxplus(),
        }),
      says: /normaliser none/,
    },
    {
      name: "no pattern",
      make: () => compose({ similarity: dot() } as never),
      says: /Add full\(\) or causal\(\)/,
    },
  ];

  test.each(cases)("$name", ({ make, says }) => {
    expect(make).toThrow(expect.objectContaining({ name: "UnsupportedError" }));
    expect(make).toThrow(says);
  });

  test.each(cases)("$name, in the wording of all errors", ({ make }) => {
    expect(make).toThrow(/^Cannot .+ as .+: .+\. .+/);
  });

  test("attention() refuses what compose() refuses", () => {
    expect(() => attention({ similarity: l1(), position: rope(), pattern: full() })).toThrow(
      expect.objectContaining({ code: "clash-position" }),
    );
  });
});
