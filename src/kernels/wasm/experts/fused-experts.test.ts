/** @file Fused experts against the f64 mixture: outputs, gradients, odd sizes, skewed loads, drops, threads, poison. */
import { afterAll, describe, expect, test } from "vitest";
import { parseSelector } from "../../../attention/index.ts";
import { random } from "../../../base/random.ts";
import { type Tensor, tensor } from "../../../base/tensor.ts";
import { pullRouting, routeTokens } from "../../javascript/expert-routing.ts";
import {
  type MixtureForm,
  referenceMixture,
  type ReferenceMixture,
  referenceMixtureBackward,
} from "../../reference/experts.ts";
import { mixtralRouting, switchRouting } from "../../reference/routing-rule.ts";
import { type ExpertInputs } from "./expert-call.ts";
import { fusedExperts, fusedExpertsBackward } from "./fused-experts.ts";
import { nodeEngine } from "../engine/pool.node.ts";

/** Two products of up to a hundred terms in float32, 2^-24 each, and the errors of a sigmoid, over the largest number. */
const TOLERANCE = 1e-5;
/** Sums over the 700 rows of a test are so much longer. */
const GRADIENT_TOLERANCE = 4e-5;

interface Sizes {
  readonly tokens: number;
  readonly experts: number;
  readonly width: number;
  readonly hidden: number;
}

interface Problem {
  readonly scores: Float32Array;
  readonly inputs: Omit<ExpertInputs, "gates">;
  readonly dOut: Tensor;
}

function makeProblem({ tokens, experts, width, hidden }: Sizes, hasGate: boolean): Problem {
  const stream = random("experts", tokens, experts, width, hidden);
  const make = (deviation: number, ...shape: readonly number[]): Tensor =>
    tensor(
      stream.normals(
        shape.reduce((a, b) => a * b),
        deviation,
      ),
      shape,
    );
  const scores = stream.normals(tokens * experts);
  // The first expert is wanted by most, the last by nobody: loads are as uneven as they come.
  for (let token = 0; token < tokens; token++) {
    if (experts < 3) continue;
    scores[token * experts] += 1;
    scores[token * experts + experts - 1] -= 40;
  }
  return {
    scores,
    inputs: {
      x: make(1, tokens, width),
      ...(hasGate ? { gate: make(width ** -0.5, experts, hidden, width) } : {}),
      up: make(width ** -0.5, experts, hidden, width),
      down: make(hidden ** -0.5, experts, width, hidden),
    },
    dOut: make(1, tokens, width),
  };
}

function nested({ data, shape }: Tensor): unknown {
  const [, ...rest] = shape;
  if (rest.length === 0) return [...data];
  const size = rest.reduce((a, b) => a * b);
  return Array.from({ length: shape[0] }, (_, index) =>
    nested({ data: data.subarray(index * size, (index + 1) * size), shape: rest }),
  );
}

/** The reference's router with one-hot rows as keys of x's scores: x is the scores, so that both route alike. */
function referenceOf({ scores, inputs, dOut }: Problem, form: MixtureForm, experts: number) {
  const width = inputs.x.shape[1];
  const rows = nested(inputs.x) as number[][];
  const scoreRows = nested(tensor(scores, [rows.length, experts])) as number[][];
  // Scores ride along behind x: expert keys read them, and the experts' weights are zero there.
  const x = rows.map((row, token) => [...row, ...scoreRows[token]]);
  const widened = (matrices: unknown): number[][][] =>
    (matrices as number[][][]).map((matrix) =>
      matrix.map((row) => [...row, ...Array<number>(experts).fill(0)]),
    );
  const zeros = (count: number): number[] => Array<number>(count).fill(0);
  const mixture: ReferenceMixture = {
    x,
    keys: Array.from({ length: experts }, (_, expert) => [
      ...zeros(width),
      ...zeros(experts).map((_, other) => (other === expert ? 1 : 0)),
    ]),
    parameters: {},
    ...(inputs.gate === undefined ? {} : { gate: widened(nested(inputs.gate)) }),
    up: widened(nested(inputs.up)),
    down: (nested(inputs.down) as number[][][]).map((matrix) => [
      ...matrix,
      ...Array.from({ length: experts }, () => zeros(inputs.up.shape[1])),
    ]),
  };
  const byOut = (nested(dOut) as number[][]).map((row) => [...row, ...zeros(experts)]);
  const { out } = referenceMixture(form, mixture);
  const gradients = referenceMixtureBackward(form, mixture, byOut, 0);
  const cut = (matrix: readonly (readonly number[])[]): number[] =>
    matrix.flatMap((row) => row.slice(0, width));
  return {
    out: cut(out),
    x: cut(gradients.x),
    scores: gradients.x.flatMap((row) => row.slice(width)),
    gate: gradients.gate?.flatMap(cut),
    up: gradients.up.flatMap(cut),
    down: gradients.down.flatMap((matrix) => matrix.slice(0, width).flat()),
  };
}

