/** @file The mixture in f64: gradients against central differences, and the laws of routing by hand. */
import { describe, expect, test } from "vitest";
import { initialParameters, parseSelector } from "../../attention/index.ts";
import { random } from "../../base/random.ts";
import { tensor64, type Tensor64 } from "../../base/tensor.ts";
import {
  type MixtureForm,
  referenceMixture,
  referenceMixtureBackward,
  type ReferenceMixture,
} from "./experts.ts";
import { referenceRouting } from "./routing.ts";
import { mixtralRouting, requireExperts, routerComposition, switchRouting } from "./routing-rule.ts";

/** Central differences in f64 with step 1e-6: truncation 1e-12, rounding 1e-10 over gradients of size 1. */
const SLOPE_TOLERANCE = 1e-6;
const STEP = 1e-6;
/** Sums of a hundred numbers of size 1 in f64. */
const ROUNDING = 1e-13;

interface Sizes {
  readonly tokens: number;
  readonly experts: number;
  readonly width: number;
  readonly hidden: number;
}

const sizes: Sizes = { tokens: 7, experts: 4, width: 6, hidden: 5 };

function makeMixture(
  form: MixtureForm,
  { tokens, experts, width, hidden }: Sizes,
  hasGate: boolean,
): ReferenceMixture {
  const stream = random("mixture", form.similarity.name, form.rule.name);
  const matrix = (rows: number, columns: number): number[][] =>
    Array.from({ length: rows }, () => [...stream.normals(columns)]);
  const each = (rows: number, columns: number): number[][][] =>
    Array.from({ length: experts }, () => matrix(rows, columns));
  return {
    x: matrix(tokens, width),
    keys: matrix(experts, width),
    parameters: initialParameters(routerComposition(form.similarity), { heads: 1, width }),
    ...(hasGate ? { gate: each(hidden, width) } : {}),
    up: each(hidden, width),
    down: each(width, hidden),
  };
}

type Tree = number | readonly Tree[] | Tensor64 | { readonly [name: string]: Tree };

/** Every number of a tree of arrays, in one order. */
function numbersOf(tree: Tree): number[] {
  if (typeof tree === "number") return [tree];
  if (Array.isArray(tree)) return (tree as readonly Tree[]).flatMap(numbersOf);
  if ("data" in (tree as object) && "shape" in (tree as object)) return [...(tree as Tensor64).data];
  return Object.entries(tree as Record<string, Tree>).flatMap(([, member]) => numbersOf(member));
}

/** The tree with its numbers moved by those of `along`. */
function moved(tree: Tree, along: Iterator<number>, step: number): Tree {
  const next = (): number => step * (along.next().value as number);
  if (typeof tree === "number") return tree + next();
  if (Array.isArray(tree)) return (tree as readonly Tree[]).map((member) => moved(member, along, step));
  if ("data" in (tree as object) && "shape" in (tree as object)) {
    const { data, shape } = tree as Tensor64;
    return tensor64(
      data.map((value) => value + next()),
      shape,
    );
  }
  return Object.fromEntries(
    Object.entries(tree as Record<string, Tree>).map(([name, member]) => [name, moved(member, along, step)]),
  );
}

const similarities = [
  "dot:scale=learned",
  "l2",
  "cosine",
  "poincare:c=learned",
  "l1",
  "mahalanobis",
  "tropical",
];
const rules = [
  ["switch", switchRouting({ capacityFactor: 0.75, balance: 0.5 })],
  ["mixtral", mixtralRouting({ balance: 0.5 })],
  ["three of all, cut", switchRouting({ choices: 3, capacityFactor: 0.9, balance: 0.5 })],
] as const;

describe.each(similarities)("router %s", (selector) => {
  const { similarity } = parseSelector(selector);
  test.each(rules)("%s: gradients are central differences", (_, rule) => {
    for (const hasGate of [true, false]) {
      const form = { similarity, rule };
      const inputs = makeMixture(form, sizes, hasGate);
      const stream = random("along", selector, rule.name);
      const dOut = inputs.x.map(() => [...stream.normals(sizes.width)]);
      const dBalance = 3;
      const loss = (changed: ReferenceMixture): number => {
        const { out, routing } = referenceMixture(form, changed);
        return (
          out.flat().reduce((sum, value, place) => sum + value * dOut.flat()[place], 0) +
          dBalance * routing.balance
        );
      };
      const gradients = referenceMixtureBackward(form, inputs, dOut, dBalance);
      for (const name of Object.keys(inputs) as (keyof ReferenceMixture)[]) {
        const tree = inputs[name] as unknown as Tree;
        const gradient = numbersOf(gradients[name] as unknown as Tree);
        expect(gradient.length).toBe(numbersOf(tree).length);
        const along = [...stream.normals(gradient.length)];
        const at = (step: number): number => loss({ ...inputs, [name]: moved(tree, along.values(), step) });
        const slope = (at(STEP) - at(-STEP)) / (2 * STEP);
        const found = gradient.reduce((sum, value, place) => sum + value * along[place], 0);
        const size = gradient.reduce((sum, value, place) => sum + Math.abs(value * along[place]), 1);
        expect(Math.abs(found - slope) / size).toBeLessThanOrEqual(SLOPE_TOLERANCE);
      }
    }
  });
});

test("tokens are dropped in their order, and choices of dropped tokens count in the load", () => {
  // Four tokens choose expert 0, one expert 1; each expert takes ⌈1·5·1/2⌉ = 3.
  const scores = [
    [2, 1],
    [2, 1],
    [1, 2],
    [2, 1],
    [2, 1],
  ];
  const routing = referenceRouting(scores, switchRouting({ capacityFactor: 1 }));
  expect(routing.isKept).toEqual([[true], [true], [true], [true], [false]]);
  expect(routing.dropped).toBe(1);
  expect(routing.load).toEqual([0.8, 0.2]);
});

test("ties go to the lower index", () => {
  const { chosen } = referenceRouting([[1, 3, 3, 3]], mixtralRouting());
  expect(chosen).toEqual([[1, 2]]);
});

test.each([2, 3, 8])("even routing among %d experts costs the weight of the balance loss", (experts) => {
  const scores = Array.from({ length: experts }, (_, token) =>
    Array.from({ length: experts }, (_, expert) => (expert === token ? 1 : 0)),
  );
  const { balance } = referenceRouting(scores, switchRouting({ balance: 0.01 }));
  expect(Math.abs(balance - 0.01)).toBeLessThanOrEqual(ROUNDING);
});

test("what a rule cannot be is refused with what to do", () => {
  expect(() => requireExperts(mixtralRouting(), 1)).toThrow(
    "Cannot route by 'mixtral' as a token's experts must differ: 2 choices among 1 experts. Use more experts, or fewer choices",
  );
  expect(() => switchRouting({ capacityFactor: 0 })).toThrow(
    "capacity factor must be a number above zero: 0",
  );
  expect(() => switchRouting({ capacityFactor: -1 })).toThrow("-1");
  expect(() => mixtralRouting({ choices: 0 })).toThrow("whole number of experts ≥ 1: 0");
  expect(() => mixtralRouting({ balance: Number.NaN })).toThrow("balance loss must be a number ≥ 0: NaN");
});
