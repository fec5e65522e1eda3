/**
 * @file The matrix as readable tables: columns that share attentions stand side by side, others get a table of their own,
 * as a matrix of mostly empty cells tells nothing.
 */
import { type Bilingual, type Language } from "./bilingual.ts";
import { decimalsFor, formatSpread } from "./format.ts";
import { columnTitle } from "./labels.ts";
import { type PlannedColumn } from "./plan.ts";
import { type CellResult, columnOf, type ComparisonResults } from "./results.ts";

/** Columns side by side, and the attentions that have a cell in at least one of them. */
export interface TableBlock {
  readonly columns: readonly PlannedColumn[];
  readonly selectors: readonly string[];
}

/** The least share of a column's attentions that a table must already have for the column to join it. */
const sharedRows = 0.5;

/**
 * Divides the matrix into tables, in the order of the plan.
 *
 * @param fits - whether columns may stand side by side
 */
export function tableBlocks(
  { plan }: Pick<ComparisonResults, "plan">,
  fits: (columns: readonly PlannedColumn[]) => boolean = () => true,
): TableBlock[] {
  const blocks: { columns: PlannedColumn[]; selectors: string[] }[] = [];
  for (const column of plan.columns) {
    const selectors = plan.cells.filter((cell) => cell.column === column.id).map(({ selector }) => selector);
    const block = blocks.find(
      (candidate) =>
        selectors.filter((selector) => candidate.selectors.includes(selector)).length >=
          sharedRows * selectors.length && fits([...candidate.columns, column]),
    );
    if (block === undefined) {
      blocks.push({ columns: [column], selectors });
    } else {
      block.columns.push(column);
      block.selectors.push(...selectors.filter((selector) => !block.selectors.includes(selector)));
    }
  }
  return blocks;
}

/** The cell of an attention in a column; nothing where it was not planned. */
export function cellAt(
  { cells }: ComparisonResults,
  column: string,
  selector: string,
): CellResult | undefined {
  return cells.find((cell) => cell.column === column && cell.selector === selector);
}

/** The decimals of a column: its means and spreads are printed alike. */
export function decimalsOfColumn({ cells }: ComparisonResults, column: string): number {
  return decimalsFor(cells.flatMap((cell) => (cell.column === column && cell.metric ? [cell.metric.mean] : [])));
}

/** A cell's mean and spread; nothing while there is none. */
export function cellNumber(results: ComparisonResults, cell: CellResult): string | undefined {
  return cell.metric === null ? undefined : formatSpread(cell.metric, decimalsOfColumn(results, cell.column));
}

/** What must be known beside a cell's number. */
export type CellMark = "best" | "tied-with-best" | "partial" | "edge";

/** The marks of a cell. */
export function marksOf(results: ComparisonResults, cell: CellResult): CellMark[] {
  const leaders = results.cells.filter(({ column, rank }) => column === cell.column && rank === 1);
  const tied = cell.rank === 1 && !cell.best && leaders.length > 1;
  return [
    ...(cell.best ? (["best"] as const) : []),
    ...(tied ? (["tied-with-best"] as const) : []),
    ...(cell.status === "partial" ? (["partial"] as const) : []),
    ...(cell.atEdge === null ? [] : (["edge"] as const)),
  ];
}

/** Failures with where they happened, each message once. */
export function failureNotes(results: ComparisonResults): { readonly places: readonly string[]; readonly text: Bilingual }[] {
  const notes = new Map<string, { places: string[]; text: Bilingual }>();
  for (const cell of results.cells) {
    const title = columnTitle(columnOf(results.plan, cell));
    // A rate that diverges is an answer of the sweep; it needs a note only where it leaves the cell without one.
    const telling = cell.failures.filter(({ diverged }) => !diverged || cell.status !== "measured");
    for (const { message } of telling) {
      const note = notes.get(message) ?? { places: [], text: { en: "", zh: "" } };
      const place = (language: Language): string => `${cell.selector} (${title[language]})`;
      const join = (language: Language, comma: string): string =>
        note.places.length === 0 ? place(language) : `${note.text[language]}${comma}${place(language)}`;
      note.text = { en: join("en", ", "), zh: join("zh", "、") };
      note.places.push(cell.id);
      notes.set(message, note);
    }
  }
  return [...notes].map(([message, { places, text }]) => ({
    places,
    text: { en: `${text.en}: ${message}`, zh: `${text.zh}：${message}` },
  }));
}
