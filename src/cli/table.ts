/** @file One table, four forms: aligned text (wrapped to a terminal), Markdown, CSV (RFC 4180) and JSON rows. */
import { type Bilingual, type Language } from "./language.ts";
import { printNumber } from "./quantities.ts";
import { padTo, widthOf, wrapText } from "./wrap.ts";

/** The forms in which tables are printed; `json` is the command's own document. */
export const tableFormats = ["table", "md", "csv", "json"] as const;
export type TableFormat = (typeof tableFormats)[number];

export type Cell = string | number;

/** A column: its key in JSON and CSV, its title for people. */
export interface Column {
  readonly key: string;
  readonly title: Bilingual;
}

export interface Table {
  readonly columns: readonly Column[];
  readonly rows: readonly Readonly<Record<string, Cell>>[];
}

/** How aligned text is laid out. */
export interface Layout {
  readonly language: Language;
  /** Columns of the terminal; cells are not wrapped where it is absent. */
  readonly terminalColumns?: number | undefined;
}

const gap = 2;
const narrowestColumn = 12;

/** The table in a form that is not JSON, ending in a line feed. */
export function printTable(table: Table, format: Exclude<TableFormat, "json">, layout: Layout): string {
  if (format === "csv") return printCsv(table);
  const titles = table.columns.map(({ title }) => title[layout.language]);
  const cells = table.rows.map((row) => table.columns.map(({ key }) => shown(row[key])));
  return format === "md"
    ? printMarkdown(titles, cells)
    : printAligned(titles, cells, isNumeric(table), layout);
}

function printAligned(
  titles: readonly string[],
  cells: readonly (readonly string[])[],
  numeric: readonly boolean[],
  { terminalColumns }: Layout,
): string {
  const natural = titles.map((title, column) =>
    Math.max(widthOf(title), ...cells.map((row) => widthOf(row[column] ?? ""))),
  );
  const widths = terminalColumns === undefined ? natural : fitted(natural, terminalColumns);
  const lines = (row: readonly string[]): string[] => {
    const wrapped = row.map((cell, column) => wrapText(cell, widths[column] ?? 0));
    return Array.from({ length: Math.max(...wrapped.map(({ length }) => length)) }, (_, line) =>
      wrapped
        .map((cell, column) =>
          padTo(cell[line] ?? "", widths[column] ?? 0, numeric[column] === true ? "right" : "left"),
        )
        .join(" ".repeat(gap))
        .trimEnd(),
    );
  };
  const rule = widths.map((width) => "─".repeat(width)).join(" ".repeat(gap));
  return [...lines(titles), rule, ...cells.flatMap(lines), ""].join("\n");
}

/** Takes from the widest column until all fit, or none can be narrower. */
function fitted(natural: readonly number[], terminalColumns: number): number[] {
  const widths = [...natural];
  let excess = widths.reduce((a, b) => a + b, 0) + gap * (widths.length - 1) - terminalColumns;
  while (excess > 0) {
    const widest = Math.max(...widths);
    if (widest <= narrowestColumn) break;
    widths[widths.lastIndexOf(widest)] = widest - 1;
    excess--;
  }
  return widths;
}

function printMarkdown(titles: readonly string[], cells: readonly (readonly string[])[]): string {
  const line = (row: readonly string[]): string => `| ${row.map(escapeMarkdown).join(" | ")} |`;
  return [line(titles), `|${titles.map(() => "---").join("|")}|`, ...cells.map(line), ""].join("\n");
}

function escapeMarkdown(cell: string): string {
  return cell
    .replaceAll("\\", "\\\\")
    .replaceAll("|", String.raw`\|`)
    .replaceAll(/\r?\n/g, "<br>");
}

/** Keys rather than titles: CSV is read by programs, whatever the language. */
function printCsv({ columns, rows }: Table): string {
  const line = (row: readonly string[]): string => `${row.map(escapeCsv).join(",")}\r\n`;
  const keys = columns.map(({ key }) => key);
  return [line(keys), ...rows.map((row) => line(keys.map((key) => String(row[key] ?? ""))))].join("");
}

function escapeCsv(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

/** Names may come from hostile files: their control characters are shown, not obeyed. */
function shown(cell: Cell | undefined): string {
  if (typeof cell === "number") return printNumber(cell);
  return (cell ?? "").replaceAll(/(?!\n)\p{Cc}/gu, (mark) => `\\u{${mark.codePointAt(0)?.toString(16)}}`);
}

function isNumeric({ columns, rows }: Table): boolean[] {
  return columns.map(({ key }) => rows.length > 0 && rows.every((row) => typeof row[key] === "number"));
}
