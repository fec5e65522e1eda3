/** @file The parts of an attention, the rules of recurrences and of routing as `list` shows them: formula, options and source of each. */
import { partFactories } from "../../attention/index.ts";
import { type PartDefinition, type PartKind } from "../../base/index.ts";
import { routingNames, routings } from "../../kernels/reference/routing-rule.ts";
import { recurrences, type RuleInput } from "../../recurrence/index.ts";
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

/** Rules of the recurrent class, by their names in selectors. */
export const recurrenceNames: readonly string[] = recurrences.map(({ definition }) => definition.selector);

/** The rules of the recurrent class, with the inputs that each takes. */
export function listRecurrences(say: Say): Listing {
  const rules = recurrences.map((make) => ({ definition: make.definition, inputs: make().inputs }));
  const listing = listDefinitions(
    rules.map(({ definition }) => definition),
    say,
  );
  return {
    ...listing,
    document: listing.document.map((entry, index) => ({
      ...entry,
      inputs: rules[index]?.inputs.map(({ name, extents, domain, need }) => ({
        name,
        extents,
        domain,
        need,
      })),
    })),
    table: {
      columns: columns("name", "formula", "inputs", "options", "source"),
      rows: listing.table.rows.map((row, index) => ({
        ...row,
        inputs: (rules[index]?.inputs ?? [])
          .filter(({ name }) => name !== "logDecay")
          .map(printInput)
          .join(", "),
      })),
    },
  };
}

/** The rules that route tokens to experts, with the defaults of their options. */
export function listRoutings(): Listing {
  const rules = routingNames.map((name) => {
    const { make, formula, source } = routings[name];
    const { choices, capacityFactor = "none", balance } = make();
    return { name, formula, options: { choices, capacityFactor, balance }, source };
  });
  return {
    document: rules,
    table: {
      columns: columns("name", "formula", "options", "source"),
      rows: rules.map(({ options, ...rule }) => ({
        ...rule,
        options: Object.entries(options)
          .map(([option, value]) => `${option}: ${value}`)
          .join("; "),
      })),
    },
    lines: rules.map(({ name, formula }) => ({ name, about: formula })),
  };
}

/** An input with its shape; brackets around one that may be left out. */
export function printInput({ name, extents, need }: Pick<RuleInput, "name" | "extents" | "need">): string {
  const written = `${name} ${extents}`;
  return need === "optional" ? `(${written})` : need === "always" ? written : `${written} or ${need.instead}`;
}

/** The parts of one kind. */
export function listParts(kind: ListedPartKind, say: Say): Listing {
  return listDefinitions(definitionsOf(kind), say);
}

function listDefinitions(definitions: readonly PartDefinition[], say: Say): Listing {
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
