/** @file The fused loss against its f64 reference: its value, gradients, odd sizes, threads, poison. */
import { afterAll, describe, expect, test } from "vitest";
import { draw, expectBlock, type Tensors } from "../../../../test/dense-block.ts";
import { random } from "../../../base/random.ts";
import { type ReferenceLoss, referenceLoss } from "../../reference/loss.ts";
import { fusedLoss, type LossInputs } from "./fused-loss.ts";
import { nodeEngine } from "../engine/pool.node.ts";

const engines = [
  nodeEngine({ threads: 1, relaxed: false }),
  nodeEngine({ threads: 1 }),
  nodeEngine({ threads: 2 }),
];
afterAll(() => {
  for (const engine of engines) engine.close();
});

type Sizes = readonly [rows: number, width: number, vocabulary: number];

function makeInputs([rows, width, vocabulary]: Sizes, hasShift: boolean): LossInputs {
  return {
    x: draw("x", [rows, width]),
    gain: draw("gain", [width]),
    ...(hasShift ? { shift: draw("shift", [width]) } : {}),
    table: draw("table", [vocabulary, width]),
  };
}

function makeTargets([rows, , vocabulary]: Sizes): Int32Array {
  const stream = random("targets", rows, vocabulary);
  return Int32Array.from({ length: rows }, () => stream.integer(vocabulary));
}

const sizes: readonly Sizes[] = [
  [1, 1, 1],
  [3, 5, 2],
  [63, 8, 9],
  [65, 18, 12],
  [100, 17, 15],
  [700, 16, 81],
];

/** Of the cases with a shift, so that both the default and another one are computed. */
const epsilon = 0.25;
const withEpsilon = <T extends object>(inputs: T): T => ("shift" in inputs ? { ...inputs, epsilon } : inputs);

describe.each([
  ["RMSNorm", false],
  ["LayerNorm", true],
] as const)("after %s", (_, hasShift) => {
  test.each(sizes)("rows %d, width %d, vocabulary %d: loss and gradients are the reference's", (...size) => {
    const targets = makeTargets(size);
    expectBlock(engines, {
      inputs: makeInputs(size, hasShift) as unknown as Tensors,
      reference: (wide) => [
        referenceLoss({ ...(withEpsilon(wide) as unknown as ReferenceLoss), targets: Array.from(targets) }),
      ],
      forward: (engine, given) => {
        const { loss } = fusedLoss(engine, withEpsilon(given) as unknown as LossInputs, targets, false);
        return [{ data: Float32Array.of(loss), shape: [] }];
      },
      backward: (engine, given, [{ data }]) => {
        const { gradients } = fusedLoss(engine, withEpsilon(given) as unknown as LossInputs, targets, true);
        return Object.fromEntries(
          Object.entries(gradients!).map(([name, tensor]) => [
            name,
            { data: tensor.data.map((value: number) => value * data[0]), shape: tensor.shape },
          ]),
        );
      },
    });
  });
});

test("logits of any size have a finite loss", () => {
  const size = [5, 4, 7] as const;
  const inputs = makeInputs(size, false);
  const table = { ...inputs.table, data: inputs.table.data.map((value) => 1e4 * value) };
  const { loss, gradients } = fusedLoss(engines[1], { ...inputs, table }, makeTargets(size), true);
  expect(Number.isFinite(loss)).toBe(true);
  expect(gradients!.table.data.every(Number.isFinite)).toBe(true);
});

test("two threads give the bits of one", () => {
  const size = [700, 18, 12] as const;
  const inputs = makeInputs(size, true);
  const targets = makeTargets(size);
  const [, one, two] = engines;
  expect(fusedLoss(two, inputs, targets, true)).toEqual(fusedLoss(one, inputs, targets, true));
});

test("targets outside the table are refused, and nothing stays taken", () => {
  const [, engine] = engines;
  const { mark } = engine.arena;
  const inputs = makeInputs([3, 5, 2], false);
  expect(() => fusedLoss(engine, inputs, Int32Array.of(0, 2, 1), true)).toThrow("a row of it");
  expect(engine.arena.mark).toBe(mark);
});
