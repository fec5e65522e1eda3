/**
 * @file What `compare` trains when nobody says otherwise: attentions and recurrences, seeds, learning rates and sizes for every
 * task, in three sizes and for two questions. This file is data; `plan.ts` turns it into runs.
 */
import { full } from "./full-preset.ts";
import { type Preset } from "./preset.ts";
import { memoryColumns, sparseColumns } from "./study-presets.ts";

export type PresetName = "smoke" | "quick" | "memory" | "sparse" | "full";

/** A decoder that trains in seconds, for the tasks that read text. */
const smallDecoder = { width: 32, length: 32 } as const;

/** Seconds: checks that every task runs. Its models learn next to nothing. */
const smoke: Preset = {
  tasks: ["recall", "hierarchy", "language", "extrapolation"],
  columns: {
    recall: {
      selectors: ["dot", "l2", "dot+none"],
      settings: { steps: 60, batch: 32 },
      seeds: [0],
      learningRates: [0.01],
    },
    "recall-tokens": {
      selectors: ["dot", "l2"],
      settings: { width: 32, steps: 40, warmUp: 10 },
      seeds: [0],
      learningRates: [0.003],
    },
    copy: {
      selectors: ["dot", "l2", "dot+none"],
      settings: { width: 32, length: 16, steps: 20, warmUp: 5, testBatches: 2 },
      seeds: [0],
      learningRates: [0.005],
    },
    "selective-copy": {
      selectors: ["dot", "l2"],
      settings: { width: 32, noise: 16, symbols: 4, steps: 20, warmUp: 5, testBatches: 2 },
      seeds: [0],
      learningRates: [0.005],
    },
    induction: {
      selectors: ["dot", "dot+rope"],
      settings: { width: 32, length: 16, steps: 20, warmUp: 5, factors: [1, 4], testSequences: 64 },
      seeds: [0],
      learningRates: [0.005],
    },
    "associative-recall": {
      selectors: ["dot", "l2"],
      settings: { width: 32, length: 16, steps: 20, warmUp: 5, testBatches: 2 },
      seeds: [0],
      learningRates: [0.005],
    },
    listops: {
      selectors: ["dot", "l2"],
      settings: { width: 32, maximumLength: 40, steps: 20, warmUp: 5, testBatches: 4 },
      seeds: [0],
      learningRates: [0.003],
    },
    facts: {
      selectors: ["dot"],
      settings: { width: [8, 16], facts: 512, letters: 8, steps: 20, warmUp: 5 },
      seeds: [0],
      learningRates: [0.01],
    },
    hierarchy: {
      selectors: ["l2", "poincare"],
      settings: { source: "tree", width: 2, epochs: 10, burnIn: 2, negatives: 10 },
      seeds: [0],
      learningRates: [1],
    },
    language: {
      selectors: ["dot", "l2"],
      settings: { ...smallDecoder, steps: 20, warmUp: 5, testWindows: 32 },
      seeds: [0],
      learningRates: [0.005],
    },
    extrapolation: {
      selectors: ["dot+rope", "dot+alibi"],
      settings: { ...smallDecoder, steps: 20, warmUp: 5, factors: [1, 4, 16], blocks: 2 },
      seeds: [0],
      learningRates: [0.005],
    },
    scaling: {
      selectors: ["dot", "l2", "deltanet"],
      settings: { to: 8, rounds: 2 },
      seeds: [0],
      learningRates: { count: 1 },
    },
  },
};

/** Minutes: the smallest sizes at which the tasks show what they are about. */
const quick: Preset = {
  tasks: ["recall", "hierarchy", "language", "extrapolation"],
  columns: {
    recall: {
      selectors: ["dot", "l2", "cosine", "cauchy", "lorentz", "poincare", "dot+none"],
      settings: { steps: 150, batch: 32 },
      seeds: [0, 1],
      learningRates: [0.01, 0.03],
    },
    "recall-tokens": {
      selectors: ["dot", "l2", "cosine", "dot+none"],
      settings: { steps: 1500 },
      seeds: [0],
      learningRates: [0.001, 0.003],
    },
    copy: {
      selectors: ["dot", "l2", "cosine", "dot+none"],
      // A word of 15 symbols has more than two heads of width 4 have key coordinates, and fewer than two of width 8.
      settings: { length: 32, width: 32, heads: 2, headWidth: [4, 8], steps: 300 },
      seeds: [0],
      learningRates: [0.01],
    },
    "selective-copy": {
      selectors: ["dot", "l2", "cosine", "dot+none"],
      settings: { width: 32, noise: 48, symbols: 4, steps: 1000 },
      seeds: [0],
      learningRates: [0.003],
    },
    induction: {
      selectors: ["dot", "l2", "dot+rope", "dot+nope", "dot+none"],
      settings: { width: 32, steps: 800 },
      seeds: [0],
      learningRates: [0.003],
    },
    "associative-recall": {
      selectors: ["dot", "l2", "cosine", "dot+none"],
      settings: { width: 32, vocabulary: 10, length: 20, steps: 600 },
      seeds: [0],
      learningRates: [0.003],
    },
    listops: {
      selectors: ["dot", "l2", "cosine", "poincare"],
      settings: { width: 32, depth: 3, maximumLength: 40, steps: 1000 },
      seeds: [0],
      learningRates: [0.003],
    },
    facts: {
      selectors: ["dot"],
      settings: { width: [8, 16, 32], facts: 2048, steps: 2000 },
      seeds: [0],
      learningRates: [0.01],
    },
    hierarchy: {
      selectors: ["l2", "cauchy", "poincare"],
      settings: { width: [2, 5], epochs: 25, burnIn: 5, negatives: 10 },
      seeds: [0, 1],
      learningRates: [0.3, 1],
    },
    language: {
      selectors: ["dot", "l2", "cosine", "lorentz"],
      settings: { ...smallDecoder, steps: 200, testWindows: 64 },
      seeds: [0],
      learningRates: [0.005, 0.01],
    },
    extrapolation: {
      selectors: ["dot+rope", "dot+alibi", "dot+nope", "dot+rope:scaling=ntk,factor=16"],
      settings: { ...smallDecoder, steps: 300, blocks: 4 },
      seeds: [0],
      learningRates: [0.005],
    },
    scaling: {
      selectors: ["dot", "l2", "cosine", "poincare", "linear", "deltanet"],
      settings: { to: 11, rounds: 3 },
      seeds: [0],
      learningRates: { count: 1 },
    },
  },
};

/** Minutes: what every byte of a state buys, and what a token costs, as tasks beside those of quick. */
const memory: Preset = {
  tasks: Object.keys(memoryColumns),
  columns: { ...quick.columns, ...memoryColumns },
};

/** Minutes: attentions that leave out pairs, on tasks that need some of them. */
const sparse: Preset = {
  tasks: Object.keys(sparseColumns),
  columns: { ...quick.columns, ...sparseColumns },
};

/** All presets by name. */
export const presets: Readonly<Record<PresetName, Preset>> = { smoke, quick, memory, sparse, full };

/** The names of the presets, the shortest comparison first. */
export const presetNames: readonly PresetName[] = ["smoke", "quick", "memory", "sparse", "full"];
