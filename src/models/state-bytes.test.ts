import { describe, expect, test } from "vitest";
import { compose, completeSelector, parseSelector } from "../attention/index.ts";
import { stateBytes } from "./state-bytes.ts";

const sizes = { length: 1000, layers: 2, keyValueHeads: 3, headWidth: 16 };

const bytes = (selector: string, change: object = {}): number =>
  stateBytes(compose(completeSelector(parseSelector(selector), {})), { ...sizes, ...change });

describe("the state at inference", () => {
  test("is 2·layers·N·G·D·4 bytes of keys and values in general", () => {
    const selectors = ["dot+causal", "l2+rope+causal", "poincare+alibi+causal", "dot+causal+topk:k=4"];
    expect(selectors.map((selector) => bytes(selector))).toEqual(
      selectors.map(() => 2 * 2 * 1000 * 3 * 16 * 4),
    );
    expect(bytes("dot+causal", { valueWidth: 8 })).toBe(2 * 1000 * 3 * (16 + 8) * 4);
  });

  test("ends at a causal window", () => {
    expect(bytes("dot+causal+window:w=64")).toBe(2 * 2 * 64 * 3 * 16 * 4);
    expect(bytes("dot+causal+window:w=64", { length: 10 })).toBe(2 * 2 * 10 * 3 * 16 * 4);
    expect(bytes("dot+window:w=64")).toBe(2 * 2 * 1000 * 3 * 16 * 4);
  });

  test("is a matrix a head when scores are linear in keys and nothing is normalised, however long the text", () => {
    expect(bytes("dot+causal+none")).toBe(2 * 3 * 16 * 16 * 4);
    expect(bytes("dot+rope+causal+none", { length: 10, valueWidth: 8 })).toBe(2 * 3 * 16 * 8 * 4);
    const others = [
      "dot+causal+none:map=exp",
      "l2+causal+none",
      "dot+alibi+causal+none",
      "dot+causal+window:w=1000+none",
    ];
    expect(others.map((selector) => bytes(selector))).toEqual(others.map(() => 2 * 2 * 1000 * 3 * 16 * 4));
  });
});
