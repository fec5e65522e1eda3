/**
 * @file A table of vectors trained so that right pairs score higher than wrong ones: softmax loss over candidates,
 * Riemannian gradient descent in the space of the similarity, f64.
 */
import { rowSpread } from "../attention/index.ts";
import { random } from "../base/random.ts";
import { embeddingKernel } from "../kernels/javascript/embedding-kernel.ts";
import { type Similarity } from "../similarities/index.ts";
import {
  complexSpace,
  euclideanSpace,
  lorentzSpace,
  poincareSpace,
  type Space,
  sphereSpace,
} from "../spaces/index.ts";
import { type Metrics } from "./trainable.ts";

/** What is trained. */
export interface EmbeddingOptions {
  readonly similarity: Similarity;
  /** Vectors of the table. */
  readonly count: number;
  /** D */
  readonly width: number;
  /** Vectors begin uniform in ±this. */
  readonly initialScale: number;
  readonly seed: number;
}

/** A table in training. */
export interface EmbeddingTrainer {
  /** [count, width], flat. */
  readonly table: Float64Array;
  /** The similarity's parameters, in the order in which it declares them. */
  readonly parameters: Float64Array;
  /** Goes on from a saved table and its parameters. */
  readonly restore: (table: ArrayLike<number>, parameters: ArrayLike<number>) => void;
  /** Adds the gradient of −log softmax of the right candidate's score among all; returns the loss. */
  readonly learn: (node: number, right: number, wrong: Int32Array) => number;
  /** Moves every point that has a gradient, and the learned parameters; then there is none. */
  readonly move: (learningRate: number) => void;
  /** Scores of one node against all, its own included. */
  readonly scoreRow: (node: number, scores: Float64Array) => void;
  /** Common metrics: parameters, largest score, entropy of rows, largest radius. */
  readonly measure: () => Metrics;
}

/** Steps are cut to this geodesic length: a point never jumps further than the space's own unit. */
const longestStep = 1;
/** Every pair turns the temperature, so it moves this much slower than the points that few pairs touch. */
const parameterRate = 1e-3;
/** How many points of N(0, 1) the temperature is calibrated on. */
const calibrationPoints = 256;

/**
 * Makes a table and what trains it. The temperature is calibrated on points of unit variance, where every space shows its
 * curvature, so that rows of scores have unit standard deviation; it is then learned, as are parameters asked for as `learned`.
 *
 * @throws UnsupportedError `embedding-kernel`, ShapeError when the width does not fit
 */
