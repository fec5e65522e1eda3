/**
 * @file Hierarchy: embed the transitive closure of a tree or taxonomy so that every node is nearer to its ancestors than to
 * anything else (Nickel & Kiela 2017). The pairs, where they come from, and what a training step draws from them; the loss
 * is −log(e^(−d(u,v)) / Σ_{v′ ∈ {v} ∪ Neg(u)} e^(−d(u,v′))) over the pairs (u, v). Scored by `ranking.ts`.
 */
import { DomainError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { requireWhole } from "./whole-number.ts";

/** Nodes, and every pair of a node with one of its ancestors. */
export interface Hierarchy {
  readonly name: string;
  /** One for each node. */
  readonly names: readonly string[];
  /** [P, 2]: (node, ancestor), ordered by node, then by ancestor. */
  readonly pairs: Int32Array;
  /** For each node its ancestors, ascending: what ranking has to find. */
  readonly neighbours: readonly Int32Array[];
}

/** More pairs than this are refused; the nouns of WordNet have 743,241. */
const MOST_PAIRS = 2 ** 24;

/**
 * The transitive closure of a graph of parents.
 *
 * @param name - what reports call it
 * @param names - one for each node
 * @param parents - for each node its parents, as indices of `names`; none for a root, several in a taxonomy
 * @throws DomainError `hierarchy-parents` (lists and names disagree, or an index is out of range), `hierarchy-cycle`, or
 *   `hierarchy-size` beyond 2²⁴ pairs
 * @example
 * ```ts
 * import { closure } from "qklab/tasks";
 * closure("family", ["animal", "mammal", "dog"], [[], [0], [1]]).pairs; // Int32Array [1, 0, 2, 0, 2, 1]
 * ```
 */
export function closure(
  name: string,
  names: readonly string[],
  parents: readonly ArrayLike<number>[],
): Hierarchy {
  const order = parentsFirst(name, names, parents);
  const ancestors: Int32Array[] = [];
  const lastSeenFrom = new Int32Array(names.length).fill(-1);
  let pairCount = 0;
  for (const node of order) {
    const found: number[] = [];
    const add = (ancestor: number): void => {
      if (lastSeenFrom[ancestor] === node) return;
      lastSeenFrom[ancestor] = node;
      found.push(ancestor);
    };
    for (const parent of Array.from(parents[node])) {
      add(parent);
      ancestors[parent].forEach(add);
    }
    pairCount += found.length;
    if (pairCount > MOST_PAIRS) {
      throw new DomainError(
        "hierarchy-size",
        `Cannot close ${name} as a hierarchy may have at most ${MOST_PAIRS} pairs: it has more. Use a part of it`,
      );
    }
    ancestors[node] = Int32Array.from(found).sort();
  }

  const pairs = new Int32Array(2 * pairCount);
  let end = 0;
  ancestors.forEach((list, node) => {
    for (const ancestor of list) {
      pairs[end++] = node;
      pairs[end++] = ancestor;
    }
  });
  return { name, names, pairs, neighbours: ancestors };
}

/**
 * A complete tree in which every inner node has the same number of children; the source that needs no file.
 *
 * @param branching - children of an inner node, ≥ 2
 * @param depth - edges from the root to a leaf, ≥ 1
 * @returns nodes level by level; `root.1.0` is the first child of the root's second child
 * @throws DomainError `bad-setting` or `hierarchy-size`
 * @example
 * ```ts
 * import { completeTree } from "qklab/tasks";
 * completeTree(2, 3).names.length; // 15
 * ```
 */
export function completeTree(branching: number, depth: number): Hierarchy {
  requireWhole("make a tree", "branching", branching, 2);
  requireWhole("make a tree", "depth", depth, 1);
  const size = (branching ** (depth + 1) - 1) / (branching - 1);
  // Every leaf has `depth` ancestors and the leaves are at least half of the nodes.
  if (branching ** depth * depth > MOST_PAIRS) {
    throw new DomainError(
      "hierarchy-size",
      `Cannot make a tree as a hierarchy may have at most ${MOST_PAIRS} pairs: ` +
        `branching ${branching} and depth ${depth} give more. Pass less of either`,
    );
  }
  const parentOf = (node: number): number => Math.floor((node - 1) / branching);
  const names = ["root"];
  const parents: number[][] = [[]];
  for (let node = 1; node < size; node++) {
    names.push(`${names[parentOf(node)]}.${(node - 1) % branching}`);
    parents.push([parentOf(node)]);
  }
  return closure(`tree-${branching}-${depth}`, names, parents);
}

/** What one training step compares: each node's right ancestor with wrong ones. */
export interface HierarchyBatch {
  /** u, [B] */
  readonly nodes: Int32Array;
  /** [B, 1 + K]: v at place 0, then K nodes that are not ancestors of u. */
  readonly candidates: Int32Array;
}

/** Draws from one hierarchy. */
export interface HierarchySampler {
  /** `count` nodes, with replacement, that are neither `node` nor an ancestor of it. */
  negatives(node: number, count: number, rng: Random): Int32Array;
  /** `size` pairs, uniformly and with replacement, each with `negatives` wrong candidates. */
  batch(shape: { readonly size: number; readonly negatives: number }, rng: Random): HierarchyBatch;
}

/**
 * The draws of a training step.
 *
 * @param hierarchy - with at least one pair, and at least one wrong candidate for every node
 * @param popularity - negatives are drawn with weight (1 + descendants)^popularity: 0 (default) is uniform, Nickel & Kiela
 *   use 0.75 during burn-in
 * @throws DomainError `hierarchy-popularity` or `hierarchy-negatives`
 * @example
 * ```ts
 * import { random } from "qklab";
 * import { completeTree, hierarchySampler } from "qklab/tasks";
 * const sampler = hierarchySampler(completeTree(3, 4));
 * const { candidates } = sampler.batch({ size: 10, negatives: 50 }, random(1, "hierarchy", "train", 0));
 * candidates.length; // 510, which is [10, 51]
 * ```
 */
export function hierarchySampler(hierarchy: Hierarchy, popularity: number = 0): HierarchySampler {
  const { pairs, neighbours } = hierarchy;
  requireNegatives(hierarchy);
  if (!(popularity >= 0 && Number.isFinite(popularity))) {
    throw new DomainError(
      "hierarchy-popularity",
      `Cannot draw negatives as popularity must be a finite exponent ≥ 0: ${popularity}. Pass 0 for uniform draws`,
    );
  }
  const draw = popularity === 0 ? uniformDraw(neighbours.length) : popularDraw(hierarchy, popularity);

  function negatives(node: number, count: number, rng: Random): Int32Array {
    return Int32Array.from({ length: count }, () => {
      let candidate = draw(rng);
      while (candidate === node || contains(neighbours[node], candidate)) candidate = draw(rng);
      return candidate;
    });
  }

  function batch(shape: { readonly size: number; readonly negatives: number }, rng: Random): HierarchyBatch {
    requireWhole("draw pairs", "size", shape.size, 1);
    requireWhole("draw pairs", "negatives", shape.negatives, 1);
    const width = 1 + shape.negatives;
    const nodes = new Int32Array(shape.size);
    const candidates = new Int32Array(shape.size * width);
    for (let row = 0; row < shape.size; row++) {
      const pair = rng.integer(pairs.length / 2);
      nodes[row] = pairs[2 * pair];
      candidates[row * width] = pairs[2 * pair + 1];
      candidates.set(negatives(nodes[row], shape.negatives, rng), row * width + 1);
    }
    return { nodes, candidates };
  }

  return { negatives, batch };
}

type Draw = (rng: Random) => number;

const uniformDraw =
  (size: number): Draw =>
  (rng) =>
    rng.integer(size);

function popularDraw({ pairs, names }: Hierarchy, popularity: number): Draw {
  const counts = new Float64Array(names.length).fill(1);
  for (let place = 1; place < pairs.length; place += 2) counts[pairs[place]]++;
  const upTo = new Float64Array(names.length);
  let total = 0;
  counts.forEach((count, node) => (upTo[node] = total += count ** popularity));
  return (rng) => firstAbove(upTo, rng.uniform() * total);
}

/** The first place of an ascending list whose number is greater than `bound`. */
function firstAbove(ascending: Float64Array, bound: number): number {
  let low = 0;
  let high = ascending.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle] > bound) high = middle;
    else low = middle + 1;
  }
  return low;
}

