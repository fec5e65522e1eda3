/**
 * @file How well scores reconstruct a hierarchy (Nickel & Kiela 2017): for every node all others are ranked, and its
 * ancestors should come first. Mean rank, where the other ancestors do not count, and mean average precision, where they do.
 */
import { NumbersError } from "../base/errors.ts";
import type { Hierarchy } from "./hierarchy.ts";

/** How the ancestors of all nodes are ranked. */
export interface Ranking {
  /** Mean over all pairs (u, v) of 1 + the non-ancestors of u that score no lower than v; 1 is perfect. */
  readonly meanRank: number;
  /** Mean over the nodes that have ancestors of the average precision of their ranking; 1 is perfect. */
  readonly meanAveragePrecision: number;
}

/**
 * Mean rank and mean average precision of the scores of all pairs of nodes.
 *
 * With r(v) = #{w ∉ N(u) ∪ {u} : s(u, w) ≥ s(u, v)} and the neighbours N(u) of u in descending order of score v₁ … v_m:
 * the rank of v_i is 1 + r(v_i), and AP(u) = 1/m Σᵢ i / (i + r(v_i)).
 *
 * A tie counts against the model (≥): embeddings that collapse to a point, or that f32 cannot tell apart, get the worst
 * rank and not, by the order of a sort, a random or perfect one. Equal scores of two neighbours give the same number either
 * way. Reconstruction has no held-out part: it measures what a space of that width can hold.
 *
 * @param hierarchy - with at least one pair
 * @param scoreRow - writes the scores of `node` against all nodes, higher = nearer; its own entry is not read
 * @throws NumbersError `not-finite` when a score is NaN, `no-pairs` when there is nothing to rank
 * @example
 * ```ts
 * import { completeTree, rankNeighbours } from "qklab/tasks";
 * const tree = completeTree(2, 2);
 * rankNeighbours(tree, (_node, scores) => scores.fill(0)).meanAveragePrecision; // 0.2333…, as everything ties
 * ```
 */
export function rankNeighbours(
  hierarchy: Hierarchy,
  scoreRow: (node: number, scores: Float64Array) => void,
): Ranking {
  const { name, names, neighbours } = hierarchy;
  const scores = new Float64Array(names.length);
  let rankSum = 0;
  let pairCount = 0;
  let precisionSum = 0;
  let rankedNodes = 0;
  for (let node = 0; node < names.length; node++) {
    const own = neighbours[node];
    if (own.length === 0) continue;
    scoreRow(node, scores);
    requireScores(hierarchy, node, scores);
    const rivals = countRivals(node, own, scores);
    rivals.forEach((count, place) => {
      rankSum += 1 + count;
      precisionSum += (place + 1) / (place + 1 + count) / own.length;
    });
    pairCount += own.length;
    rankedNodes++;
  }
  if (pairCount === 0) {
    throw new NumbersError(
      "no-pairs",
      `Cannot rank ${name} as it must have a pair of node and ancestor: it has none. Use a hierarchy with edges`,
    );
  }
  return { meanRank: rankSum / pairCount, meanAveragePrecision: precisionSum / rankedNodes };
}

/** r(v_i) for the neighbours in descending order of score. */
function countRivals(node: number, own: Int32Array, scores: Float64Array): number[] {
  const descending = Float64Array.from(own, (neighbour) => scores[neighbour])
    .sort()
    .reverse();
  const isOwn = new Set(own);
  const firstBeaten = new Int32Array(own.length + 1);
  scores.forEach((score, other) => {
    if (other !== node && !isOwn.has(other)) firstBeaten[countAbove(descending, score)]++;
  });
  let rivals = 0;
  return Array.from(own, (_, place) => (rivals += firstBeaten[place]));
}

/** How many of the descending numbers are greater than `score`: the next one is the first that it beats or equals. */
function countAbove(descending: Float64Array, score: number): number {
  let low = 0;
  let high = descending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (descending[middle] > score) low = middle + 1;
    else high = middle;
  }
  return low;
}

function requireScores({ names }: Hierarchy, node: number, scores: Float64Array): void {
  const bad = scores.findIndex((score, other) => other !== node && Number.isNaN(score));
  if (bad === -1) return;
  throw new NumbersError(
    "not-finite",
    `Cannot rank as every score must be a number: NaN for '${names[node]}' against '${names[bad]}'. ` +
      "Look for a distance outside its domain",
  );
}
