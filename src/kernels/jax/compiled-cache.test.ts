/** @file The cache of compiled functions. */
import { expect, test } from "vitest";
import { compiledCache } from "./compiled-cache.ts";

test("the least recently used value is disposed when there are too many", () => {
  const disposed: string[] = [];
  const cache = compiledCache<{ dispose(): void }>(2);
  const get = (key: string): unknown => cache.get(key, () => ({ dispose: () => disposed.push(key) }));
  const first = get("a");
  get("b");
  expect(get("a")).toBe(first);
  get("c");
  expect(disposed).toEqual(["b"]);
  expect(get("a")).toBe(first);
  expect(cache.size).toBe(2);
});
