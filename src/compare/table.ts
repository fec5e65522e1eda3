/** @file The comparison as a table: for a terminal, as Markdown, as CSV (one line for each cell) and as JSON. */
import stringWidth from "string-width";
import { type Language } from "./bilingual.ts";
import { encodeNumbers } from "../train/json-numbers.ts";
import { columnTitle, taskTitle, unitTitle, variantTitle } from "./labels.ts";
import { type PlannedColumn } from "./plan.ts";
import { type CellResult, columnOf, type ComparisonResults } from "./results.ts";
import {
  cellAt,
  type CellMark,
  cellNumber,
  failureNotes,
  marksOf,
  runNotes,
  type TableBlock,
  tableBlocks,
} from "./table-blocks.ts";
import { tableText } from "./table-text.ts";

/** The forms of a table. */
export type TableFormat = "text" | "md" | "csv" | "json";

/** How to print a table. */
export interface TableOptions {
  readonly format: TableFormat;
  readonly language: Language;
  /** Columns of the terminal, for `text`; 80 when absent. */
  readonly terminalColumns?: number | undefined;
  /** Whether `text` may use bold and faint letters. */
  readonly hasColour?: boolean;
}

/**
 * The table of a comparison, ending in a line feed.
 *
 * @param results - a comparison, finished or not
 */
export function printComparison(results: ComparisonResults, options: TableOptions): string {
  switch (options.format) {
    case "text":
      return printText(results, options);
    case "md":
      return printMarkdown(results, options.language);
    case "csv":
      return printCsv(results);
    case "json":
      return `${JSON.stringify(encodeNumbers(tableRows(results)), undefined, 2)}\n`;
  }
}

const symbols: Readonly<Record<CellMark, string>> = {
  best: "*",
  "tied-with-best": "=",
  partial: "!",
  edge: "^",
};
const gap = "  ";

function printText(results: ComparisonResults, options: TableOptions): string {
  const { language, terminalColumns = 80, hasColour = false } = options;
  const widthOf = (column: PlannedColumn): number =>
    columnLayout(results, column, language).width + gap.length;
  const fits = ({ columns, selectors }: TableBlock): boolean =>
    columns.reduce((sum, column) => sum + widthOf(column), labelWidth(selectors, language)) <=
    terminalColumns;
  const blocks = tableBlocks(results, fits).map((block) => textBlock(results, block, language, hasColour));
  return [...blocks, footnotes(results, language), ""].join("\n");
}

function labelWidth(selectors: readonly string[], language: Language): number {
  return Math.max(...[tableText.similarity[language], ...selectors].map((label) => stringWidth(label)));
}

interface ColumnLayout {
  readonly width: number;
  /** Title, variant and unit, broken into lines. */
  readonly header: readonly string[];
}

function columnLayout(results: ComparisonResults, column: PlannedColumn, language: Language): ColumnLayout {
  const cells = results.cells.filter((cell) => cell.column === column.id);
  const numbers = cells.map((cell) => stringWidth(cellText(results, cell, language)));
  const titles = [taskTitle(column.task), variantTitle(column), unitTitle(column)].map(
    (text) => text[language],
  );
  const longestWord = Math.max(...titles.flatMap((title) => wordsOf(title).map((word) => stringWidth(word))));
  const width = Math.max(...numbers, longestWord, NARROWEST);
  return { width, header: titles.flatMap((title) => breakWords(title, width)) };
}

/** Columns narrower than this would break their titles into single words. */
const NARROWEST = 12;

/** The arrow of a unit stays with the word before it. */
function wordsOf(title: string): string[] {
  return title.split(/ (?![↑↓])/).filter((word) => word !== "");
}

