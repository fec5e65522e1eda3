/**
 * @file The scalar operations of scores on four float32 lanes at once: polynomials of Cephes (Moshier 1989, single
 * precision) without branches. `vector-math.test.ts` holds each to its accuracy against float64.
 */
import { type BinaryOperation, type UnaryOperation } from "../../../score/expression.ts";
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
function expInRange(b: FunctionBuilder, argument: Value): Value {
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

/** 2^r = 1 + r·Σ cₖ·rᵏ for |r| ≤ ½, to 9.2e-8 of its value (minimax). */
const powerCoefficients = [
  1.3264727065294413e-3, 9.671512648909225e-3, 5.5507337436910525e-2, 2.4022242085173254e-1,
  6.931469775988568e-1, 1,
];

/**
 * e^x for x ≤ 0, exactly 0 below −87.33, as 2ⁿ·2^r with n + r = x/ln 2; ≤ 2 ULP of some e^(x + ε) with |ε| ≤ 2⁻²³·|x|,
 * which is what the rounding of scores does to their weights anyway.
 */
export function expOfNonPositive(b: FunctionBuilder, argument: Value): Value {
  const x = b.let("x", argument);
  const shifted = b.let("shifted", b.madd(x, lanes(Math.LOG2E), lanes(rounding)));
  const n = b.let("n", f32x4.sub(lanes(rounding), shifted));
  const r = b.let("r", b.madd(x, lanes(Math.LOG2E), n));
  const power = polynomial(b, r, powerCoefficients);
  const whole = i32x4.add(power, i32x4.shiftLeft(shifted, 23));
  return f32x4.andNot(whole, f32x4.less(x, lanes(expRange.low)));
}

function exp(b: FunctionBuilder, argument: Value): Value {
  const x = b.let("x", argument);
  const inRange = expInRange(b, x);
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

/** x ≥ 1 as m·2ᵉ with m in [√½, √2): m, e as float32, and e in the place of an exponent. */
function reduced(
  b: FunctionBuilder,
  argument: Value,
): { readonly m: Value; readonly e: Value; readonly exponent: Value } {
  const x = b.let("bits", argument);
  const excess = b.let("excess", i32x4.sub(x, lanes(Math.SQRT1_2)));
  const exponent = b.let("exponent", f32x4.and(excess, f32x4.bits(0xff800000)));
  const e = b.let("e", i32x4.toFloat(i32x4.shiftRight(excess, 23)));
  return { m: i32x4.sub(x, exponent), e, exponent };
}

/** ln((1 + s)/(1 − s)) = 2s + s·Σ cₖ·s²ᵏ for (1 + s)/(1 − s) in [√½, √2), to 1e-9 (minimax). */
const logCoefficientsOfQuotient = [0.29871727912618706, 0.3997754156876854, 0.666667763816906];

/** ln(1 + x) for x ≥ 0, ≤ 3 ULP: that of the rounded sum m·2ᵉ, with m − 1 corrected by what the sum lost. */
function log1pOfNonNegative(b: FunctionBuilder, argument: Value): Value {
  const x = b.let("x", argument);
  const u = b.let("u", f32x4.add(x, lanes(1)));
  const { m, e, exponent } = reduced(b, u);
  const lost = f32x4.sub(x, f32x4.sub(u, lanes(1)));
  const scale = i32x4.sub(lanes(1), exponent);
  const f = b.let("f", b.madd(lost, scale, f32x4.sub(m, lanes(1))));
  const s = b.let("s", f32x4.div(f, f32x4.add(f, lanes(2))));
  const z = b.let("z", f32x4.mul(s, s));
  const odd = b.let("odd", f32x4.mul(polynomial(b, z, logCoefficientsOfQuotient), z));
  const y = b.madd(e, lanes(ln2.low), b.madd(s, odd, f32x4.add(s, s)));
  return b.madd(e, lanes(ln2.high), y);
}

/** asinh t = t + t·Σ cₖ·t²ᵏ for |t| ≤ 0.355, to 1.2e-9 (minimax). */
const asinhCoefficients = [
  0.024478836245820618, -0.04405106512577692, 0.07497603002141824, -0.16666636220999878,
];

/** asinh x for x ≥ 0, ≤ 4 ULP: x + √(x² + 1) = m·2ᵉ gives e·ln 2 + asinh((m − 1/m)/2), and (m − 1/m)/2 = x where e = 0. */
function asinhOfNonNegative(b: FunctionBuilder, argument: Value): Value {
  const x = b.let("x", argument);
  // As the slope of asinh writes it, so that both share it. Beyond 1.8e19, where x² is infinite, x + 1 takes its place.
  const root = f32x4.sqrt(b.madd(x, x, lanes(1)));
  const { m, e, exponent } = reduced(b, f32x4.add(x, f32x4.min(root, f32x4.add(x, lanes(1)))));
  const mantissa = b.let("mantissa", m);
  const far = f32x4.mul(f32x4.sub(mantissa, f32x4.div(lanes(1), mantissa)), lanes(0.5));
  const t = b.let("t", b.selectLanes(x, far, i32x4.equal(exponent, f32x4.bits(0))));
  const z = b.let("z", f32x4.mul(t, t));
  const odd = b.let("odd", f32x4.mul(polynomial(b, z, asinhCoefficients), z));
  const y = b.madd(e, lanes(ln2.low), b.madd(t, odd, t));
  return b.madd(e, lanes(ln2.high), y);
}

/** Operations that are shorter for finite arguments ≥ 0. */
export const operationsOfNonNegative: Readonly<
  Partial<Record<UnaryOperation, (b: FunctionBuilder, a: Value) => Value>>
> = {
  abs: (_, a) => a,
  log1p: log1pOfNonNegative,
  asinh: asinhOfNonNegative,
};

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
