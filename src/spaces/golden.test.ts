/**
 * @file The formulas against geoopt in float64: 72 cases of the κ-stereographic model and the hyperboloid, values and
 * gradients, in `../shared/data/manifold-golden.json`.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { describeWithSharedData } from "../../test/shared-data.ts";
import { tensor64, type Tensor64 } from "../base/tensor.ts";
import {
  conformalFactor,
  gyration,
  gyromidpoint,
  hyperboloidDistance,
  hyperboloidExp,
  hyperboloidGradient,
  hyperboloidLog,
  hyperboloidRadius,
  hyperboloidTransport,
  hyperplaneDistance,
  minkowskiInner,
  mobiusAdd,
  mobiusMultiply,
  mobiusScale,
  stereographicDistance,
  stereographicExp,
  stereographicExp0,
  stereographicGradient,
  stereographicInner,
  stereographicLift,
  stereographicLog,
  stereographicLog0,
  stereographicProject,
  stereographicRadius,
  stereographicTransport,
  stereographicTransport0,
  type Vector,
} from "./index.ts";
import { dotProduct, scale } from "./vector.ts";

/** Some thirty roundings of 1.1e-16 each, amplified up to a hundredfold near the edge of the ball. */
const VALUE_TOLERANCE = 1e-12;
/** Central differences with h = 1e-5: truncation h² and rounding 1e-16/h, times third derivatives near the edge. */
const GRADIENT_TOLERANCE = 1e-6;
const STEP = 1e-5;
/** What geoopt adds to denominators; the test adds it too rather than loosen a tolerance. */
const GEOOPT_GUARDS = { poincareToLorentz: 1e-6, midpoint: 1e-10 } as const;

