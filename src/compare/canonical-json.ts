/** @file JSON that is the same text for the same value, and that keeps numbers that JSON has no word for. */

const nonFinite: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  "-Infinity": Number.NEGATIVE_INFINITY,
};

/** For `JSON.stringify`: NaN and infinities become strings, as everywhere in our files. */
export function keepNonFinite(_key: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}

/** A number of a file: as it is, or one of the strings of {@link keepNonFinite}; nothing where it is neither. */
export function readNumber(value: unknown): number | undefined {
  if (typeof value === "number") return value;
  return typeof value === "string" ? nonFinite[value] : undefined;
}

/** JSON with the keys of every object in alphabetical order. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (key, inner: unknown) => {
    if (typeof inner !== "object" || inner === null || Array.isArray(inner)) return keepNonFinite(key, inner);
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
