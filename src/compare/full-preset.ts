/** @file The preset `full`: every task at its default sizes, with the similarities, choices of pairs and recurrences that there are. */
import { type Preset } from "./preset.ts";
import { sparse } from "./study-presets.ts";

/** One rule of every kind: a sum, a sum that fades by channels, two that correct, and the newest RWKV. */
const recurrences = ["linear", "gla", "deltanet", "gated-deltanet", "rwkv7"] as const;

/** Hours: default sizes of every task, three seeds, and learning rates enough to tune every attention alike. */
export const full: Preset = {
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
        "performer",
        "retnet",
        "rwkv6",
        ...recurrences,
      ],
      settings: { headWidth: [2, 4, 16] },
      seeds: [0, 1, 2],
      learningRates: [0.003, 0.01, 0.03],
    },
    "recall-tokens": {
      selectors: ["dot", "l2", "cosine", "cauchy", "lorentz", "poincare", "dot+none", ...recurrences],
      // Most papers put a convolution over a few tokens before their rules.
      settings: { convolution: [1, 4] },
      seeds: [0, 1, 2],
      learningRates: [0.001, 0.003, 0.01],
    },
    copy: {
      selectors: [
        "dot",
        "l2",
        "cosine",
        "cauchy",
        "lorentz",
        "poincare",
        "dot+none",
        ...sparse,
        ...recurrences,
      ],
      settings: { length: 128, headWidth: [4, 16] },
      seeds: [0, 1, 2],
      learningRates: [0.003, 0.01],
    },
    "selective-copy": {
      selectors: ["dot", "l2", "cosine", "cauchy", "lorentz", "poincare", "dot+none", ...recurrences],
      settings: {},
      seeds: [0, 1, 2],
      learningRates: [0.001, 0.003, 0.01],
    },
    induction: {
      selectors: [
        "dot",
        "dot+rope",
        "dot+rope:scaling=xpos",
        "dot+nope",
        "l2",
        "cosine",
        "dot+none",
        ...sparse,
        ...recurrences,
      ],
      settings: {},
      seeds: [0, 1, 2],
      learningRates: [0.001, 0.003, 0.01],
    },
    "associative-recall": {
      selectors: ["dot", "l2", "cosine", "cauchy", "lorentz", "poincare", "dot+none", ...recurrences],
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
      settings: { width: [8, 16, 32], facts: [4096, 16384], experts: [0, 4], steps: 6000 },
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
      selectors: ["dot", "l2", "cosine", "cauchy", "lorentz", "poincare", ...recurrences],
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
        ...recurrences,
      ],
      settings: { steps: 1000 },
      seeds: [0, 1, 2],
      learningRates: [0.001, 0.002, 0.004],
    },
    scaling: {
      selectors: ["dot", "l2", "cosine", "lorentz", "poincare", ...sparse, ...recurrences],
      settings: {},
      seeds: [0, 1, 2],
      learningRates: { count: 1 },
    },
  },
};
