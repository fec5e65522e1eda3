/**
 * @file The variables of a score: for each block of coordinates the inner reduction of every pair and the squared norms
 * of queries and keys; and how they change with queries and keys.
 */
import { numpy as np } from "@jax-js/jax";
import { type AttentionSizes } from "../../attention/index.ts";
import { type InnerName, type Term, termVariables } from "../../similarities/index.ts";
import {
  computedOnce,
  groupedRows,
  repeatedHeads,
  signOf,
  stored,
  sumOf,
  transposed,
  ungroupedRows,
} from "./array-tools.ts";
import { quarterTurn, type Sides } from "./lift.ts";

/** Variables by name: `s` of [B, H, Q, S], `q2` of [B, H, Q, 1], `k2` of [B, H, 1, S], numbered by term. */
export interface PairVariables {
  readonly variables: Readonly<Record<string, np.Array>>;
  readonly tangent: (changes: Partial<Sides>) => Record<string, np.Array>;
}

/**
 * The variables that a score reads.
 *
 * @param sides - lifted queries and keys
 * @param terms - the blocks
 * @param isRead - which variables are wanted
 */
export function pairVariables(
  sides: Sides,
  terms: readonly Term[],
  { heads }: AttentionSizes,
  isRead: (name: string) => boolean,
): PairVariables {
  const wanted = terms.flatMap(({ inner, start, stop }, index): readonly Variable[] => {
    const block = (x: np.Array): np.Array => x.ref.slice([], [], [], [start, stop]);
    const names = termVariables(index);
    return [
      { name: names.inner, ...pairsOf(reductions[inner], sides, block, heads) },
      { name: names.queryNorm, ...normsOf("q", sides, block, heads) },
      { name: names.keyNorm, ...normsOf("k", sides, block, heads) },
    ].filter(({ name }) => isRead(name));
  });
  return {
    variables: Object.fromEntries(wanted.map(({ name, value }) => [name, value()])),
    tangent(changes) {
      const entries = wanted.map(({ name, tangent }) => [name, tangent(changes)] as const);
      return Object.fromEntries(entries.filter((entry) => entry[1] !== undefined)) as Record<
        string,
        np.Array
      >;
    },
  };
}

interface Variable {
  readonly name: string;
  readonly value: () => np.Array;
  readonly tangent: (changes: Partial<Sides>) => np.Array | undefined;
}

type Block = (x: np.Array) => np.Array;

/** ‖x‖² and 2x·dx. */
function normsOf(side: keyof Sides, sides: Sides, block: Block, heads: number): Omit<Variable, "name"> {
  const shaped = (norms: np.Array): np.Array => {
    const all = repeatedHeads(norms, heads);
    const [batch, , count] = all.shape;
    return all.reshape(side === "q" ? [batch, heads, count, 1] : [batch, heads, 1, count]);
  };
  return {
    value: () => shaped(np.square(block(sides[side])).sum(-1)),
    tangent: (changes) => {
      const change = changes[side];
      return change === undefined ? undefined : shaped(block(sides[side]).mul(block(change)).sum(-1).mul(2));
    },
  };
}

/** A reduction of queries [B, G, rows, width] and keys [B, G, S, width] to [B, G, rows, S]. */
interface Reduction {
  readonly value: (q: np.Array, k: np.Array) => np.Array;
  /** Σ_d slope_d·dq_d and Σ_d slope_d·dk_d, each when its change is there. */
  readonly tangent: (sides: Sides, changes: Partial<Sides>) => np.Array | undefined;
}

function pairsOf(reduction: Reduction, { q, k }: Sides, block: Block, heads: number): Omit<Variable, "name"> {
  const keys = block(k);
  const rows = (x: np.Array): np.Array => groupedRows(block(x), keys.shape[1]);
  return {
    value: () => ungroupedRows(reduction.value(rows(q), keys), heads),
    tangent(changes) {
      const sum = reduction.tangent(
        { q: rows(q), k: keys },
        {
          ...(changes.q === undefined ? {} : { q: rows(changes.q) }),
          ...(changes.k === undefined ? {} : { k: block(changes.k) }),
        },
      );
      return sum === undefined ? undefined : ungroupedRows(sum, heads);
    },
  };
}

