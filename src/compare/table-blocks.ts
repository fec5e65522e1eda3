/**
 * @file The matrix as readable tables: columns that share attentions stand side by side, others get a table of their own,
 * as a matrix of mostly empty cells tells nothing.
 */
import { type Bilingual, type Language, same } from "./bilingual.ts";
import { decimalsFor, formatSpread } from "./format.ts";
import { columnTitle } from "./labels.ts";
import { type PlannedColumn } from "./plan.ts";
import { type CellResult, columnOf, type ComparisonResults, finishedRuns } from "./results.ts";

/** Columns side by side, and the attentions that have a cell in at least one of them. */
export interface TableBlock {
  readonly columns: readonly PlannedColumn[];
  readonly selectors: readonly string[];
}

/** The least share of a task's attentions that a table must already have for the task to join it. */
const SHARED_ROWS = 0.5;

/**
 * Divides the matrix into tables, in the order of the plan. Columns of one task stay together where they fit.
 *
 * @param fits - whether a table is narrow enough
 */
export function tableBlocks(
  { plan }: Pick<ComparisonResults, "plan">,
  fits: (block: TableBlock) => boolean = () => true,
): TableBlock[] {
  const blocks: TableBlock[] = [];
  const join = (columns: readonly PlannedColumn[]): boolean => {
    const selectors = plan.cells
      .filter((cell) => columns.some(({ id }) => id === cell.column))
      .map(({ selector }) => selector);
    const wanted = [...new Set(selectors)];
    for (const [place, block] of blocks.entries()) {
      const added = wanted.filter((selector) => !block.selectors.includes(selector));
      if (added.length > (1 - SHARED_ROWS) * wanted.length) continue;
      const joined = {
        columns: [...block.columns, ...columns],
        selectors: [...block.selectors, ...added],
      };
      if (!fits(joined)) continue;
      blocks[place] = joined;
      return true;
    }
    const alone = { columns, selectors: wanted };
    // A single column has its table even in a terminal that is too narrow for it.
    if (columns.length > 1 && !fits(alone)) return false;
    blocks.push(alone);
    return true;
  };
  for (const task of new Set(plan.columns.map((column) => column.task))) {
    const columns = plan.columns.filter((column) => column.task === task);
    if (!join(columns)) for (const column of columns) join([column]);
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
  return decimalsFor(
    cells.flatMap((cell) => (cell.column === column && cell.metric ? [cell.metric.mean] : [])),
  );
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

/** A remark with the cells that it is about. */
export interface Note {
  /** Ids of cells. */
  readonly places: readonly string[];
  readonly text: Bilingual;
}

/** Failures with where they happened, each message once. */
export function failureNotes(results: ComparisonResults): Note[] {
  return joinNotes(
    results,
    results.cells.flatMap((cell) =>
      cell.failures
        // A rate that diverges is an answer of the sweep; it needs a note only where it leaves the cell without one.
        .filter(({ diverged }) => !diverged || cell.status !== "measured")
        .map(({ message }) => ({ cell, message: same(message) })),
    ),
  );
}

/** What plan and runs say beside their numbers, each remark once. */
export function runNotes(results: ComparisonResults): Note[] {
  return joinNotes(
    results,
    results.cells.flatMap((cell) => [
      ...unusedSettings(columnOf(results.plan, cell)).map((message) => ({ cell, message })),
      ...finishedRuns(results, cell.id, cell.learningRate).flatMap(({ measurements }) =>
        measurements.notes.map((note) => ({ cell, message: same(note) })),
      ),
    ]),
  );
}

/** Settings of other columns that have no effect in this one. */
function unusedSettings({ unused = {}, settings }: PlannedColumn): Bilingual[] {
  return [...new Set(Object.values(unused))].map((because) => {
    const names = Object.keys(unused).filter((name) => unused[name] === because);
    const value = String(settings[because]);
    return {
      en: `No effect where ${because} is ${value}: ${names.join(", ")}`,
      zh: `${because} 为 ${value} 时不起作用：${names.join("、")}`,
    };
  });
}

function joinNotes(
  { plan }: ComparisonResults,
  remarks: readonly { readonly cell: CellResult; readonly message: Bilingual }[],
): Note[] {
  const byMessage = new Map<string, { readonly message: Bilingual; readonly cells: Set<CellResult> }>();
  for (const { cell, message } of remarks) {
    const about = byMessage.get(message.en) ?? { message, cells: new Set() };
    about.cells.add(cell);
    byMessage.set(message.en, about);
  }
  return [...byMessage.values()].map(({ message, cells }) => {
    const places = (language: Language): string[] =>
      [...cells].map((cell) => `${cell.selector} (${columnTitle(columnOf(plan, cell))[language]})`);
    return {
      places: [...cells].map(({ id }) => id),
      text: {
        en: `${places("en").join(", ")}: ${message.en}`,
        zh: `${places("zh").join("、")}：${message.zh}`,
      },
    };
  });
}
