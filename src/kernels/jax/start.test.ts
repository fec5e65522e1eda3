/** @file Starting jax-js on one thread: once, and with errors that teach. */
import { expect, test } from "vitest";
import { startJax } from "./start.ts";

test("a number of threads must be a whole number above zero", async () => {
  await expect(startJax({ threads: 1.5 })).rejects.toMatchObject({ code: "threads", name: "DomainError" });
  await expect(startJax({ threads: 0 })).rejects.toThrow("whole number ≥ 1: 0");
});

test("starting again is free, and adds no globals", async () => {
  const before = ["Worker", "navigator"].map((name) => name in globalThis);
  await startJax();
  await startJax({ threads: 1 });
  const { defaultDevice } = await import("@jax-js/jax");
  expect(defaultDevice()).toBe("wasm");
  expect(["Worker", "navigator"].map((name) => name in globalThis)).toEqual(before);
});

test("another number of threads than the running one is refused with the cure", async () => {
  await expect(startJax({ threads: 2 })).rejects.toMatchObject({ code: "threads", name: "UnsupportedError" });
  await expect(startJax({ threads: 2 })).rejects.toThrow("before importing anything that uses jax-js");
});