/** Queries as [B, G, rows, 1, width]. */
function overKeys(q: np.Array): np.Array {
  const [batch, keyHeads, rows, width] = q.shape;
  return q.ref.reshape([batch, keyHeads, rows, 1, width]);
}

/** Keys as [B, G, 1, S, width]. */
function overRows(k: np.Array): np.Array {
  const [batch, keyHeads, keys, width] = k.shape;
  return k.ref.reshape([batch, keyHeads, 1, keys, width]);
}

/** A bilinear reduction: a product of queries with keys that are turned first. */
function bilinear(turn: (k: np.Array) => np.Array): Reduction {
  return {
    value: (q, k) => stored(np.einsum("bgnd,bgds->bgns", q.ref, transposed(turn(k)))),
    tangent: ({ q, k }, changes) =>
      sumOf([
        changes.q === undefined
          ? undefined
          : overKeys(changes.q)
              .mul(overRows(turn(k)))
              .sum(-1),
        changes.k === undefined
          ? undefined
          : overKeys(q)
              .mul(overRows(turn(changes.k)))
              .sum(-1),
      ]),
  };
}

/**
 * A reduction of the differences q_d − k_d. They are never stored: each reduction writes them out again, and computes them
 * in its own kernel.
 */
function overDifferences(
  value: (q: np.Array, k: np.Array) => np.Array,
  /** The slope by each difference, [B, G, rows, S, width]. */
  slope: (q: np.Array, k: np.Array) => () => np.Array,
): Reduction {
  return {
    value,
    tangent({ q, k }, changes) {
      const slopes = slope(q, k);
      // Asked for twice: a slope that both sums share would be stored for all pairs and coordinates.
      return sumOf([
        changes.q === undefined ? undefined : overKeys(changes.q).mul(slopes()).sum(-1),
        changes.k === undefined ? undefined : overRows(changes.k).mul(slopes().neg()).sum(-1),
      ]);
    },
  };
}

/** Σ_d |q_d − k_d| */
const absoluteSum = overDifferences(
  (q, k) => {
    const difference = overKeys(q).sub(overRows(k));
    return np.maximum(difference.ref, difference.neg()).sum(-1);
  },
  (q, k) => () => signOf(overKeys(q).sub(overRows(k))),
);

/** max_d (q_d − k_d) − min_d (q_d − k_d); the slope is 1 and −1 at the first coordinates that attain them. */
const range = overDifferences(
  (q, k) => byCoordinate(q, k).max(-2).sub(byCoordinate(q, k).min(-2)),
  (q, k) => {
    const width = q.shape[3];
    const firstAt = (extreme: np.Array): np.Array => {
      const places = np.arange(width).reshape([width, 1]);
      const first = np.where(np.equal(byCoordinate(q, k), extreme), places, width).min(-2);
      return first.reshape([...first.shape, 1]);
    };
    const high = firstAt(byCoordinate(q, k).max(-2, { keepdims: true }));
    const low = firstAt(byCoordinate(q, k).min(-2, { keepdims: true }));
    const isAt = (first: np.Array): np.Array => np.where(np.equal(np.arange(width), first.ref), 1, 0);
    return () => isAt(high).sub(isAt(low));
  },
);

/** Differences as [B, G, rows, width, S]: extremes over coordinates are then found for four keys at a time. */
function byCoordinate(q: np.Array, k: np.Array): np.Array {
  const [batch, keyHeads, rows, width] = q.shape;
  const keys = k.shape[2];
  const across = transposed(k).reshape([batch, keyHeads, 1, width, keys]);
  return q.ref.reshape([batch, keyHeads, rows, width, 1]).sub(computedOnce(across));
}

const reductions: Readonly<Record<InnerName, Reduction>> = {
  dot: bilinear((k) => k.ref),
  symplectic: bilinear((k) => computedOnce(quarterTurn(k, "interleaved"))),
  l1: absoluteSum,
  range,
};
