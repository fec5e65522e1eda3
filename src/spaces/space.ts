/**
 * @file What a space is: where queries and keys live. Coordinates are always D plain numbers (the *chart*), so that any
 * network can produce them and any optimiser can move them; the record says which point they mean, how far apart two
 * points are, and how a gradient of the chart becomes a direction of steepest ascent.
 */
import { DomainError, ShapeError } from "../base/errors.ts";
import { requireVectors, type Vector } from "./vector.ts";

export type SpaceName = "euclidean" | "sphere" | "poincare" | "lorentz" | "complex" | "product";

/** What is known about a space before it is made. */
export interface SpaceDefinition {
  readonly name: SpaceName;
  readonly sentence: string;
  /** What the D coordinates mean, and which D fit. */
  readonly coordinates: string;
}

/** A space: the meaning of D coordinates. All vectors are f64 and of width D unless said otherwise. */
export interface Space extends SpaceDefinition {
  /** Throws ShapeError unless vectors of this width are points. */
  requireWidth(width: number): void;
  /** Width of the lifted point. */
  liftedWidth(width: number): number;
  /** The point that the coordinates mean, in the vector space in which an inner product compares points. */
  lift(x: Vector, out?: Float64Array): Float64Array;
  /** Geodesic distance. */
  distance(x: Vector, y: Vector): number;
  /**
   * The Riemannian gradient G(x)⁻¹·g, where G is the metric in this chart: G_ij w_i w_j = lim d(x, x + εw)²/ε².
   * `out` may be `x` or `gradient`.
   */
  riemannianGradient(x: Vector, gradient: Vector, out?: Float64Array): Float64Array;
  /**
   * The exponential map in this chart: the end of the geodesic that leaves x with velocity `step` and lasts 1.
   * d(x, retract(x, step))² = stepᵀ G(x) step as long as the geodesic is shortest. `out` may be `x` or `step`.
   */
  retract(x: Vector, step: Vector, out?: Float64Array): Float64Array;
}

/** The curvature of a hyperbolic space is −c. */
export interface CurvatureOptions {
  readonly c?: number;
}

/** The formulas of a space, which get vectors that fit and a place to write. */
interface SpaceFormulas extends Pick<Space, "requireWidth" | "liftedWidth" | "distance"> {
  readonly lift: (x: Vector, out: Float64Array) => Float64Array;
  readonly riemannianGradient: (x: Vector, gradient: Vector, out: Float64Array) => Float64Array;
  readonly retract: (x: Vector, step: Vector, out: Float64Array) => Float64Array;
}

/** The function that makes a space, with its definition. */
export interface SpaceFactory<Arguments extends readonly unknown[]> {
  (...given: Arguments): Space;
  readonly definition: SpaceDefinition;
}

/**
 * Makes the factory of a space: adds name, sentence and coordinates to what `build` returns, and the checks of widths
 * to its functions.
 */
export function defineSpace<Arguments extends readonly unknown[]>(
  definition: SpaceDefinition,
  build: (...given: Arguments) => SpaceFormulas,
): SpaceFactory<Arguments> {
  const { name } = definition;
  const make = (...given: Arguments): Space => {
    const { requireWidth, liftedWidth, lift, distance, riemannianGradient, retract } = build(...given);
    const check = (action: string, x: Vector, ...others: readonly Vector[]): void => {
      requireVectors(`${action} in '${name}'`, x, ...others);
      requireWidth(x.length);
    };
    return {
      ...definition,
      requireWidth,
      liftedWidth,
      lift(x, out = new Float64Array(liftedWidth(x.length))) {
        check("lift", x);
        requireRoom(name, out, liftedWidth(x.length));
        return lift(x, out);
      },
      distance(x, y) {
        check("measure a distance", x, y);
        return distance(x, y);
      },
      riemannianGradient(x, gradient, out = new Float64Array(x.length)) {
        check("turn a gradient", x, gradient);
        requireRoom(name, out, x.length);
        return riemannianGradient(x, gradient, out);
      },
      retract(x, step, out = new Float64Array(x.length)) {
        check("step", x, step);
        requireRoom(name, out, x.length);
        return retract(x, step, out);
      },
    };
  };
  return Object.assign(make, { definition });
}

function requireRoom(name: SpaceName, out: Float64Array, width: number): void {
  if (out.length === width) return;
  throw new ShapeError(
    "vector-width",
    `Cannot write a result of '${name}' as it has ${width} coordinates: \`out\` has ${out.length}. Pass an array of ${width}`,
  );
}

/** @throws ShapeError `vector-width` for widths that are not whole numbers ≥ 1 */
export function requirePositiveWidth(name: SpaceName, width: number): void {
  if (Number.isSafeInteger(width) && width >= 1) return;
  throw new ShapeError(
    "vector-width",
    `Cannot use '${name}' as its points need a whole number of coordinates ≥ 1: width ${width}. Use a width ≥ 1`,
  );
}

/** @throws DomainError `curvature` unless c is finite and above zero */
export function requireCurvature(c: number): void {
  if (Number.isFinite(c) && c > 0) return;
  throw new DomainError(
    "curvature",
    `Cannot make a hyperbolic space as c, the magnitude of its curvature, must be finite and above zero: ${c}. ` +
      "Pass c > 0; for flat space use euclideanSpace()",
  );
}
