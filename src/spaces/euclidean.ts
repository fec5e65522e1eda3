/** @file Flat space R^D: the distance is ‖x − y‖, coordinates are the points. */
import { defineSpace, requirePositiveWidth, type SpaceFactory } from "./space.ts";
import { combine, scale, squaredDifference } from "./vector.ts";

/**
 * Flat space: d(x, y) = ‖x − y‖.
 *
 * @example
 * ```ts
 * import { euclideanSpace } from "qklab";
 * euclideanSpace().distance([0, 0], [3, 4]); // 5
 * ```
 */
export const euclideanSpace: SpaceFactory<[]> = defineSpace(
  {
    name: "euclidean",
    sentence: "Flat space: a straight line is the shortest way, and volume grows like a power of the radius.",
    coordinates: "the point itself; any width",
  },
  () => ({
    requireWidth: (width) => requirePositiveWidth("euclidean", width),
    liftedWidth: (width) => width,
    lift: (x, out) => scale(1, x, out),
    distance: (x, y) => Math.sqrt(squaredDifference(x, y)),
    riemannianGradient: (_x, gradient, out) => scale(1, gradient, out),
    retract: (x, step, out) => combine(1, x, 1, step, out),
  }),
);
