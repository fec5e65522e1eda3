/** @file Numbers that JSON has no words for: NaN and infinities travel as the strings "NaN", "Infinity" and "-Infinity". */

const words: ReadonlySet<string> = new Set(["NaN", "Infinity", "-Infinity"]);

/** The same value with non-finite numbers as strings. */
export function encodeNumbers(value: unknown): unknown {
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  return walk(value, encodeNumbers);
}

/** The same value with those strings as numbers again. */
export function decodeNumbers(value: unknown): unknown {
  if (typeof value === "string") return words.has(value) ? Number(value) : value;
  return walk(value, decodeNumbers);
}

function walk(value: unknown, visit: (value: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map(visit);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, visit(member)]));
}