const engines = [
  nodeEngine({ threads: 1, relaxed: false }),
  nodeEngine({ threads: 1 }),
  nodeEngine({ threads: 2 }),
];
afterAll(() => {
  for (const engine of engines) engine.close();
});

function expectClose(given: Float32Array, expected: readonly number[], tolerance: number): void {
  expect(given.length).toBe(expected.length);
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  const worst = expected.reduce((most, value, place) => {
    const error = Math.abs(value - given[place]);
    return error <= most ? most : error;
  }, 0);
  expect(worst / largest).toBeLessThanOrEqual(tolerance);
}

const sizes: readonly Sizes[] = [
  { tokens: 1, experts: 3, width: 1, hidden: 1 },
  { tokens: 3, experts: 2, width: 5, hidden: 7 },
  { tokens: 63, experts: 5, width: 8, hidden: 16 },
  { tokens: 65, experts: 16, width: 16, hidden: 40 },
  { tokens: 100, experts: 4, width: 24, hidden: 33 },
  { tokens: 700, experts: 3, width: 16, hidden: 44 },
];
const rules = [switchRouting({ capacityFactor: 0.75 }), mixtralRouting()];

describe.each([
  ["SwiGLU", true],
  ["GELU", false],
] as const)("%s", (_, hasGate) => {
  test.each(sizes)("$tokens tokens, $experts experts, width $width, hidden $hidden", (size) => {
    const problem = makeProblem(size, hasGate);
    const { experts, tokens } = size;
    const { similarity } = parseSelector("dot:scale=1");
    for (const rule of rules) {
      const expected = referenceOf(problem, { similarity, rule }, experts);
      const scores = { data: problem.scores, experts };
      const routing = routeTokens(scores, rule);
      const inputs = { ...problem.inputs, gates: tensor(routing.gates, [tokens, rule.choices]) };
      for (const engine of engines) {
        engine.arena.poison();
        const { out, state } = fusedExperts(engine, inputs, routing);
        expect(out.shape).toEqual(inputs.x.shape);
        expectClose(out.data, expected.out, TOLERANCE);
        engine.arena.poison();
        const gradients = fusedExpertsBackward(engine, inputs, routing, problem.dOut, state!);
        for (const name of ["x", "up", "down", "gate"] as const) {
          if (name === "gate" && !hasGate) continue;
          expect(gradients[name]!.shape).toEqual(inputs[name]!.shape);
          expectClose(gradients[name]!.data, expected[name]!, GRADIENT_TOLERANCE);
        }
        const byScores = pullRouting(scores, rule, routing, { gates: gradients.gates.data });
        expectClose(byScores, expected.scores, GRADIENT_TOLERANCE);
      }
    }
  });
});

test("two threads give the bits of one", () => {
  const { inputs: weights, scores, dOut } = makeProblem(sizes[5], true);
  const routing = routeTokens({ data: scores, experts: 3 }, mixtralRouting());
  const inputs = { ...weights, gates: tensor(routing.gates, [700, 2]) };
  const [, one, two] = engines;
  const results = [one, two].map((engine) => fusedExperts(engine, inputs, routing));
  expect(results[1]).toEqual(results[0]);
  const [first, second] = [one, two].map((engine) =>
    fusedExpertsBackward(engine, inputs, routing, dOut, results[0].state!),
  );
  expect(second).toEqual(first);
});

test("without a backward pass to come, nothing is kept for it", () => {
  const { inputs, scores } = makeProblem(sizes[1], true);
  const routing = routeTokens({ data: scores, experts: 2 }, switchRouting());
  const gates = tensor(routing.gates, [3, 1]);
  expect(
    fusedExperts(engines[0], { ...inputs, gates }, routing, { hasBackward: false }).state,
  ).toBeUndefined();
});

test("inputs that do not fit are refused with their shapes, and nothing stays taken", () => {
  const [, engine] = engines;
  const { mark } = engine.arena;
  const { inputs: weights, scores } = makeProblem(sizes[1], true);
  const routing = routeTokens({ data: scores, experts: 2 }, switchRouting());
  const inputs = { ...weights, gates: tensor(routing.gates, [3, 1]) };
  expect(() => fusedExperts(engine, { ...inputs, down: inputs.up }, routing)).toThrow("down [2, 7, 5]");
  expect(engine.arena.mark).toBe(mark);
});
