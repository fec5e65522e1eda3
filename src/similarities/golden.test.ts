/** @file Geodesic scores against geoopt's distances in float64, `../shared/data/manifold-golden.json`. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { scorePair } from "../../test/score-pair.ts";
import { describeWithSharedData } from "../../test/shared-data.ts";
import { lorentz, lorentzDistance, poincare } from "./index.ts";

interface Case {
  readonly name: string;
  readonly inputs: Readonly<
    Record<string, { readonly shape: readonly number[]; readonly data: readonly number[] }>
  >;
  readonly output: { readonly data: readonly number[] };
}

/** geoopt clamps arguments of artanh at 1 − 1e-15 and near-boundary points lose some digits: 1e-16 · e^{2·radius}. */
const TOLERANCE = 1e-12;

const rowsOf = ({ inputs }: Case, name: string): readonly (readonly number[])[] => {
  const { shape, data } = inputs[name];
  return Array.from({ length: shape[0] }, (_, row) => data.slice(row * shape[1], (row + 1) * shape[1]));
};

/** The tangent vector at the origin whose exponential is y. */
function logarithm(y: readonly number[], c: number): readonly number[] {
  const length = Math.sqrt(c) * Math.hypot(...y);
  return y.map((x) => (Math.atanh(length) * x) / length);
}

describeWithSharedData("geodesic scores as geoopt measures them", "manifold-golden.json", (file) => {
  const { cases } = JSON.parse(readFileSync(file, "utf8")) as { readonly cases: readonly Case[] };
  const distances = (pattern: RegExp): readonly Case[] => cases.filter(({ name }) => pattern.test(name));

  test.each(distances(/^stereographic\[k=-.*\.dist$/))("poincare: $name", (golden) => {
    const c = -golden.inputs["k"].data[0];
    const [x, y] = [rowsOf(golden, "x"), rowsOf(golden, "y")];
    golden.output.data.forEach((distance, row) => {
      const score = scorePair(poincare({ c }), logarithm(x[row], c), logarithm(y[row], c));
      expect(Math.abs(-score / distance - 1)).toBeLessThan(TOLERANCE);
    });
  });

  test.each(distances(/^stereographic\[k=-.*\.dist0$/))("poincare from the origin: $name", (golden) => {
    const c = -golden.inputs["k"].data[0];
    golden.output.data.forEach((distance, row) => {
      const q = logarithm(rowsOf(golden, "x")[row], c);
      const score = scorePair(
        poincare({ c }),
        q,
        q.map(() => 0),
        { guard: 1e-26 },
      );
      expect(Math.abs(-score / distance - 1)).toBeLessThan(TOLERANCE);
    });
  });

  test.each(distances(/^lorentz.*\.dist$/))("lorentz-distance: $name", (golden) => {
    const c = 1 / golden.inputs["k"].data[0];
    const [x, y] = [rowsOf(golden, "x"), rowsOf(golden, "y")].map((rows) =>
      rows.map(([, ...space]) => space),
    );
    golden.output.data.forEach((distance, row) => {
      const score = scorePair(lorentzDistance({ c }), x[row], y[row]);
      expect(Math.abs(-score / distance - 1)).toBeLessThan(TOLERANCE);
      // The squared chord of a geodesic of length d: (4/c)·sinh²(√c·d/2).
      const chord = (4 / c) * Math.sinh((Math.sqrt(c) * distance) / 2) ** 2;
      expect(Math.abs(-scorePair(lorentz({ beta: 1, c }), x[row], y[row]) / chord - 1)).toBeLessThan(
        TOLERANCE,
      );
    });
  });

  test("the four cases of distances between points are there", () => {
    expect(distances(/^(stereographic\[k=-|lorentz).*\.dist$/)).toHaveLength(4);
  });
});
