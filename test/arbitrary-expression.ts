/** @file Random score expressions over the variables x, y and z, beside the same formula as a plain function. */
import fc from "fast-check";
import {
  abs,
  add,
  asinh,
  constant,
  cosh,
  div,
  DomainError,
  exp,
  type Expression,
  log,
  log1p,
  logistic,
  max,
  min,
  mul,
  neg,
  sign,
  sinh,
  sqrt,
  step,
  sub,
  tanh,
  variable,
} from "../src/index.ts";

/** Numbers for x, y and z. */
export type Point = Readonly<Record<"x" | "y" | "z", number>>;

/** An expression and what it means; `build` throws where folding constants leaves the numbers. */
export interface Formula {
  readonly build: () => Expression;
  readonly value: (point: Point) => number;
}

const unary: Readonly<Record<string, readonly [(x: Expression) => Expression, (x: number) => number]>> = {
  neg: [neg, (x) => -x],
  abs: [abs, Math.abs],
  sign: [sign, (x) => (x > 0 ? 1 : x < 0 ? -1 : 0)],
  step: [step, (x) => (x > 0 ? 1 : 0)],
  sqrt: [sqrt, Math.sqrt],
  exp: [exp, Math.exp],
  log: [log, Math.log],
  log1p: [log1p, Math.log1p],
  sinh: [sinh, Math.sinh],
  cosh: [cosh, Math.cosh],
  tanh: [tanh, Math.tanh],
  asinh: [asinh, Math.asinh],
  logistic: [logistic, (x) => 1 / (1 + Math.exp(-x))],
};

const binary: Readonly<
  Record<string, readonly [(x: Expression, y: Expression) => Expression, (x: number, y: number) => number]>
> = {
  add: [add, (x, y) => x + y],
  sub: [sub, (x, y) => x - y],
  mul: [mul, (x, y) => x * y],
  div: [div, (x, y) => x / y],
  min: [min, Math.min],
  max: [max, Math.max],
};

const leaf: fc.Arbitrary<Formula> = fc
  .oneof(
    { weight: 3, arbitrary: fc.constantFrom("x" as const, "y" as const, "z" as const) },
    { weight: 1, arbitrary: fc.constantFrom(0, 1, -1, 2, 0.5, -3) },
  )
  .map((chosen): Formula =>
    typeof chosen === "number"
      ? { build: () => constant(chosen), value: () => chosen }
      : { build: () => variable(chosen), value: (point) => point[chosen] },
  );

/** Formulas of all operations, a few levels deep. */
export const formulas: fc.Arbitrary<Formula> = fc.letrec<{ formula: Formula }>((tie) => ({
  formula: fc.oneof(
    { maxDepth: 5, depthIdentifier: "formula" },
    leaf,
    fc.tuple(fc.constantFrom(...Object.keys(unary)), tie("formula")).map(([name, a]): Formula => {
      const [make, compute] = unary[name];
      return { build: () => make(a.build()), value: (point) => compute(a.value(point)) };
    }),
    fc
      .tuple(fc.constantFrom(...Object.keys(binary)), tie("formula"), tie("formula"))
      .map(([name, a, b]): Formula => {
        const [make, compute] = binary[name];
        return {
          build: () => make(a.build(), b.build()),
          value: (point) => compute(a.value(point), b.value(point)),
        };
      }),
  ),
})).formula;

/** Numbers that formulas are evaluated at, zero and negative ones among them. */
export const points: fc.Arbitrary<Point> = fc.record({
  x: fc.double({ min: -3, max: 3, noNaN: true }),
  y: fc.double({ min: -3, max: 3, noNaN: true }),
  z: fc.double({ min: 0, max: 2, noNaN: true }),
});

const between = (offset: number): fc.Arbitrary<number> =>
  fc.integer({ min: -290, max: 290 }).map((whole) => (whole + offset) / 97);

/** Numbers away from zero and from each other, so that no formula of a single variable is at a kink. */
export const ordinaryPoints: fc.Arbitrary<Point> = fc.record({
  x: between(0.37),
  y: between(0.61),
  z: between(0.83),
});

/** What `make` returns, or a discarded run where folding constants met an infinity, as in x/0. */
export function orDiscard<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    fc.pre(!(error instanceof DomainError && error.code === "expression-constant"));
    throw error;
  }
}
