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

/** All presets by name. */
export const presets: Readonly<Record<PresetName, Preset>> = {
  smoke: {
    tasks: ["recall", "hierarchy", "language", "extrapolation"],
    columns: {
      recall: {
        selectors: ["dot", "l2", "dot+none"],
        settings: { steps: 40 },
        seeds: [0],
        learningRates: { count: 1 },
      },
      hierarchy: {
        selectors: ["l2", "poincare"],
        settings: { source: "tree", width: 2, epochs: 10, burnIn: 2 },
        seeds: [0],
        learningRates: { count: 1 },
      },
      language: {
        selectors: ["dot", "l2"],
        settings: { steps: 10 },
        seeds: [0],
        learningRates: { count: 1 },
      },
      extrapolation: {
        selectors: ["dot+rope", "dot+alibi"],
        settings: { steps: 10 },
        seeds: [0],
        learningRates: { count: 1 },
      },
      "recall-tokens": {
        selectors: ["dot"],
        settings: { steps: 10 },
        seeds: [0],
        learningRates: { count: 1 },
      },
      scaling: { selectors: ["dot"], settings: {}, seeds: [0], learningRates: { count: 1 } },
    },
  },
  quick: {
    tasks: ["recall", "hierarchy", "language", "extrapolation"],
    columns: {
      recall: {
        selectors: ["dot", "l2", "cosine", "cauchy", "lorentz", "poincare", "dot+none"],
        settings: { steps: 300 },
        seeds: [0, 1],
        learningRates: { count: 2 },
      },
      hierarchy: {
        selectors: ["l2", "cauchy", "lorentz-distance", "poincare", "cosine"],
        settings: { width: [2, 5], epochs: 30, burnIn: 5 },
        seeds: [0, 1],
        learningRates: { count: 3 },
      },
      language: {
        selectors: ["dot", "l2", "cosine", "lorentz"],
        settings: { steps: 150 },
        seeds: [0],
        learningRates: { count: 1 },
      },
      extrapolation: {
        selectors: ["dot+rope", "dot+alibi", "dot+nope", "dot+rope:scaling=ntk,factor=16"],
        settings: { steps: 150 },
        seeds: [0],
        learningRates: { count: 1 },
      },
      "recall-tokens": {
        selectors: ["dot", "l2", "cosine", "dot+none"],
        settings: { steps: 1000 },
        seeds: [0],
        learningRates: { count: 2 },
      },
      scaling: { selectors: ["dot", "l2"], settings: {}, seeds: [0], learningRates: { count: 1 } },
    },
  },
  full: {
    tasks: ["recall", "recall-tokens", "hierarchy", "language", "extrapolation", "scaling"],
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
        settings: {},
        seeds: [0, 1, 2],
        learningRates: { count: 4 },
      },
      "recall-tokens": {
        selectors: ["dot", "l2", "cosine", "cauchy", "lorentz", "poincare", "dot+none"],
        settings: {},
        seeds: [0, 1, 2],
        learningRates: { count: 4 },
      },
      hierarchy: {
        selectors: ["l2", "cauchy", "lorentz", "lorentz-distance", "poincare", "cosine"],
        settings: { width: [2, 3, 5, 10] },
        seeds: [0, 1, 2],
        learningRates: { count: 4 },
      },
      language: {
        selectors: ["dot", "l2", "cosine", "cauchy", "lorentz", "poincare"],
        settings: {},
        seeds: [0, 1, 2],
        learningRates: { count: 4 },
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
        settings: {},
        seeds: [0, 1, 2],
        learningRates: { count: 3 },
      },
      scaling: {
        selectors: ["dot", "l2", "cosine", "lorentz", "poincare"],
        settings: {},
        seeds: [0, 1, 2],
        learningRates: { count: 1 },
      },
    },
  },
};

/** The names of the presets, the shortest comparison first. */
export const presetNames: readonly PresetName[] = ["smoke", "quick", "full"];
