/**
 * @file A feed-forward over rows as a problem of ours: dense, or a mixture of experts with its router, whose last row is held
 * against the f64 reference before it is timed.
 */
import { dot, random, type Tensor, tensor } from "../../src/index.ts";
import { pullRouting } from "../../src/kernels/javascript/expert-routing.ts";
import { expertOf, routerScores } from "../../src/kernels/reference/experts.ts";
import { referenceRouting } from "../../src/kernels/reference/routing.ts";
import {
  fusedBackward,
  fusedExperts,
  fusedExpertsBackward,
  fusedFeedForward,
  fusedFeedForwardBackward,
  fusedForward,
  mixtralRouting,
  routerComposition,
  routeTokens,
  type WasmEngine,
} from "../../src/kernels/wasm/index.ts";
import { type FeedForwardProblem } from "../protocol.ts";
import { type Prepared } from "./serve.ts";

/** Sums of hundreds of products in float32. */
const tolerance = 1e-4;

const stream = random("bench", "experts");
const normals = (deviation: number, ...shape: readonly number[]): Tensor =>
  tensor(
    stream.normals(
      shape.reduce((a, b) => a * b),
      deviation,
    ),
    shape,
  );

/** A feed-forward that all rows meet, with its norm and residual. */
export function prepareDense(
  engine: WasmEngine,
  { tokens, width, hidden, direction }: FeedForwardProblem,
): Prepared {
  const inputs = {
    x: normals(1, tokens, width),
    gain: normals(1, width),
    gate: normals(width ** -0.5, hidden, width),
    up: normals(width ** -0.5, hidden, width),
    down: normals(hidden ** -0.5, width, hidden),
  };
  const dOut = normals(1, tokens, width);
  return {
    run() {
      fusedFeedForward(engine, inputs);
      if (direction === "both") fusedFeedForwardBackward(engine, inputs, dOut);
    },
    read: () => ({}),
    facts: () => ({ parameters: 3 * width * hidden + width }),
  };
}

/** Experts, their router and the routing. */
export function prepareExperts(
  engine: WasmEngine,
  { tokens, width, hidden, direction }: FeedForwardProblem,
  { count, choices }: NonNullable<FeedForwardProblem["experts"]>,
): Prepared {
  const rule = mixtralRouting({ choices });
  const router = routerComposition(dot());
  const weights = {
    gate: normals(width ** -0.5, count, hidden, width),
    up: normals(width ** -0.5, count, hidden, width),
    down: normals(hidden ** -0.5, count, width, hidden),
  };
  const [x, dOut, keys] = [normals(1, tokens, width), normals(1, tokens, width), normals(1, count, width)];
  const asked = {
    q: tensor(x.data, [1, 1, tokens, width]),
    k: tensor(keys.data, [1, 1, count, width]),
    v: tensor(identity(count), [1, 1, count, count]),
  };
  const run = (): Tensor => {
    const { out: scored, state: known } = fusedForward(engine, router, asked);
    const scores = { data: scored.data, experts: count };
    const routing = routeTokens(scores, direction === "both" ? rule : { ...rule, balance: 0 });
    const inputs = { x, ...weights, gates: tensor(routing.gates, [tokens, choices]) };
    const { out, state } = fusedExperts(engine, inputs, routing, { hasBackward: direction === "both" });
    if (state === undefined) return out;
    const { gates } = fusedExpertsBackward(engine, inputs, routing, dOut, state);
    const data = pullRouting(scores, rule, routing, { gates: gates.data, balance: 1 });
    fusedBackward(engine, router, asked, { data, shape: scored.shape }, { state: known, learned: [] });
    return out;
  };
  requireRight(run(), lastRowOf(rule, { x, keys, ...weights }));
  return {
    run: () => void run(),
    read: () => ({}),
    facts: () => ({ parameters: count * (3 * width * hidden + width) }),
  };
}

function identity(count: number): Float32Array {
  return Float32Array.from({ length: count * count }, (_, at) => (at % (count + 1) === 0 ? 1 : 0));
}

/** The last row by the f64 reference, from the experts that it is routed to. */
function lastRowOf(
  rule: Parameters<typeof referenceRouting>[1],
  { x, keys, ...weights }: Readonly<Record<"x" | "keys" | "gate" | "up" | "down", Tensor>>,
): readonly number[] {
  const width = x.shape[1];
  const row = [...x.data.subarray(x.data.length - width)];
  const matrix = ({ data, shape }: Tensor, index = 0): number[][] => {
    const [rows, columns] = shape.slice(-2);
    return Array.from({ length: rows }, (_, at) => {
      const start = (index * rows + at) * columns;
      return [...data.subarray(start, start + columns)];
    });
  };
  const parameters = { scale: { data: Float64Array.of(width ** -0.5), shape: [1] } };
  const scores = routerScores({ similarity: dot() }, { x: [row], keys: matrix(keys), parameters });
  const { chosen, gates } = referenceRouting(scores, rule);
  const sum = Array.from({ length: width }, () => 0);
  chosen[0].forEach((expert, place) => {
    const own = {
      gate: [matrix(weights.gate, expert)],
      up: [matrix(weights.up, expert)],
      down: [matrix(weights.down, expert)],
    };
    expertOf(own, 0, row).out.forEach((value, d) => (sum[d] += gates[0][place] * value));
  });
  return sum;
}

function requireRight({ data }: Tensor, expected: readonly number[]): void {
  const start = data.length - expected.length;
  const error = expected.reduce((most, value, d) => Math.max(most, Math.abs(value - data[start + d])), 0);
  if (!(error <= tolerance)) throw new Error(`experts are ${error} off the reference`);
}
