/** @file Asserts that gradients of the reference are central differences of its forward pass. */
import { expect } from "vitest";
import { random } from "../../src/index.ts";
import {
  coordinateDirections,
  type Directions,
  gradientErrors,
  randomDirections,
} from "../../src/attention/central-differences.ts";
import { type Problem } from "./problem.ts";

/** The tolerance that the algebra asks for. */
const GRADIENT_TOLERANCE = 1e-6;

function check({ composition, inputs, dOut }: Problem, directions: Directions): void {
  const wrong = gradientErrors(composition, inputs, dOut, directions).filter(
    ({ error }) => error > GRADIENT_TOLERANCE,
  );
  expect(wrong, "gradients that are not central differences").toEqual([]);
}

/** Along random directions of every input and parameter. */
export function checkDirections(
  problem: Problem,
  count: number,
  ...keys: readonly (number | string)[]
): void {
  check(problem, randomDirections(random("direction", ...keys), count));
}

/** For every coordinate of every input and parameter. */
export function checkCoordinates(problem: Problem): void {
  check(problem, coordinateDirections);
}
