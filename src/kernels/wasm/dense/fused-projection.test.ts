/** @file The fused projections around an attention against their f64 references: outputs, gradients, odd sizes, threads, poison. */
import { afterAll, describe, expect, test } from "vitest";
import { draw, expectBlock, type Tensors } from "../../../../test/dense-block.ts";
import { type Tensor } from "../../../base/tensor.ts";
import { referenceMerge, type ReferenceProjection, referenceProjection } from "../../reference/projection.ts";
import { fusedMerge, fusedMergeBackward } from "./fused-merge.ts";
import {
  fusedProjection,
  fusedProjectionBackward,
  type ProjectedGroup,
  type ProjectedHeads,
  type ProjectionInputs,
} from "./fused-projection.ts";
import { nodeEngine } from "../engine/pool.node.ts";

/** Sums of the same products in float32 in another order: some 200 of them, each off by 2⁻²⁴ of the sum so far. */
const SUM_TOLERANCE = 200 * 2 ** -24;

const engines = [
  nodeEngine({ threads: 1, relaxed: false }),
  nodeEngine({ threads: 1 }),
  nodeEngine({ threads: 2 }),
];
afterAll(() => {
  for (const engine of engines) engine.close();
});

/** Of the cases with a shift, so that both the default and another one are computed. */
const epsilon = 0.25;
const withEpsilon = <T extends object>(inputs: T): T => ("shift" in inputs ? { ...inputs, epsilon } : inputs);

interface Sizes {
  readonly batch: number;
  readonly length: number;
  readonly width: number;
  readonly headWidth: number;
  readonly groups: readonly ProjectedGroup[];
}

const one = { heads: 1, keyValueHeads: 1 };
const sizes: readonly Sizes[] = [
  { batch: 1, length: 1, width: 1, headWidth: 1, groups: [one] },
  { batch: 2, length: 3, width: 5, headWidth: 3, groups: [{ heads: 4, keyValueHeads: 2 }] },
  { batch: 1, length: 63, width: 16, headWidth: 8, groups: [{ heads: 2, keyValueHeads: 2 }] },
  { batch: 3, length: 65, width: 18, headWidth: 6, groups: [one, { heads: 2, keyValueHeads: 1 }] },
  { batch: 1, length: 1000, width: 8, headWidth: 4, groups: [{ heads: 2, keyValueHeads: 1 }] },
  { batch: 17, length: 8, width: 16, headWidth: 8, groups: [one, one] },
];
const titled = sizes.map((size) => [JSON.stringify(size), size] as const);

const sum = (groups: readonly ProjectedGroup[], of: keyof ProjectedGroup): number =>
  groups.reduce((total, group) => total + group[of], 0);

function projectionInputs({ batch, length, width, headWidth, groups }: Sizes, hasShift: boolean): Tensors {
  const [heads, keyValueHeads] = [sum(groups, "heads"), sum(groups, "keyValueHeads")];
  return {
    x: draw("x", [batch, length, width]),
    gain: draw("gain", [width]),
    ...(hasShift ? { shift: draw("shift", [width]) } : {}),
    q: draw("q", [heads * headWidth, width], width ** -0.5),
    k: draw("k", [keyValueHeads * headWidth, width], width ** -0.5),
    v: draw("v", [keyValueHeads * headWidth, width], width ** -0.5),
  };
}

/** Rows of heads side by side to the heads [first, first + count) of every sequence, [B, count, N, D]. */
function headsOf(
  rows: readonly (readonly number[])[],
  { batch, length, headWidth }: Sizes,
  first: number,
  count: number,
): number[] {
  const places = Array.from({ length: batch * count }, (_, place) => place);
  return places.flatMap((place) => {
    const [sequence, head] = [Math.floor(place / count), first + (place % count)];
    return rows
      .slice(sequence * length, (sequence + 1) * length)
      .flatMap((row) => row.slice(head * headWidth, (head + 1) * headWidth));
  });
}

const listed = (heads: readonly ProjectedHeads[]): Tensor[] => heads.flatMap(({ q, k, v }) => [q, k!, v]);
const grouped = (heads: readonly Tensor[], groups: readonly ProjectedGroup[]): ProjectedHeads[] =>
  groups.map((_, group) => {
    const [q, k, v] = heads.slice(3 * group, 3 * group + 3);
    return { q, k, v };
  });

describe.each([
  ["RMSNorm", false],
  ["LayerNorm", true],
] as const)("queries, keys and values after %s", (_, hasShift) => {
  test.each(titled)("%s: outputs and gradients are the reference's", (__, size) => {
    const { groups } = size;
    expectBlock(engines, {
      inputs: projectionInputs(size, hasShift),
      reference: (wide) => {
        const { q, k, v } = referenceProjection(withEpsilon(wide) as unknown as ReferenceProjection);
        let [query, key] = [0, 0];
        const projected = groups.flatMap(({ heads, keyValueHeads }) => {
          query += heads;
          key += keyValueHeads;
          return [
            ...headsOf(q, size, query - heads, heads),
            ...headsOf(k, size, key - keyValueHeads, keyValueHeads),
            ...headsOf(v, size, key - keyValueHeads, keyValueHeads),
          ];
        });
        // Who reads x beside the projection has a gradient of it as well.
        return [...projected, ...(wide["x"] as readonly (readonly number[])[]).flat()];
      },
      forward: (engine, given) => [
        ...listed(fusedProjection(engine, withEpsilon(given) as unknown as ProjectionInputs, groups)),
        given["x"],
      ],
      backward: (engine, given, dOut) =>
        fusedProjectionBackward(
          engine,
          withEpsilon(given) as unknown as ProjectionInputs,
          groups,
          grouped(dOut, groups),
          dOut[3 * groups.length],
        ),
    });
  });
});

