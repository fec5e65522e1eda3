/**
 * @file The scalar operations of scores on four float32 lanes at once: polynomials of Cephes (Moshier 1989, single
 * precision) without branches. `vector-math.test.ts` holds each to its accuracy against float64.
 */
import { type BinaryOperation, type UnaryOperation } from "../../score/expression.ts";
import { f32x4, type FunctionBuilder, i32x4, type Value } from "./assembler.ts";

const lanes = f32x4.constant;

/** Above it e^x is infinite, below it e^x is no normal float32 and counts as 0. */
const expRange = { low: -87.33654, high: 88.72283 } as const;
const ln2 = { high: 0.693359375, low: -2.1219444e-4 } as const;
const rounding = 12_582_912;

/** c₀ + c₁x + … by Horner's rule, highest coefficient first. */
function polynomial(b: FunctionBuilder, x: Value, coefficients: readonly number[]): Value {
  const [first, ...rest] = coefficients;
  return rest.reduce((sum, coefficient) => b.madd(sum, x, lanes(coefficient)), lanes(first));
}

const expCoefficients = [
  1.98756915e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1,
];

/** e^x for x ≤ 88, exactly 0 below −87.33; ≤ 2 ULP. x = n·ln 2 + r with n by the rounding of x/ln 2 + 1.5·2²³. */
export function expOfNonPositive(b: FunctionBuilder, argument: Value): Value {
  const x = b.let("x", argument);
  const shifted = b.let("shifted", b.madd(x, lanes(Math.LOG2E), lanes(rounding)));
  const n = b.let("n", f32x4.sub(shifted, lanes(rounding)));
  const r = b.let("r", b.madd(n, lanes(-ln2.high), x));
  b.set(r, b.madd(n, lanes(-ln2.low), r));
  const p = polynomial(b, r, expCoefficients);
  const tail = b.let("tail", b.madd(p, f32x4.mul(r, r), r));
  const whole = i32x4.add(f32x4.add(tail, lanes(1)), i32x4.shiftLeft(shifted, 23));
  return f32x4.andNot(whole, f32x4.less(x, lanes(expRange.low)));
}

function exp(b: FunctionBuilder, argument: Value): Value {
  const x = b.let("x", argument);
  const inRange = expOfNonPositive(b, x);
  return f32x4.select(lanes(Infinity), inRange, f32x4.greater(x, lanes(expRange.high)));
}

const logCoefficients = [
  7.0376836292e-2, -1.151461031e-1, 1.167699874e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1,
  2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
];
const smallestNormal = 2 ** -126;

/** ln x = e·ln 2 + ln m with m in [√½, √2); −∞ at 0, NaN below. */
function log(b: FunctionBuilder, argument: Value): Value {
  const x = b.let("x", argument);
  const tiny = b.let("tiny", f32x4.less(x, lanes(smallestNormal)));
  const scaled = b.let("scaled", f32x4.select(f32x4.mul(x, lanes(2 ** 24)), x, tiny));
  const exponent = i32x4.sub(i32x4.shiftRight(scaled, 23), f32x4.bits(126));
  const m = b.let("m", f32x4.or(f32x4.and(scaled, f32x4.bits(0x007fffff)), f32x4.bits(0x3f000000)));
  const low = b.let("low", f32x4.less(m, lanes(Math.SQRT1_2)));
  const shift = f32x4.add(f32x4.and(low, lanes(1)), f32x4.and(tiny, lanes(24)));
  const e = b.let("e", f32x4.sub(i32x4.toFloat(exponent), shift));
  b.set(m, f32x4.sub(f32x4.add(m, f32x4.and(low, m)), lanes(1)));
  const z = b.let("z", f32x4.mul(m, m));
  const y = b.let("y", f32x4.mul(f32x4.mul(polynomial(b, m, logCoefficients), m), z));
  b.set(y, b.madd(e, lanes(ln2.low), y));
  b.set(y, b.madd(z, lanes(-0.5), y));
  const finite = b.madd(e, lanes(ln2.high), f32x4.add(m, y));
  const ended = b.let("ended", f32x4.select(x, finite, f32x4.equal(x, lanes(Infinity))));
  const atZero = f32x4.select(lanes(-Infinity), lanes(Number.NaN), f32x4.equal(x, lanes(0)));
  return f32x4.select(ended, atZero, f32x4.greater(x, lanes(0)));
}

