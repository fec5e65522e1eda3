import { describe, expect, test } from "vitest";
import { compose, completeSelector, parseSelector } from "../attention/index.ts";
import { deltanet, linear, performer } from "../recurrence/index.ts";
import { groupStateBytes, type HeadState, recurrentState, stateBytes } from "./state-bytes.ts";

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
    const unbounded = [
      "dot+window:w=64",
      "dot+fixed:block=8,columns=2+window:w=64",
      "dot+strided:stride=4,local=4",
    ];
    expect(unbounded.map((selector) => bytes(selector))).toEqual(
      unbounded.map(() => 2 * 2 * 1000 * 3 * 16 * 4),
    );
    expect(bytes("dot+strided:stride=4,local=4+window:w=64")).toBe(2 * 2 * 64 * 3 * 16 * 4);
  });

  test("has what a choice by vectors is made of", () => {
    expect(bytes("dot+causal+lsh:buckets=4,rounds=3")).toBe(2 * 3 * 1000 * (2 * 16 + 3) * 4);
    expect(bytes("dot+causal+moba:block=64,k=2")).toBe(2 * 3 * (1000 * 2 * 16 + 16 * 16) * 4);
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
    const group = { composition: compose(completeSelector(parseSelector("dot+causal+none"), {})), heads: 6 };
    expect(groupStateBytes({ ...group, keyValueHeads: 3 }, { length: 9, headWidth: 4 })).toBe(6 * 4 * 4 * 4);
    expect(others.map((selector) => bytes(selector))).toEqual(others.map(() => 2 * 2 * 1000 * 3 * 16 * 4));
  });

  test("counts any state that is a function of a head's sizes by the same rule", () => {
    const features = 32;
    const state: HeadState = ({ valueWidth }) => features * (valueWidth + 1);
    expect(stateBytes(state, sizes)).toBe(2 * 3 * 32 * 17 * 4);
    expect(stateBytes(state, { ...sizes, length: 1, valueWidth: 8 })).toBe(2 * 3 * 32 * 9 * 4);
    const growing: HeadState = ({ length, headWidth }) => Math.ceil(length / 16) * headWidth;
    expect(stateBytes(growing, sizes)).toBe(2 * 3 * 63 * 16 * 4);
  });

  test("is that of the rule for a recurrence, in every query head", () => {
    const rules = [
      deltanet(),
      linear(),
      linear({ map: "taylor2", normaliser: "none" }),
      performer({ features: 7 }),
    ];
    const numbers = [16 * 16, 16 * 17, (1 + 16 + 256) * 16, 7 * 18];
    expect(rules.map((rule) => stateBytes(recurrentState(rule), sizes))).toEqual(
      numbers.map((count) => 2 * 3 * count * 4),
    );
    const recurrence = { rule: deltanet(), whole: false };
    expect(groupStateBytes({ recurrence, heads: 6, keyValueHeads: 3 }, { length: 9, headWidth: 4 })).toBe(
      6 * 4 * 4 * 4,
    );
  });
});
