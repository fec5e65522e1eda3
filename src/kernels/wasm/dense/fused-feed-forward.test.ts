/** @file The fused feed-forward block against its f64 reference: outputs, gradients, odd sizes, threads, poison. */
import { afterAll, describe, expect, test } from "vitest";
import { draw, expectBlock, type Tensors } from "../../../../test/dense-block.ts";
import { type ReferenceFeedForward, referenceFeedForward } from "../../reference/feed-forward.ts";
import {
  type FeedForwardInputs,
  fusedFeedForward,
  fusedFeedForwardBackward,
  keepHidden,
  releaseHidden,
} from "./fused-feed-forward.ts";
import { nodeEngine } from "../engine/pool.node.ts";

type Sizes = readonly [rows: number, width: number, hidden: number];

function makeInputs(
  [rows, width, hidden]: Sizes,
  { hasGate, hasShift }: { readonly hasGate: boolean; readonly hasShift: boolean },
): FeedForwardInputs {
  return {
    x: draw("x", [rows, width]),
    gain: draw("gain", [width]),
    ...(hasShift ? { shift: draw("shift", [width]) } : {}),
    ...(hasGate ? { gate: draw("gate", [hidden, width], width ** -0.5) } : {}),
    up: draw("up", [hidden, width], width ** -0.5),
    down: draw("down", [width, hidden], hidden ** -0.5),
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

const sizes: readonly Sizes[] = [
  [1, 1, 1],
  [3, 5, 7],
  [63, 8, 16],
  [65, 16, 40],
  [100, 24, 33],
  [700, 18, 44],
];

/** Of the cases with a shift, so that both the default and another one are computed. */
const epsilon = 0.25;
const withEpsilon = <T extends object>(inputs: T): T => ("shift" in inputs ? { ...inputs, epsilon } : inputs);

describe.each([
  ["SwiGLU after RMSNorm", { hasGate: true, hasShift: false }],
  ["GELU after RMSNorm", { hasGate: false, hasShift: false }],
  ["SwiGLU after LayerNorm", { hasGate: true, hasShift: true }],
  ["GELU after LayerNorm", { hasGate: false, hasShift: true }],
] as const)("%s", (_, kind) => {
  test.each(sizes)("rows %d, width %d, hidden %d: outputs and gradients are the reference's", (...size) => {
    const inputs = makeInputs(size, kind);
    expectBlock(engines, {
      inputs: inputs as unknown as Tensors,
      reference: (wide) => referenceFeedForward(withEpsilon(wide) as unknown as ReferenceFeedForward).flat(),
      forward: (engine, given) => [
        fusedFeedForward(engine, withEpsilon(given) as unknown as FeedForwardInputs),
      ],
      backward: (engine, given, [dOut]) =>
        fusedFeedForwardBackward(engine, withEpsilon(given) as unknown as FeedForwardInputs, dOut),
    });
  });
});

test.each([true, false])("what forward keeps gives the same bits, with a gate: %s", (hasGate) => {
  const inputs = makeInputs([700, 18, 44], { hasGate, hasShift: false });
  for (const engine of engines) {
    const kept = keepHidden(engine, inputs)!;
    engine.arena.poison();
    expect(fusedFeedForward(engine, inputs, kept).data).toEqual(fusedFeedForward(engine, inputs).data);
    engine.arena.poison();
    const expected = fusedFeedForwardBackward(engine, inputs, inputs.x);
    expect(fusedFeedForwardBackward(engine, inputs, inputs.x, kept)).toEqual(expected);
    const { mark } = engine.arena;
    releaseHidden(engine, kept);
    expect(engine.arena.mark).toBeLessThan(mark);
  }
});

test("two threads give the bits of one", () => {
  const inputs = makeInputs([700, 18, 44], { hasGate: true, hasShift: true });
  const [, one, two] = engines;
  expect(fusedFeedForward(two, inputs).data).toEqual(fusedFeedForward(one, inputs).data);
  const dOut = inputs.x;
  expect(fusedFeedForwardBackward(two, inputs, dOut)).toEqual(fusedFeedForwardBackward(one, inputs, dOut));
});

test("weights that do not fit are refused with their shapes, and nothing stays taken", () => {
  const [, engine] = engines;
  const { mark } = engine.arena;
  const inputs = makeInputs([3, 5, 7], { hasGate: true, hasShift: false });
  expect(() => fusedFeedForward(engine, { ...inputs, down: inputs.up })).toThrow("down [7, 5]");
  expect(engine.arena.mark).toBe(mark);
});
