/** @file The parts of an attention as `list` shows them: formula, options and source of every factory. */
import { partFactories } from "../../attention/index.ts";
import { type PartDefinition, type PartKind } from "../../base/index.ts";
import { texts } from "../dictionary/list.ts";
import { columns, type Listing, type Say } from "./listing.ts";

/** The kinds of parts as they are listed, in the order of an attention. */
export const listedPartKinds = {
  similarities: "similarity",
  positions: "position",
  patterns: "pattern",
  selections: "selection",
  normalisers: "normaliser",
  aggregations: "aggregation",
} as const satisfies Record<string, PartKind>;

export type ListedPartKind = keyof typeof listedPartKinds;

/** What is known of the parts of one kind. */
export function definitionsOf(kind: ListedPartKind): readonly PartDefinition[] {
  return partFactories[listedPartKinds[kind]].map(({ definition }) => definition);
}

/** Their names in selectors. */
export function namesOf(kind: ListedPartKind): readonly string[] {
  return definitionsOf(kind).map(({ selector }) => selector);
}

/** The parts of one kind. */
export function listParts(kind: ListedPartKind, say: Say): Listing {
  const definitions = definitionsOf(kind);
  return {
    document: definitions.map(({ selector, formula, source, rules }) => ({
      name: selector,
      formula,
      options: Object.entries(rules).map(([name, { allowed, required }]) => ({ name, allowed, required })),
      source,
    })),
    table: {
      columns: columns("name", "formula", "options", "source"),
      rows: definitions.map(({ selector, formula, source, rules }) => {
        const options = Object.entries(rules).map(
          ([name, { allowed, required }]) => `${required ? say(texts.required(name)) : name}: ${allowed}`,
        );
        return { name: selector, formula, options: options.join("; "), source };
      }),
    },
    lines: definitions.map(({ selector, formula }) => ({ name: selector, about: formula })),
  };
}
