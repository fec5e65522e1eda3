/**
 * @file What `compare` trains when nobody says otherwise: attentions, seeds, learning rates and sizes for every task, in
 * three sizes. This file is data; `plan.ts` turns it into runs.
 */

/** One column of the matrix: a task with the attentions that are compared on it. */
export interface PresetColumn {
  readonly selectors: readonly string[];
  /** Settings that differ from the recipe's defaults. A list of values gives one column for each. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly seeds: readonly number[];
  /**
   * Learning rates of every cell: these, or so many of the recipe's own (which it may choose for each attention), evenly
   * spread over its list.
   */
  readonly learningRates: readonly number[] | { readonly count: number };
}

/** A size of comparison. */
export interface Preset {
  /** The tasks compared by default; the other columns wait for `--task`. */
  readonly tasks: readonly string[];
  readonly columns: Readonly<Record<string, PresetColumn>>;
}

export type PresetName = "smoke" | "quick" | "full";

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
      selectors: ["dot", "l2", "cosine", "poincare"],
      settings: { to: 9, rounds: 3 },
      seeds: [0],
      learningRates: { count: 1 },
    },
  },
};

/** Hours: default sizes of every task, three seeds, and learning rates enough to tune every attention alike. */
const full: Preset = {
  tasks: [
    "recall",
    "recall-tokens",
    "copy",
    "selective-copy",
    "induction",
    "associative-recall",
    "listops",
    "facts",
    "hierarchy",
    "language",
    "extrapolation",
    "scaling",
  ],
  columns: {
    recall: {
      selectors: [
        "dot",
        "l2",
        "l1",
        "cosine",
        "cauchy",
        "lorentz",
        "lorentz-distance",
        "poincare",
        "complex",
        "tropical",
        "mahalanobis",
        "dot+none",
      ],
      settings: { headWidth: [2, 4, 16] },
      seeds: [0, 1, 2],
      learningRates: [0.003, 0.01, 0.03],
    },
    "recall-tokens": {
      selectors: ["dot", "l2", "cosine", "cauchy", "lorentz", "poincare", "dot+none"],
      settings: {},
      seeds: [0, 1, 2],
      learningRates: [0.001, 0.003, 0.01],
    },
    copy: {
      selectors: ["dot", "l2", "cosine", "cauchy", "lorentz", "poincare", "dot+none"],
      settings: { length: 128, headWidth: [4, 16] },
      seeds: [0, 1, 2],
      learningRates: [0.003, 0.01],
    },
    "selective-copy": {
      selectors: ["dot", "l2", "cosine", "cauchy", "lorentz", "poincare", "dot+none"],
      settings: {},
      seeds: [0, 1, 2],
      learningRates: [0.001, 0.003, 0.01],
    },
    induction: {
      selectors: ["dot", "dot+rope", "dot+rope:scaling=xpos", "dot+nope", "l2", "cosine", "dot+none"],
      settings: {},
      seeds: [0, 1, 2],
      learningRates: [0.001, 0.003, 0.01],
    },
    "associative-recall": {
      selectors: ["dot", "l2", "cosine", "cauchy", "lorentz", "poincare", "dot+none"],
      settings: {},
      seeds: [0, 1, 2],
      learningRates: [0.001, 0.003, 0.01],
    },
    listops: {
      selectors: ["dot", "l2", "cosine", "lorentz", "poincare", "dot+topk:k=8"],
      settings: { arguments: 10, minimumLength: 50, maximumLength: 200 },
      seeds: [0, 1, 2],
      learningRates: [0.0005, 0.001, 0.003],
    },
    facts: {
      selectors: ["dot", "l2"],
      settings: { width: [8, 16, 32], facts: [4096, 16384], steps: 6000 },
      seeds: [0, 1, 2],
      learningRates: [0.003, 0.01],
    },
    hierarchy: {
      selectors: ["l2", "cauchy", "cosine", "poincare", "lorentz-distance", "lorentz"],
      settings: { width: [2, 3, 5, 10], epochs: 100 },
      seeds: [0, 1, 2],
      learningRates: [0.1, 0.3, 1, 3],
    },
    language: {
      selectors: ["dot", "l2", "cosine", "cauchy", "lorentz", "poincare"],
      settings: { steps: 1000 },
      seeds: [0, 1, 2],
      learningRates: [0.001, 0.002, 0.004, 0.008],
    },
    extrapolation: {
      selectors: [
        "dot+rope",
        "dot+rope:scaling=pi,factor=16",
        "dot+rope:scaling=ntk,factor=16",
        "dot+rope:scaling=yarn,factor=16,original=64",
        "dot+rope:scaling=xpos",
        "dot+alibi",
        "dot+log-cpb",
        "dot+nope",
        "l2+alibi",
        "cosine+alibi",
      ],
      settings: { steps: 1000 },
      seeds: [0, 1, 2],
      learningRates: [0.001, 0.002, 0.004],
    },
    scaling: {
      selectors: ["dot", "l2", "cosine", "lorentz", "poincare"],
      settings: {},
      seeds: [0, 1, 2],
      learningRates: { count: 1 },
    },
  },
};

/** All presets by name. */
export const presets: Readonly<Record<PresetName, Preset>> = { smoke, quick, full };

/** The names of the presets, the shortest comparison first. */
export const presetNames: readonly PresetName[] = ["smoke", "quick", "full"];