describe("heads merged into rows", () => {
  test.each(titled)("%s: outputs and gradients are the reference's", (_, size) => {
    const { batch, length, width, headWidth, groups } = size;
    const names = groups.map((__, group) => `heads${group}`);
    const heads = sum(groups, "heads");
    const inputs: Tensors = {
      x: draw("x", [batch, length, width]),
      ...Object.fromEntries(
        groups.map((group, index) => [
          names[index],
          draw(names[index], [batch, group.heads, length, headWidth]),
        ]),
      ),
      weight: draw("weight", [width, heads * headWidth], (heads * headWidth) ** -0.5),
    };
    const mergeInputs = (given: Tensors) => ({
      x: given["x"],
      heads: names.map((name) => given[name]),
      weight: given["weight"],
    });
    expectBlock(engines, {
      inputs,
      reference: (wide) => {
        const rowOf = (row: number): number[] => {
          const [sequence, place] = [Math.floor(row / length), row % length];
          return groups.flatMap((group, index) =>
            Array.from({ length: group.heads }, (__, head) => {
              const lines = wide[names[index]] as readonly (readonly number[])[];
              return lines[(sequence * group.heads + head) * length + place];
            }).flat(),
          );
        };
        const rows = Array.from({ length: batch * length }, (__, row) => rowOf(row));
        const { x, weight } = wide as Record<string, readonly (readonly number[])[]>;
        return referenceMerge({ x, heads: rows, weight }).flat();
      },
      forward: (engine, given) => [fusedMerge(engine, mergeInputs(given))],
      backward: (engine, given, [dOut]) => {
        const { heads: gradients, weight } = fusedMergeBackward(engine, mergeInputs(given), dOut);
        return {
          x: dOut,
          weight,
          ...Object.fromEntries(names.map((name, index) => [name, gradients[index]])),
        };
      },
    });
  });
});

test("two threads give the bits of one", () => {
  const size = sizes[3];
  const inputs = projectionInputs(size, true) as unknown as ProjectionInputs;
  const [, one, two] = engines;
  const heads = fusedProjection(one, inputs, size.groups);
  expect(fusedProjection(two, inputs, size.groups)).toEqual(heads);
  expect(fusedProjectionBackward(two, inputs, size.groups, heads)).toEqual(
    fusedProjectionBackward(one, inputs, size.groups, heads),
  );
});

test("gradients that nobody has are zeros", () => {
  const size = sizes[1];
  const inputs = projectionInputs(size, false) as unknown as ProjectionInputs;
  const [{ v }] = fusedProjection(engines[1], inputs, size.groups);
  const { q, k } = fusedProjectionBackward(engines[1], inputs, size.groups, [{ v }]);
  for (const { data } of [q, k!]) expect(data.every((value) => value === 0)).toBe(true);
});

test("without a weight of keys the rest is what it is with it, when nobody reads the keys", () => {
  const size = sizes[3];
  const inputs = projectionInputs(size, true) as unknown as ProjectionInputs;
  const { k: _, ...keyless } = inputs;
  for (const engine of engines) {
    const heads = fusedProjection(engine, keyless, size.groups);
    expect(heads).toEqual(fusedProjection(engine, inputs, size.groups).map(({ q, v }) => ({ q, v })));
    const { k: __, x, gain, shift, ...weights } = fusedProjectionBackward(engine, inputs, size.groups, heads);
    const found = fusedProjectionBackward(engine, keyless, size.groups, heads);
    expect(Object.keys(found)).toEqual(["x", "gain", "shift", "q", "v"]);
    for (const [name, { data }] of Object.entries({ x, gain, shift: shift!, ...weights })) {
      const own = found[name as "q"].data;
      const error = data.reduce((worst, value, at) => Math.max(worst, Math.abs(value - own[at])), 0);
      const largest = data.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
      expect([name, error / largest <= SUM_TOLERANCE]).toEqual([name, true]);
    }
  }
});

test("weights that do not fit are refused with their shapes, and nothing stays taken", () => {
  const [, engine] = engines;
  const { mark } = engine.arena;
  const inputs = projectionInputs(sizes[1], false) as unknown as ProjectionInputs;
  expect(() => fusedProjection(engine, { ...inputs, k: inputs.q }, sizes[1].groups)).toThrow("k [12, 5]");
  const heads = fusedProjection(engine, inputs, sizes[1].groups).map(({ q }) => q);
  expect(() => fusedMerge(engine, { x: inputs.x, heads, weight: inputs.q })).toThrow("[12, 5]");
  expect(engine.arena.mark).toBe(mark);
});