export function embeddingTrainer(options: EmbeddingOptions): EmbeddingTrainer {
  const { similarity, count, width, initialScale, seed } = options;
  const kernel = embeddingKernel(similarity, width);
  const draws = random(seed, "hierarchy", "init");
  const table = Float64Array.from({ length: count * width }, () => initialScale * (2 * draws.uniform() - 1));
  const parameters = calibratedValues(similarity, width, kernel, seed);
  const learned = similarity.parameters.map(
    ({ mode, name }) =>
      mode === "learned" || (isTemperature(similarity, name) && !isFixedByUser(similarity, name)),
  );
  let space = spaceOf(similarity, parameters);
  const gradient = new Float64Array(table.length);
  const parameterGradient = new Float64Array(parameters.length);
  const touched = new Set<number>();
  let scores = new Float64Array(0);
  let slopes = new Float64Array(0);
  const [point, slope, direction] = [0, 1, 2].map(() => new Float64Array(width));

  function learn(node: number, right: number, wrong: Int32Array): number {
    const count = wrong.length + 1;
    if (scores.length !== count) {
      scores = new Float64Array(count);
      slopes = new Float64Array(count * kernel.slopeCount);
    }
    const candidate = (place: number): number => (place === 0 ? right : wrong[place - 1]);
    let largest = -Infinity;
    for (let place = 0; place < count; place++) {
      const at = place * kernel.slopeCount;
      scores[place] = kernel.scoreWithSlopes(table, node, candidate(place), parameters, slopes, at);
      largest = Math.max(largest, scores[place]);
    }
    let mass = 0;
    for (let place = 0; place < count; place++) mass += Math.exp(scores[place] - largest);
    for (let place = 0; place < count; place++) {
      const cotangent = Math.exp(scores[place] - largest) / mass - (place === 0 ? 1 : 0);
      const [other, at] = [candidate(place), place * kernel.slopeCount];
      kernel.accumulate(cotangent, table, node, other, slopes, at, gradient, parameterGradient);
      touched.add(other);
    }
    touched.add(node);
    return largest + Math.log(mass) - scores[0];
  }

  function move(learningRate: number): void {
    for (const row of touched) movePoint(row * width, learningRate);
    touched.clear();
    turn(learningRate);
  }

  /** Moves one point along the geodesic against its gradient, and clears the gradient. */
  function movePoint(at: number, learningRate: number): void {
    for (let d = 0; d < width; d++) {
      point[d] = table[at + d];
      slope[d] = gradient[at + d];
      gradient[at + d] = 0;
    }
    space.riemannianGradient(point, slope, direction);
    let squared = 0;
    for (let d = 0; d < width; d++) squared += slope[d] * direction[d];
    if (!(squared > 0)) return;
    const length = learningRate * Math.sqrt(squared);
    const factor = -learningRate * Math.min(1, longestStep / length);
    for (let d = 0; d < width; d++) direction[d] *= factor;
    space.retract(point, direction, point);
    table.set(point, at);
  }

  /** Learned parameters are positive and move by their logarithm; a learned curvature bends the space of the next step. */
  function turn(learningRate: number): void {
    parameterGradient.forEach((value, index) => {
      if (!learned[index]) return;
      const { maximum = Infinity } = similarity.parameters[index];
      const turned = parameters[index] * Math.exp(-learningRate * parameterRate * value * parameters[index]);
      parameters[index] = Math.min(turned, maximum);
    });
    parameterGradient.fill(0);
    if (learned.some((isLearned, index) => isLearned && similarity.parameters[index].name === "c")) {
      space = spaceOf(similarity, parameters);
    }
  }

  function restore(savedTable: ArrayLike<number>, savedParameters: ArrayLike<number>): void {
    table.set(savedTable);
    parameters.set(savedParameters);
    space = spaceOf(similarity, parameters);
  }

  function scoreRow(node: number, scores: Float64Array): void {
    for (let other = 0; other < count; other++) scores[other] = kernel.score(table, node, other, parameters);
  }

  function measure(): Metrics {
    const scores = new Float64Array(count);
    let largestLogit = 0;
    let entropy = 0;
    for (let node = 0; node < count; node++) {
      scoreRow(node, scores);
      scores[node] = -Infinity;
      const largest = scores.reduce((a, b) => Math.max(a, b));
      const mass = scores.reduce((sum, score) => sum + Math.exp(score - largest), 0);
      scores.forEach((score) => {
        if (score === -Infinity) return;
        const weight = Math.exp(score - largest) / mass;
        largestLogit = Math.max(largestLogit, Math.abs(score));
        entropy -= weight > 0 ? weight * Math.log(weight) : 0;
      });
    }
    return {
      parameters: table.length + learned.filter(Boolean).length,
      stateBytes: table.byteLength,
      largestLogit,
      entropy: entropy / count,
    };
  }

  return { table, parameters, restore, learn, move, scoreRow, measure };
}

const isTemperature = ({ temperature }: Similarity, name: string): boolean =>
  temperature?.parameters.includes(name) ?? false;

const isFixedByUser = ({ options }: Similarity, name: string): boolean => typeof options[name] === "number";

/** Declared values with the temperature turned until rows of scores of unit gaussian points have unit spread. */
function calibratedValues(
  similarity: Similarity,
  width: number,
  kernel: ReturnType<typeof embeddingKernel>,
  seed: number,
): Float64Array {
  const draws = random(seed, "hierarchy", "calibration");
  const values = Float64Array.from(
    similarity.parameters,
    (parameter) => parameter.initial({ heads: 1, width }, draws)[0],
  );
  const points = Float64Array.from(draws.normals(calibrationPoints * width));
  const scores = Float64Array.from({ length: calibrationPoints ** 2 }, (_, flat) => {
    const [u, w] = [Math.floor(flat / calibrationPoints), flat % calibrationPoints];
    return u === w ? -Infinity : kernel.score(points, u, w, values);
  });
  const [spread] = rowSpread({ data: scores, shape: [1, 1, calibrationPoints, calibrationPoints] });
  return values.map((value, index) => {
    const { name } = similarity.parameters[index];
    return isTemperature(similarity, name) && !isFixedByUser(similarity, name)
      ? value * spread ** (-1 / (similarity.temperature?.power ?? 1))
      : value;
  });
}

/** The space in which the similarity's coordinates move. Products move their blocks as flat coordinates. */
function spaceOf(similarity: Similarity, parameters: Float64Array): Space {
  const c = parameters[similarity.parameters.findIndex(({ name }) => name === "c")];
  switch (similarity.space) {
    case "lorentz":
      return lorentzSpace({ c });
    case "poincare":
      return poincareSpace({ c });
    case "sphere":
      return sphereSpace();
    case "complex":
      return complexSpace();
    default:
      return euclideanSpace();
  }
}