function breakWords(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of wordsOf(text)) {
    const last = lines.at(-1);
    if (last !== undefined && stringWidth(`${last} ${word}`) <= width)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

function textBlock(
  results: ComparisonResults,
  { columns, selectors }: TableBlock,
  language: Language,
  hasColour: boolean,
): string {
  const title = tableText.similarity[language];
  const first = labelWidth(selectors, language);
  const layouts = columns.map((column) => columnLayout(results, column, language));
  const headerLines = Math.max(...layouts.map(({ header }) => header.length));
  const lines: string[] = [];
  for (let line = 0; line < headerLines; line++) {
    // Headers end on the same line, with the unit nearest to the numbers.
    const parts = layouts.map(({ header, width }) =>
      padStart(header[line - headerLines + header.length] ?? "", width),
    );
    lines.push([padEnd(line === headerLines - 1 ? title : "", first), ...parts].join(gap).trimEnd());
  }
  lines.push([first, ...layouts.map(({ width }) => width)].map((width) => "─".repeat(width)).join(gap));
  for (const selector of selectors) {
    const cells = columns.map((column, place) => {
      const cell = cellAt(results, column.id, selector);
      const text = padStart(
        cell === undefined ? "" : cellText(results, cell, language),
        layouts[place].width,
      );
      return hasColour && cell?.best === true ? `\u001B[1m${text}\u001B[22m` : text;
    });
    lines.push([padEnd(selector, first), ...cells].join(gap).trimEnd());
  }
  return `${lines.join("\n")}\n`;
}

function cellText(results: ComparisonResults, cell: CellResult, language: Language): string {
  const number =
    cellNumber(results, cell) ?? tableText[cell.status === "failed" ? "failed" : "left"][language];
  // Marks take their place in every cell, so that the numbers stand under each other.
  const marks = marksOf(results, cell).map((mark) => symbols[mark]);
  const notes = failureNotes(results).flatMap(({ places }, note) =>
    places.includes(cell.id) ? [note + 1] : [],
  );
  const noted = notes.length === 0 ? number : `${number} [${notes.join(",")}]`;
  const room = marksWidth(results, cell.column);
  return room === 0 ? noted : `${noted} ${marks.join("").padEnd(room)}`;
}

function marksWidth(results: ComparisonResults, column: string): number {
  return Math.max(
    0,
    ...results.cells.map((cell) => (cell.column === column ? marksOf(results, cell).length : 0)),
  );
}

/** What the marks in use mean, and why cells failed. */
function footnotes(results: ComparisonResults, language: Language): string {
  const used = new Set(results.cells.flatMap((cell) => marksOf(results, cell)));
  const legend = (Object.keys(symbols) as CellMark[])
    .filter((mark) => used.has(mark))
    .map((mark) => `${symbols[mark]} ${tableText[mark][language]}`);
  const measured = results.cells.flatMap(({ metric }) => (metric === null ? [] : [metric]));
  const failures = failureNotes(results).map(({ text }, note) => `[${note + 1}] ${text[language]}`);
  const remarks = runNotes(results).map(({ text }) => text[language]);
  return [
    ...(measured.some(({ deviation }) => deviation !== null) ? [`± ${tableText.spread[language]}`] : []),
    ...legend,
    ...(measured.some(({ deviation }) => deviation === null) ? [tableText.oneSeed[language]] : []),
    ...failures,
    ...remarks,
  ].join("\n");
}

const padStart = (text: string, width: number): string =>
  " ".repeat(Math.max(0, width - stringWidth(text))) + text;
const padEnd = (text: string, width: number): string =>
  text + " ".repeat(Math.max(0, width - stringWidth(text)));

function printMarkdown(results: ComparisonResults, language: Language): string {
  const tables = tableBlocks(results).map(({ columns, selectors }) => {
    const titles = columns.map(
      (column) => `${columnTitle(column)[language]} (${unitTitle(column)[language]})`,
    );
    const rows = selectors.map((selector) => {
      const cells = columns.map((column) => {
        const cell = cellAt(results, column.id, selector);
        if (cell === undefined) return "";
        const text = cellText(results, cell, language).replaceAll("*", "").trim();
        return cell.best ? `**${text}**` : text;
      });
      return [`\`${selector}\``, ...cells];
    });
    const line = (cells: readonly string[]): string =>
      `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
    const rule = `|---|${columns.map(() => "--:|").join("")}`;
    return [line([tableText.similarity[language], ...titles]), rule, ...rows.map(line), ""].join("\n");
  });
  return [
    ...tables,
    footnotes(results, language).replaceAll("\n", "  \n").replace("* ", "**bold** "),
    "",
  ].join("\n");
}

/** The common measurements of every cell, in CSV and JSON. */
const commonMeasurements = ["stepMs", "peakMemoryBytes", "stateBytes", "largestLogit", "entropy"] as const;

function tableRows(results: ComparisonResults): Record<string, unknown>[] {
  return results.cells.map((cell) => {
    const { task, variant, metric } = columnOf(results.plan, cell);
    return {
      task,
      variant: Object.entries(variant)
        .map(([name, value]) => `${name}=${value}`)
        .join(","),
      similarity: cell.selector,
      status: cell.status,
      metric: metric.name,
      unit: metric.unit,
      better: metric.better,
      mean: cell.metric?.mean ?? null,
      deviation: cell.metric?.deviation ?? null,
      seeds: cell.metric?.values.length ?? 0,
      learningRate: cell.learningRate,
      rank: cell.rank,
      best: cell.best,
      tiedWith: cell.tiedWith,
      ...Object.fromEntries(commonMeasurements.map((name) => [name, cell.measured[name]?.mean ?? null])),
      failures: cell.failures.map(({ message }) => message),
    };
  });
}

function printCsv(results: ComparisonResults): string {
  const rows = tableRows(results);
  const names = Object.keys(rows[0]);
  const field = (value: unknown): string => {
    const text = Array.isArray(value) ? value.join("; ") : `${(value ?? "") as string | number | boolean}`;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [names, ...rows.map((row) => names.map((name) => row[name]))]
    .map((line) => `${line.map(field).join(",")}\r\n`)
    .join("");
}
