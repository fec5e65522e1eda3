/** @file The fused feed-forward block against its f64 reference: outputs, gradients by central differences, odd sizes, threads, poison. */
import { afterAll, describe, expect, test } from "vitest";
import { random } from "../../base/random.ts";
import { type Tensor } from "../../base/tensor.ts";
import { type ReferenceFeedForward, referenceFeedForward } from "../reference/feed-forward.ts";
import { type FeedForwardInputs, fusedFeedForward, fusedFeedForwardBackward } from "./fused-feed-forward.ts";
import { nodeEngine } from "./pool.node.ts";

/** Two products of up to a hundred terms in float32, 2^-24 each, and the errors of a sigmoid. */
const OUTPUT_TOLERANCE = 1e-5;
/** Central differences in f64 with step 1e-5, against gradients in float32. */
const SLOPE_TOLERANCE = 1e-4;
const STEP = 1e-5;

type Sizes = readonly [rows: number, width: number, hidden: number];

function makeInputs([rows, width, hidden]: Sizes, hasGate: boolean): FeedForwardInputs {
  const stream = random("feed-forward", rows, width, hidden);
  const make = (shape: readonly [number, number], deviation: number): Tensor => ({
    data: stream.normals(shape[0] * shape[1], deviation),
    shape,
  });
  return {
    x: make([rows, width], 1),
    ...(hasGate ? { gate: make([hidden, width], width ** -0.5) } : {}),
    up: make([hidden, width], width ** -0.5),
    down: make([width, hidden], hidden ** -0.5),
  };
}

function rowsOf({ data, shape }: Tensor): number[][] {
  const [rows, width] = shape;
  return Array.from({ length: rows }, (_, row) => [...data.subarray(row * width, (row + 1) * width)]);
}

const widened = (inputs: FeedForwardInputs): ReferenceFeedForward =>
  Object.fromEntries(
    Object.entries(inputs).map(([name, tensor]) => [name, rowsOf(tensor as Tensor)]),
  ) as unknown as ReferenceFeedForward;

const engines = [
  nodeEngine({ threads: 1, relaxed: false }),
  nodeEngine({ threads: 1 }),
  nodeEngine({ threads: 2 }),
];
afterAll(() => {
  for (const engine of engines) engine.close();
});

const sizes: readonly Sizes[] = [
  [1, 1, 1],
  [3, 5, 7],
  [63, 8, 16],
  [65, 16, 40],
  [100, 24, 33],
  [700, 16, 44],
];

describe.each([
  ["SwiGLU", true],
  ["GELU", false],
] as const)("%s", (_, hasGate) => {
  test.each(sizes)("rows %d, width %d, hidden %d: outputs and gradients are the reference's", (...size) => {
    const inputs = makeInputs(size, hasGate);
    const reference = widened(inputs);
    const expected = referenceFeedForward(reference).flat();
    const dOut = makeInputs([size[0], size[1], 1], false).x;
    const weigh = (changed: ReferenceFeedForward): number =>
      referenceFeedForward(changed)
        .flat()
        .reduce((sum, value, place) => sum + value * dOut.data[place], 0);
    const names = Object.keys(inputs) as (keyof FeedForwardInputs)[];
    const slopes = names.map((name) => {
      const along = random("along", name, ...size).normals(inputs[name]!.data.length);
      const moved = (sign: 1 | -1): ReferenceFeedForward => {
        const width = inputs[name]!.shape[1];
        return {
          ...reference,
          [name]: reference[name]!.map((row, r) =>
            row.map((value, c) => value + sign * STEP * along[r * width + c]),
          ),
        };
      };
      return { name, along, slope: (weigh(moved(1)) - weigh(moved(-1))) / (2 * STEP) };
    });
    for (const engine of engines) {
      engine.arena.poison();
      const { data, shape } = fusedFeedForward(engine, inputs);
      expect(shape).toEqual(inputs.x.shape);
      const largest = Math.max(1, ...expected.map(Math.abs));
      const worst = expected.reduce((most, value, place) => Math.max(most, Math.abs(value - data[place])), 0);
      expect(worst / largest).toBeLessThanOrEqual(OUTPUT_TOLERANCE);
      engine.arena.poison();
      const gradients = fusedFeedForwardBackward(engine, inputs, dOut);
      for (const { name, along, slope } of slopes) {
        const gradient = gradients[name]!;
        expect(gradient.shape).toEqual(inputs[name]!.shape);
        const found = gradient.data.reduce((sum, value, place) => sum + value * along[place], 0);
        const size = gradient.data.reduce((sum, value, place) => sum + Math.abs(value * along[place]), 0);
        expect(Math.abs(found - slope) / Math.max(1, size)).toBeLessThanOrEqual(SLOPE_TOLERANCE);
      }
    }
  });
});

test("two threads give the bits of one", () => {
  const inputs = makeInputs([700, 16, 44], true);
  const [, one, two] = engines;
  expect(fusedFeedForward(two, inputs).data).toEqual(fusedFeedForward(one, inputs).data);
  const dOut = inputs.x;
  expect(fusedFeedForwardBackward(two, inputs, dOut)).toEqual(fusedFeedForwardBackward(one, inputs, dOut));
});

test("weights that do not fit are refused with their shapes, and nothing stays taken", () => {
  const [, engine] = engines;
  const { mark } = engine.arena;
  const inputs = makeInputs([3, 5, 7], true);
  expect(() => fusedFeedForward(engine, { ...inputs, down: inputs.up })).toThrow("down [7, 5]");
  expect(engine.arena.mark).toBe(mark);
});
