/** @file What one kind of thing looks like in `list`: as a document, as a table of its own, and as lines among other kinds. */
import { texts } from "../dictionary/list.ts";
import { type Bilingual } from "../language.ts";
import { type Column, type Table } from "../table.ts";

export interface Listing {
  /** What `--json` prints. */
  readonly document: readonly object[];
  readonly table: Table;
  /** One line each in the table of all kinds. */
  readonly lines: readonly { readonly name: string; readonly about: string }[];
}

/** How texts of a listing are put in the session's language. */
export type Say = (text: Bilingual) => string;

/** Columns by their keys in the dictionary. */
export function columns(...keys: readonly (keyof typeof texts.columns)[]): readonly Column[] {
  return keys.map((key) => ({ key, title: texts.columns[key] }));
}