/** ln(1 + x): the logarithm of the rounded sum, corrected by what rounding lost. */
function log1p(b: FunctionBuilder, argument: Value): Value {
  const x = b.let("x", argument);
  const u = b.let("u", f32x4.add(x, lanes(1)));
  const lost = f32x4.div(f32x4.sub(x, f32x4.sub(u, lanes(1))), u);
  const logarithm = b.let("logarithm", log(b, u));
  const whole = b.let("whole", f32x4.add(logarithm, lost));
  const atEnds = f32x4.or(f32x4.equal(u, lanes(Infinity)), f32x4.equal(u, lanes(0)));
  return f32x4.select(logarithm, whole, atEnds);
}

const signBit = (): Value => f32x4.bits(0x80000000);
const withSignOf = (magnitude: Value, x: Value): Value => f32x4.or(magnitude, f32x4.and(x, signBit()));

/** sinh x, |x| ≤ 88. */
function sinh(b: FunctionBuilder, argument: Value): Value {
  const x = b.let("x", argument);
  const z = b.let("z", f32x4.mul(x, x));
  const odd = polynomial(b, z, [2.03721912945e-4, 8.33028376239e-3, 1.66667160211e-1]);
  const near = b.let("near", b.madd(f32x4.mul(odd, z), x, x));
  const grown = b.let("grown", exp(b, f32x4.abs(x)));
  const far = f32x4.sub(f32x4.mul(grown, lanes(0.5)), f32x4.div(lanes(0.5), grown));
  return f32x4.select(near, withSignOf(far, x), f32x4.less(f32x4.abs(x), lanes(1)));
}

function cosh(b: FunctionBuilder, argument: Value): Value {
  const grown = b.let("grown", exp(b, f32x4.abs(argument)));
  return f32x4.add(f32x4.mul(grown, lanes(0.5)), f32x4.div(lanes(0.5), grown));
}

const tanhCoefficients = [
  -5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1,
];

function tanh(b: FunctionBuilder, argument: Value): Value {
  const x = b.let("x", argument);
  const z = b.let("z", f32x4.mul(x, x));
  const near = b.let("near", b.madd(f32x4.mul(polynomial(b, z, tanhCoefficients), z), x, x));
  const grown = b.let("grown", exp(b, f32x4.mul(f32x4.abs(x), lanes(2))));
  const far = f32x4.sub(lanes(1), f32x4.div(lanes(2), f32x4.add(grown, lanes(1))));
  return f32x4.select(near, withSignOf(far, x), f32x4.less(f32x4.abs(x), lanes(0.625)));
}

/** Beyond it asinh x = ln 2x to rounding, and x² may overflow. */
const largeForAsinh = 1e9;

/** asinh x = sign·ln(1 + |x| + x²/(1 + √(x² + 1))). */
function asinh(b: FunctionBuilder, argument: Value): Value {
  const x = b.let("x", argument);
  const a = b.let("a", f32x4.abs(x));
  const square = b.let("square", f32x4.mul(a, a));
  const root = f32x4.sqrt(f32x4.add(square, lanes(1)));
  const near = f32x4.add(a, f32x4.div(square, f32x4.add(root, lanes(1))));
  const excess = b.let("excess", f32x4.select(f32x4.add(a, a), near, f32x4.greater(a, lanes(largeForAsinh))));
  return withSignOf(log1p(b, excess), x);
}

const one = (condition: Value): Value => f32x4.and(condition, lanes(1));

type Emitter = (b: FunctionBuilder, a: Value, c: Value) => Value;

/** How each operation of a score is written; operands that occur twice must be locals. */
export const vectorOperations: Readonly<Record<UnaryOperation | BinaryOperation, Emitter>> = {
  neg: (_, a) => f32x4.neg(a),
  abs: (_, a) => f32x4.abs(a),
  sign: (_, a) => f32x4.sub(one(f32x4.greater(a, lanes(0))), one(f32x4.less(a, lanes(0)))),
  step: (_, a) => one(f32x4.greater(a, lanes(0))),
  sqrt: (_, a) => f32x4.sqrt(a),
  exp,
  log,
  log1p,
  sinh,
  cosh,
  tanh,
  asinh,
  logistic: (b, a) => f32x4.div(lanes(1), f32x4.add(lanes(1), exp(b, f32x4.neg(a)))),
  add: (_, a, c) => f32x4.add(a, c),
  sub: (_, a, c) => f32x4.sub(a, c),
  mul: (_, a, c) => f32x4.mul(a, c),
  div: (_, a, c) => f32x4.div(a, c),
  min: (_, a, c) => f32x4.min(a, c),
  max: (_, a, c) => f32x4.max(a, c),
};
