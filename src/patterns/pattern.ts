/** @file What a pattern is: which pairs may be compared, known before the data. */
import { type Part } from "../base/part.ts";

/** A set of allowed pairs (query place i + offset, key place j). Patterns intersect. */
export interface Pattern extends Part {
  readonly kind: "pattern";
  /** Whether the query at place `queryPlace` (index + offset) may see key `key`. */
  readonly allows: (queryPlace: number, key: number) => boolean;
  /** A range [first, stop) of keys outside which `allows` is false for this query; may be wider than the allowed set. */
  readonly keyRange: (queryPlace: number, keys: number) => readonly [first: number, stop: number];
  /** Whether no query ever sees a later key. */
  readonly causal: boolean;
}

/** The pattern that allows what all of `patterns` allow. */
export function intersect(patterns: readonly Pattern[]): Pick<Pattern, "allows" | "keyRange" | "causal"> {
  return {
    allows: (queryPlace, key) => patterns.every((pattern) => pattern.allows(queryPlace, key)),
    keyRange: (queryPlace, keys) => {
      const ranges = patterns.map((pattern) => pattern.keyRange(queryPlace, keys));
      const first = Math.max(0, ...ranges.map(([start]) => start));
      return [first, Math.max(first, Math.min(keys, ...ranges.map(([, stop]) => stop)))];
    },
    causal: patterns.some(({ causal }) => causal),
  };
}
