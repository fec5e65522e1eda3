/** @file Columns of the presets that ask one question: what a memory of fixed size recalls, and what is lost with pairs that are left out. */
import { type PresetColumn } from "./preset.ts";

/** Attentions that compare a part of all pairs, by their scores, by the vectors, or by place. */
export const sparse = [
  "dot+topk:k=4",
  "dot+lsh:buckets=4,rounds=4,chunk=8",
  "dot+moba:block=8,k=2",
  "dot+causal+window:w=8",
  "dot+strided:stride=8,local=8",
] as const;

/** Recall against bytes: a cache, sums, a sum that fades, and two that correct; and their time against the length. */
export const memoryColumns: Readonly<Record<string, PresetColumn>> = {
  recall: {
    selectors: ["dot", "dot+none", "linear", "gla", "deltanet", "gated-deltanet"],
    // Eight pairs are more than a state of four coordinates keeps apart, and fewer than one of sixteen does.
    settings: { pairs: 8, headWidth: [4, 8, 16], steps: 400 },
    seeds: [0, 1],
    learningRates: [0.01, 0.03],
  },
  scaling: {
    selectors: ["dot", "linear", "gla", "deltanet", "gated-deltanet"],
    settings: { to: 12, rounds: 3 },
    seeds: [0, 1],
    learningRates: { count: 1 },
  },
};

/** A word to repeat, and a trigger to find at any distance. */
export const sparseColumns: Readonly<Record<string, PresetColumn>> = {
  copy: {
    selectors: ["dot", ...sparse],
    // Two windows of eight reach 14 places back; a symbol of the word is asked for 15 places after it was read.
    settings: { length: 32, width: 32, heads: 2, steps: 300 },
    seeds: [0, 1],
    learningRates: [0.01],
  },
  induction: {
    selectors: ["dot", ...sparse],
    settings: { width: 32, batch: 16, steps: 600, factors: [1, 4] },
    seeds: [0, 1],
    learningRates: [0.003],
  },
};
