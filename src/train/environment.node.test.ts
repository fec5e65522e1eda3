import { expect, test } from "vitest";
import { describeEnvironment } from "./environment.node.ts";

test("the environment names versions, machine and packages, and is JSON", () => {
  const environment = describeEnvironment();
  expect(environment).toMatchObject({ node: process.version, arch: process.arch });
  expect(environment.qklab).toMatch(/^\d+\.\d+\.\d+/);
  for (const name of ["@jax-js/jax", "@huggingface/tokenizers", "@huggingface/jinja"]) {
    expect(environment.packages[name]).toMatch(/^\d+\.\d+\.\d+/);
  }
  expect(environment.cores).toBeGreaterThan(0);
  expect(JSON.parse(JSON.stringify(environment))).toEqual(environment);
});
