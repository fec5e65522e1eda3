/** @file What goes to stdout: one JSON document, or tables under titles in the form that was asked for. */
import { type Command, Option } from "commander";
import { encodeNumbers } from "../train/json-numbers.ts";
import { texts } from "./dictionary/common.ts";
import { type Bilingual } from "./language.ts";
import { type Session } from "./session.ts";
import { printTable, type Table, type TableFormat } from "./table.ts";

/** The options that every printing command has. */
export interface FormatOptions {
  readonly json?: boolean;
  readonly format?: TableFormat;
}

/** Adds `--json` and `--format`, which exclude each other. */
export function addFormat(command: Command, { say }: Session, formats: readonly TableFormat[]): Command {
  return command
    .addOption(new Option("--json", say(texts.json)).conflicts("format"))
    .addOption(new Option("--format <form>", say(texts.format)).choices(formats));
}

/** The form that was asked for; aligned text when none was. */
export function formatOf({ json, format = "table" }: FormatOptions): TableFormat {
  return json === true ? "json" : format;
}

/** Prints the only document of a command; non-finite numbers become strings. */
export async function printJson(session: Session, document: unknown): Promise<void> {
  await session.print(`${JSON.stringify(encodeNumbers(document), undefined, 2)}\n`);
}

/** A part of a printout: a table, or text as it is, under a title. */
export interface Section {
  readonly title?: Bilingual;
  readonly table?: Table;
  /** Text of a program or a formula, kept as it is. */
  readonly code?: string;
}

/** Prints sections below each other. */
export async function printSections(
  session: Session,
  sections: readonly Section[],
  format: Exclude<TableFormat, "json">,
): Promise<void> {
  const layout = { language: session.language, terminalColumns: session.terminal.tableColumns };
  const printed = sections.map(({ title, table, code }) => {
    const heading =
      title === undefined
        ? []
        : [format === "md" ? `## ${session.say(title)}\n\n` : `${session.say(title)}\n`];
    const body = table === undefined ? [] : [printTable(table, format, layout)];
    const fence = format === "md" ? "```\n" : "";
    return [...heading, ...body, ...(code === undefined ? [] : [`${fence}${code}\n${fence}`])].join("");
  });
  await session.print(printed.join("\n"));
}
