/** @file What the type checker refuses: each line under `@ts-expect-error` is an error of `npm run types` if it compiles. */
import { expect, expectTypeOf, test } from "vitest";
import {
  type Aggregation,
  type Attention,
  attention,
  type AttentionSpec,
  causal,
  centroid,
  compose,
  cosine,
  dot,
  l2,
  maxplus,
  mean,
  none,
  type Normaliser,
  rope,
  sigmoid,
  softmax,
  type Tensor,
  topk,
  tropical,
  window,
} from "../index.ts";

const code = (expected: string): unknown =>
  expect.objectContaining({ name: "UnsupportedError", code: expected });

test("a spec without a pattern does not type-check, and is refused where types are ignored", () => {
  // @ts-expect-error -- a pattern is never optional
  expect(() => attention({ similarity: dot() })).toThrow(code("missing-pattern"));
  // @ts-expect-error -- and a list of patterns is never empty
  expect(() => attention({ similarity: dot(), pattern: [] })).toThrow(code("missing-pattern"));
});

test("max-plus with softmax or sigmoid does not type-check, and is refused where types are ignored", () => {
  expect(() =>
    // @ts-expect-error -- max-plus joins by raw scores
    compose({ similarity: tropical(), pattern: causal(), normaliser: softmax(), aggregation: maxplus() }),
  ).toThrow(code("clash-aggregation"));
  expect(() =>
    // @ts-expect-error -- max-plus joins by raw scores
    compose({ similarity: tropical(), pattern: causal(), normaliser: sigmoid(), aggregation: maxplus() }),
  ).toThrow(code("clash-aggregation"));
});

test("legal specs type-check", () => {
  const specs: readonly AttentionSpec[] = [
    { similarity: l2(), pattern: causal() },
    { similarity: l2(), pattern: [causal(), window({ w: 8 })], selection: topk({ k: 4 }) },
    { similarity: cosine({ beta: "auto" }), position: rope(), pattern: causal(), aggregation: centroid() },
    { similarity: dot(), pattern: causal(), normaliser: sigmoid(), aggregation: mean() },
    { similarity: tropical(), pattern: causal(), aggregation: maxplus() },
    { similarity: tropical(), pattern: causal(), normaliser: none(), aggregation: maxplus() },
  ];
  expect(specs.map((spec) => compose(spec).similarity.kind)).toEqual(specs.map(() => "similarity"));
});

test("options are typed by name, words and numbers", () => {
  // @ts-expect-error -- l2 has no tau
  expect(() => l2({ tau: 1 })).toThrow(expect.objectContaining({ code: "unknown-option" }));
  // @ts-expect-error -- no such layout
  expect(() => rope({ layout: "quarter" })).toThrow(expect.objectContaining({ code: "bad-option" }));
  // @ts-expect-error -- k is a number
  expect(() => topk({ k: "8" })).toThrow(expect.objectContaining({ code: "bad-option" }));
  // @ts-expect-error -- w is needed
  expect(() => window({})).toThrow(expect.objectContaining({ code: "missing-option" }));
});

test("parts carry their names in their types", () => {
  expectTypeOf(softmax()).toEqualTypeOf<Normaliser<"softmax">>();
  expectTypeOf(maxplus()).toEqualTypeOf<Aggregation<"maxplus">>();
  expectTypeOf(maxplus()).not.toExtend<Aggregation<"mean">>();
  expectTypeOf<Awaited<ReturnType<Attention>>["out"]>().toEqualTypeOf<Tensor>();
});
