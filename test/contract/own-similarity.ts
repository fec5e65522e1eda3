/** @file Random similarities as a user might write them: any expression of s, ‖q‖² and ‖k‖² over any inner reduction. */
import fc from "fast-check";
import {
  type Composition,
  derivative,
  DomainError,
  type Expression,
  inners,
  type InnerName,
  linearise,
  random,
  similarity,
  type SimilarityFactory,
  substitute,
  variable,
} from "../../src/index.ts";
import { arithmetic } from "../../src/score/expression.ts";
import { type Formula, formulas } from "../arbitrary-expression.ts";
import { type Problem } from "./problem.ts";

/** Its name in selectors. */
export const ownName = "own";

/** A similarity of nobody's before. */
export interface OwnSimilarity {
  readonly inner: InnerName;
  readonly score: Expression;
}

const names: Readonly<Record<string, string>> = { x: "s", y: "q2", z: "k2" };

/** The formula of x, y and z as one of s, q2 and k2; nothing where its constants alone leave the numbers. */
function scoreOf({ build }: Formula): Expression | undefined {
  try {
    return substitute(build(), (name) => variable(names[name] ?? name));
  } catch (error) {
    if (error instanceof DomainError && error.code === "expression-constant") return undefined;
    throw error;
  }
}

/** Similarities of random formulas, most of which are steady somewhere only. */
export const ownSimilarities: fc.Arbitrary<OwnSimilarity> = fc
  .record({
    inner: fc.constantFrom<InnerName>("dot", "dot", "symplectic", "l1", "range"),
    score: formulas.map(scoreOf).filter((score) => score !== undefined),
  })
  .filter(({ score }) => linearise([score]).instructions.some(({ leaf }) => leaf === "s"));

/** The similarity for selectors. */
export function ownFactory({ inner, score }: OwnSimilarity): SimilarityFactory {
  return similarity(ownName, { inner, score: () => score });
}

/** Sixteen float32 roundings: what an operation is off by when a score is tried for its steadiness. */
const roundoff = 2 ** -20;
/** How far such an operation may carry a score or a slope, so that one of float32 stays well inside the contract's tolerances. */
const steadiness = 4e-5;
const largestScore = 20;
const largestSlope = 200;
/** Slopes below this must move no more than it may: a gradient sums many pairs, which may all have the smallest. */
const smallSlope = 0.1;
/** What a step in between may reach: beyond it float32 has infinities. */
const largestStep = 1e30;
const trials = 2;

/**
 * Whether float32 can compute the score and its derivatives at all pairs of a call: no kink, pole or cancellation is
 * near one of them. They are computed with every operation a little off, as float32 would have it, and must not move.
 */
export function isSteady({ composition, inputs }: Problem, ...keys: readonly (number | string)[]): boolean {
  const { score } = composition.similarity;
  const outputs = tryOut(() => [score, ...["s", "q2", "k2"].map((name) => derivative(score, name))]);
  if (outputs === undefined) return false;
  const run = interpreter(outputs);
  const smallest = outputs.map((_, place) => (place === 0 ? 1 : smallSlope));
  const stream = random("steady", ...keys);
  for (const point of pairPoints(composition, inputs)) {
    const exact = run(point, () => 0);
    const isBounded = exact.every(
      (value, place) => Math.abs(value) <= (place === 0 ? largestScore : largestSlope),
    );
    if (!isBounded) return false;
    for (let trial = 0; trial < trials; trial++) {
      const off = run(point, () => roundoff * (2 * stream.uniform() - 1));
      const moves = off.some(
        (value, place) =>
          !(Math.abs(value - exact[place]) <= steadiness * Math.max(smallest[place], Math.abs(exact[place]))),
      );
      if (moves) return false;
    }
  }
  return true;
}

function tryOut<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof DomainError && error.code === "expression-constant") return undefined;
    throw error;
  }
}

type Point = Readonly<Record<string, number>>;

/** Computes expressions with every leaf and operation off by a share that `off` draws; NaN where a step leaves float32. */
function interpreter(expressions: readonly Expression[]): (point: Point, off: () => number) => number[] {
  const { instructions, outputs } = linearise(expressions);
  const values = new Float64Array(instructions.length);
  return (point, off) => {
    instructions.forEach(({ operation, operands: [a, b], leaf }, place) => {
      if (operation === "constant") values[place] = leaf as number;
      else {
        const value =
          operation === "variable" ? point[leaf as string] : arithmetic[operation](values[a], values[b ?? 0]);
        values[place] = value * (1 + off());
      }
    });
    const stays = values.every((value) => Math.abs(value) <= largestStep);
    return outputs.map((place) => (stays ? values[place] : Number.NaN));
  };
}

/** s, ‖q‖² and ‖k‖² of every pair, before a position turns them. */
function* pairPoints({ similarity: { terms } }: Composition, { q, k }: Problem["inputs"]): Iterable<Point> {
  const [batch, heads, queries, width] = q.shape;
  const [, keyHeads, keys] = k.shape;
  const [{ inner }] = terms(width);
  const compare = inners[inner];
  const block = { start: 0, stop: width };
  const [from, to] = [Float64Array.from(q.data), Float64Array.from(k.data)];
  const square = (data: Float64Array, at: number): number => inners.dot.reduce(data, at, data, at, block);
  for (let row = 0; row < batch * heads * queries; row++) {
    const [b, h] = [Math.floor(row / queries / heads), Math.floor(row / queries) % heads];
    const q2 = square(from, row * width);
    for (let key = 0; key < keys; key++) {
      const at = ((b * keyHeads + Math.floor((h * keyHeads) / heads)) * keys + key) * width;
      yield { s: compare.reduce(from, row * width, to, at, block), q2, k2: square(to, at) };
    }
  }
}
