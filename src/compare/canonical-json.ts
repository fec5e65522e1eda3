/** @file JSON that is the same text for the same value: what ids are made from. */
import { encodeNumbers } from "../train/json-numbers.ts";

/** JSON with the keys of every object in alphabetical order. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(encodeNumbers(value), (_key, inner: unknown) =>
    typeof inner !== "object" || inner === null || Array.isArray(inner)
      ? inner
      : Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))),
  );
}
