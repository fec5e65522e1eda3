/**
 * @file What float32 does to a call, said in f64: the inputs off by one rounding, and the steps in which a kernel must
 * round, each off by what its rounding is. Where that moves a number, no kernel can be held to a narrower tolerance.
 *
 * - every operation of a score rounds: of near hyperbolic points that is all that is left of their distance;
 * - the gradient of a weight is a sum of E products, of which softmax takes the row's mean: of a lone key nothing is left
 *   but the rounding of the sum;
 * - the length of a centroid is √(M₀² − ‖M‖²), whose two squares are 1 + c·‖M‖² times as large as their difference.
 */
import {
  type Aggregation,
  type Composition,
  Expression,
  type Normaliser,
  type Random,
  random,
} from "../../src/index.ts";
import { nudged } from "./laws-of-numbers.ts";
import { type Problem } from "./problem.ts";

/** A rounding to the nearest float32 is off by half of it at most. */
const unit = 2 ** -23;

/** The call with its inputs and steps off by a rounding each, up or down. */
export function roughened(problem: Problem, ...keys: readonly (number | string)[]): Problem {
  const moved = nudged(problem, ...keys);
  return { ...moved, composition: roughComposition(moved.composition, random("roughened", ...keys)) };
}

function roughComposition(composition: Composition, stream: Random): Composition {
  const sign = (): number => (stream.uniform() < 0.5 ? 1 : -1);
  const { similarity, normaliser, aggregation } = composition;
  const score = roughScore(similarity.score, sign);
  const products = new SumsOfProducts();
  return {
    ...composition,
    similarity: { ...similarity, score },
    aggregation: roughAggregation(aggregation, products, sign),
    normaliser: roughNormaliser(normaliser, products, sign),
  };
}

/** Exponentials, roots and their like are stated to within this many roundings: see `vector-math.ts`. */
const functionUnits = 4;

/** The formula with every variable and every operation off by a rounding. */
function roughScore(score: Expression, sign: () => number): Expression {
  const known = new Map<Expression, Expression>();
  const visit = (node: Expression): Expression => {
    if (node.operation === "constant") return node;
    let found = known.get(node);
    if (found === undefined) {
      const same = new Expression(node.operation, node.operands.map(visit), node.leaf);
      const isFunction = !["variable", "add", "sub", "mul", "div"].includes(node.operation);
      found = same.mul(1 + (isFunction ? functionUnits : 1) * unit * sign());
      known.set(node, found);
    }
    return found;
  };
  return visit(score);
}

/** What the last row's aggregation found: the size of the terms whose sum is the gradient of a kept weight. */
class SumsOfProducts {
  sizes: Float64Array = new Float64Array();
}

const curvatureOf = ({ name }: Aggregation, parameter: number | undefined): number =>
  name === "centroid" ? (parameter ?? 1) : 0;
const squareOf = (vector: Float64Array): number => vector.reduce((sum, x) => sum + x * x, 0);

function roughAggregation(
  aggregation: Aggregation,
  products: SumsOfProducts,
  sign: () => number,
): Aggregation {
  return {
    ...aggregation,
    forward(weights, values, context) {
      const out = aggregation.forward(weights, values, context);
      const curvature = curvatureOf(aggregation, context.parameter);
      const off = 1 + unit * sign() * (1 + curvature * squareOf(out));
      return out.map((x) => x * off);
    },
    backward(weights, values, outGradient, valueGradients, context) {
      const curvature = curvatureOf(aggregation, context.parameter);
      const out = aggregation.forward(weights, values, context);
      const outSize = Math.sqrt(squareOf(out));
      const along = Math.abs(outGradient.reduce((sum, gradient, e) => sum + gradient * out[e], 0));
      const mass = curvature === 0 ? 1 : weights.reduce((a, b) => a + b, 0);
      products.sizes = Float64Array.from(values, (value) => {
        const terms = value.reduce((sum, x, e) => sum + Math.abs(x * outGradient[e]), 0);
        return (terms + 2 * curvature * along * outSize * Math.sqrt(squareOf(value))) / mass;
      });
      const rounding = unit * (1 + curvature * squareOf(out));
      const off = 1 + rounding * sign();
      const exact = aggregation.backward(
        weights,
        values,
        outGradient.map((gradient) => gradient * off),
        valueGradients,
        context,
      );
      // By the curvature a centroid changes through its length and through the times of its values, one against the other.
      return curvature === 0
        ? exact
        : { ...exact, parameter: exact.parameter + (rounding * sign() * along) / curvature };
    },
  };
}

function roughNormaliser(normaliser: Normaliser, products: SumsOfProducts, sign: () => number): Normaliser {
  return {
    ...normaliser,
    backward(scores, weightGradients, context) {
      const exact = normaliser.backward(scores, weightGradients, context);
      const { weights } = normaliser.forward(scores, context);
      const off = products.sizes.map(
        (size, j) => unit * sign() * size * (normaliser.nonNegative ? Math.abs(weights[j]) : 1),
      );
      // A sink takes the row's mean, a bias the sum of all: of either this is what rounding leaves.
      const offAll = off.reduce((sum, part) => sum + Math.abs(part), 0);
      return {
        scores: exact.scores.map((gradient, j) => gradient + off[j]),
        parameter: exact.parameter + (context.parameter === undefined ? 0 : sign() * offAll),
      };
    },
  };
}
