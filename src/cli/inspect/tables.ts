/** @file Tables that descriptions are made of. */
import { texts } from "../dictionary/inspect.ts";
import { type Cell, type Column, type Table } from "../table.ts";

/** Columns by their keys in the dictionary. */
export function columns(...keys: readonly (keyof typeof texts.columns)[]): readonly Column[] {
  return keys.map((key) => ({ key, title: texts.columns[key] }));
}

/** Facts about one thing, a line each; those without a value are left out. */
export function factTable(
  facts: Readonly<Partial<Record<keyof typeof texts.facts, Cell | undefined>>>,
  say: (text: (typeof texts.facts)[keyof typeof texts.facts]) => string,
): Table {
  const names = Object.keys(facts) as (keyof typeof texts.facts)[];
  return {
    columns: columns("property", "value"),
    rows: names.flatMap((name) => {
      const value = facts[name];
      return value === undefined || value === "" ? [] : [{ property: say(texts.facts[name]), value }];
    }),
  };
}