function contains(ascending: Int32Array, wanted: number): boolean {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return ascending[low] === wanted;
}

/** An order in which every node follows its parents. */
function parentsFirst(
  name: string,
  names: readonly string[],
  parents: readonly ArrayLike<number>[],
): number[] {
  const size = names.length;
  const children: number[][] = Array.from({ length: size }, () => []);
  const waitingFor = new Int32Array(size);
  if (parents.length !== size) throw badParents(name, `${parents.length} lists for ${size} names`);
  parents.forEach((list, node) => {
    for (const parent of Array.from(list)) {
      if (!Number.isInteger(parent) || parent < 0 || parent >= size) {
        throw badParents(name, `node ${node} has parent ${parent}, of ${size} nodes`);
      }
      children[parent].push(node);
      waitingFor[node]++;
    }
  });
  const order = names.flatMap((_, node) => (waitingFor[node] === 0 ? [node] : []));
  for (const node of order) {
    for (const child of children[node]) {
      if (--waitingFor[child] === 0) order.push(child);
    }
  }
  if (order.length === size) return order;
  const stuck = waitingFor.findIndex((count) => count > 0);
  throw new DomainError(
    "hierarchy-cycle",
    `Cannot close ${name} as no node may be its own ancestor: '${names[stuck]}' is on a cycle or below one. ` +
      "Remove the edge that closes it",
  );
}

function badParents(name: string, seen: string): DomainError {
  return new DomainError(
    "hierarchy-parents",
    `Cannot close ${name} as every node must have a list of parents among the nodes: ${seen}. ` +
      "Pass one list of indices for each name",
  );
}

/** A draw by rejection ends only where something can be accepted. */
function requireNegatives({ name, names, pairs, neighbours }: Hierarchy): void {
  const hopeless = neighbours.findIndex((list) => list.length >= names.length - 1);
  if (pairs.length > 0 && hopeless === -1) return;
  throw new DomainError(
    "hierarchy-negatives",
    `Cannot draw from ${name} as it must have a pair, and for every node one that is not its ancestor: ` +
      (pairs.length === 0
        ? "it has no pair"
        : `to '${names[hopeless]}' all ${names.length - 1} others are ancestors`) +
      ". Use a hierarchy that branches",
  );
}