interface Packed {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

interface Case {
  readonly name: string;
  readonly inputs: Readonly<Record<string, Packed>>;
  readonly params: Readonly<Record<string, unknown>>;
  readonly output: Packed;
  readonly cotangent: Packed;
  readonly grads: Readonly<Record<string, Packed>>;
}

type Inputs = Readonly<Record<string, Tensor64>>;

/** How a case is computed with our functions; the result is flat, in the order of the case's output. */
interface Operation {
  readonly evaluate: (inputs: Inputs, k: number) => number[];
  /**
   * Inputs that are points of the hyperboloid. Only derivatives along the surface are defined for them, so both
   * gradients are compared as gradients of the space coordinates.
   */
  readonly surface: readonly string[];
}

/** An operation on rows: the k-th result comes from the k-th row of every input. */
function byRow(
  names: readonly string[],
  formula: (k: number, ...rows: readonly Vector[]) => Vector | number,
  surface: readonly string[] = [],
): Operation {
  return {
    surface,
    evaluate: (inputs, k) =>
      rowsOf(inputs[names[0]]).flatMap((_, row) => {
        const result = formula(k, ...names.map((name) => rowsOf(inputs[name])[row]));
        return typeof result === "number" ? [result] : Array.from(result);
      }),
  };
}

const stereographic: Readonly<Record<string, Operation>> = {
  mobius_add: byRow(["x", "y"], (k, x, y) => mobiusAdd(x, y, k)),
  dist: byRow(["x", "y"], (k, x, y) => stereographicDistance(x, y, k)),
  dist0: byRow(["x"], (k, x) => stereographicRadius(x, k)),
  expmap: byRow(["x", "u"], (k, x, u) => stereographicExp(x, u, k)),
  logmap: byRow(["x", "y"], (k, x, y) => stereographicLog(x, y, k)),
  expmap0: byRow(["u"], (k, u) => stereographicExp0(u, k)),
  logmap0: byRow(["y"], (k, y) => stereographicLog0(y, k)),
  lambda_x: byRow(["x"], (k, x) => conformalFactor(x, k)),
  parallel_transport: byRow(["x", "y", "v"], (k, x, y, v) => stereographicTransport(x, y, v, k)),
  parallel_transport0: byRow(["y", "v"], (k, y, v) => stereographicTransport0(y, v, k)),
  gyration: byRow(["a", "b", "u"], (k, a, b, u) => gyration(a, b, u, k)),
  egrad2rgrad: byRow(["x", "grad"], (k, x, gradient) => stereographicGradient(x, gradient, k)),
  dist2plane: byRow(["x", "p", "a"], (k, x, p, a) => hyperplaneDistance(x, p, a, k)),
  mobius_matvec: {
    surface: [],
    evaluate: ({ m, x }, k) => rowsOf(x).flatMap((point) => Array.from(mobiusMultiply(m, point, k))),
  },
  mobius_scalar_mul: {
    surface: [],
    evaluate: ({ r, x }, k) => rowsOf(x).flatMap((point) => Array.from(mobiusScale(r.data[0], point, k))),
  },
  // geoopt broadcasts λ² of every point against the products of all rows: [i, j] is ⟨u_j, v_j⟩ at x_i.
  inner: {
    surface: [],
    evaluate: ({ x, u, v }, k) =>
      rowsOf(x).flatMap((point) =>
        rowsOf(u).map((tangent, row) => stereographicInner(point, tangent, rowsOf(v)[row], k)),
      ),
  },
  weighted_midpoint: {
    surface: [],
    evaluate({ xs, weights }, k) {
      const points = rowsOf(xs);
      const total = points.reduce((sum, x, row) => sum + weights.data[row] * (conformalFactor(x, k) - 1), 0);
      const doubled = mobiusScale(2, gyromidpoint(points, weights.data, k), k);
      return Array.from(mobiusScale(0.5, scale(total / (total + GEOOPT_GUARDS.midpoint), doubled), k));
    },
  },
  // geoopt puts the time last here, and first in its Lorentz module.
  inv_sproj: byRow(["x"], (k, x) => {
    const [time, ...space] = stereographicLift(x, k);
    return [...space, time];
  }),
};

// geoopt's k is 1/c, and its ball is the unit ball for every k.
const lorentz: Readonly<Record<string, Operation>> = {
  inner: byRow(["u", "v"], (_k, u, v) => minkowskiInner(u, v)),
  dist: byRow(["x", "y"], (k, x, y) => hyperboloidDistance(x, y, 1 / k), ["x", "y"]),
  dist0: byRow(["x"], (k, x) => hyperboloidRadius(x, 1 / k), ["x"]),
  expmap: byRow(["x", "u"], (k, x, u) => hyperboloidExp(x, u, 1 / k), ["x"]),
  logmap: byRow(["x", "y"], (k, x, y) => hyperboloidLog(x, y, 1 / k), ["x", "y"]),
  parallel_transport: byRow(["x", "y", "v"], (k, x, y, v) => hyperboloidTransport(x, y, v, 1 / k), [
    "x",
    "y",
  ]),
  egrad2rgrad: byRow(["x", "grad"], (k, x, gradient) => hyperboloidGradient(x, gradient, 1 / k), ["x"]),
  lorentz_to_poincare: byRow(["x"], (k, x) => scale(1 / Math.sqrt(k), stereographicProject(x, -1 / k)), [
    "x",
  ]),
  poincare_to_lorentz: byRow(["x"], (k, x) => {
    const gap = 1 - dotProduct(x, x);
    return scale(
      gap / (gap + GEOOPT_GUARDS.poincareToLorentz),
      stereographicLift(scale(Math.sqrt(k), x), -1 / k),
    );
  }),
};

const models: Readonly<Record<string, Readonly<Record<string, Operation>>>> = { stereographic, lorentz };

function rowsOf({ data, shape }: Tensor64): Float64Array[] {
  const width = shape[shape.length - 1];
  return Array.from({ length: data.length / width }, (_, row) => data.slice(row * width, (row + 1) * width));
}

/** The operation of a case's name, `model[k=curvature].operation`. */
function operationOf(name: string): { operation: Operation; k: number } {
  const [, model = "", k, operation = ""] = /^(\w+)\[k=([-\d.]+)\]\.(\w+)$/.exec(name) ?? [];
  const found = models[model]?.[operation];
  if (found === undefined) throw new Error(`No function of ours stands for the golden case '${name}'`);
  return { operation: found, k: Number(k) };
}

const unpack = (packed: Packed): Tensor64 => tensor64(packed.data, packed.shape);

/** The same inputs with one number moved; a point of the hyperboloid stays on it. */
function nudge(inputs: Inputs, name: string, place: number, by: number, k: number | undefined): Inputs {
  const { shape } = inputs[name];
  const data = inputs[name].data.slice();
  data[place] += by;
  if (k !== undefined) {
    const width = shape[1];
    const row = data.subarray(place - (place % width), place - (place % width) + width);
    row[0] = Math.sqrt(k + dotProduct(row.subarray(1), row.subarray(1)));
  }
  return { ...inputs, [name]: { data, shape } };
}

/** The gradient of f(s) = g(√(k + ‖s‖²), s) from that of g, with 0 in the places of time. */
function alongSurface(point: Tensor64, gradient: Float64Array): Float64Array {
  const width = point.shape[1];
  return gradient.map((value, place) => {
    const start = place - (place % width);
    return place === start ? 0 : value + (gradient[start] * point.data[place]) / point.data[start];
  });
}

const largest = (values: ArrayLike<number>): number => Math.max(...Array.from(values, Math.abs));

describeWithSharedData("the formulas of geoopt", "manifold-golden.json", (place) => {
  const { cases } = JSON.parse(readFileSync(place, "utf8")) as { readonly cases: readonly Case[] };

  test("all 72 cases are there, and each of our operations has one", () => {
    expect(cases.length).toBe(72);
    const used = new Set(cases.map(({ name }) => operationOf(name).operation));
    expect(used.size).toBe(Object.keys(stereographic).length + Object.keys(lorentz).length);
  });

  describe.each(cases)("$name", ({ name, inputs: packed, output, cotangent, grads }) => {
    const inputs = Object.fromEntries(Object.entries(packed).map(([input, value]) => [input, unpack(value)]));
    const objective = (at: Inputs): number => {
      const { operation, k } = operationOf(name);
      return dotProduct(operation.evaluate(at, k), cotangent.data);
    };

    test("has the value", () => {
      const { operation, k } = operationOf(name);
      const ours = operation.evaluate(inputs, k);
      expect(ours.length).toBe(output.data.length);
      const error = largest(ours.map((value, index) => value - output.data[index]));
      expect(error).toBeLessThanOrEqual(VALUE_TOLERANCE * largest(output.data));
    });

    test.each(Object.keys(grads))("has the gradient of %s", (input) => {
      const { operation, k } = operationOf(name);
      const onSurface = operation.surface.includes(input);
      const expected = Float64Array.from(grads[input].data);
      const theirs = onSurface ? alongSurface(inputs[input], expected) : expected;
      const ours = theirs.map((_, index) => {
        if (onSurface && index % inputs[input].shape[1] === 0) return 0;
        const at = (by: number): number =>
          objective(nudge(inputs, input, index, by, onSurface ? k : undefined));
        return (at(STEP) - at(-STEP)) / (2 * STEP);
      });
      const error = largest(ours.map((value, index) => value - theirs[index]));
      expect(error).toBeLessThanOrEqual(GRADIENT_TOLERANCE * largest(theirs));
    });
  });
});
