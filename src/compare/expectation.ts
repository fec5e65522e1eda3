/** @file What an expectation is, and what the tests of expectations share: finding measured cells, and showing them as evidence. */
import { parseSelector, partFactories, type SelectedParts } from "../attention/index.ts";
import { type Bilingual, same } from "./bilingual.ts";
import { formatSpread } from "./format.ts";
import { variantTitle } from "./labels.ts";
import { type PlannedColumn } from "./plan.ts";
import { type CellResult, columnOf, type ComparisonResults } from "./results.ts";
import { type Spread } from "./spread.ts";

/** `undecided`: measured, but the numbers cannot decide, as with one seed, which has no spread. */
export type VerdictStatus = "holds" | "does not hold" | "undecided" | "not measured";

/** One number that a verdict rests on. */
export interface Evidence {
  readonly label: Bilingual;
  readonly value: string;
}

/** An expectation after it was tested. */
export interface Verdict {
  readonly id: string;
  readonly claim: Bilingual;
  /** Where the claim comes from. */
  readonly source: string;
  readonly status: VerdictStatus;
  /** What decided, in words and numbers. */
  readonly reason: Bilingual;
  readonly evidence: readonly Evidence[];
}

/** What a test finds. */
export type Finding = Pick<Verdict, "status" | "reason" | "evidence">;

/** A claim with its test. */
export interface Expectation {
  readonly id: string;
  readonly claim: Bilingual;
  readonly source: string;
  readonly test: (results: ComparisonResults) => Finding;
}

/** Test accuracy from which on recall counts as solved. */
export const SOLVED = 0.95;

/** {@link SOLVED} in words. */
export const solvedRule: Bilingual = {
  en: `solved means a mean test accuracy of at least ${SOLVED}`,
  zh: `“解决”指平均测试准确率不低于 ${SOLVED}`,
};

/** The settings of a column. */
export type ColumnSettings = Pick<PlannedColumn, "settings">;

/** A cell with numbers. */
export interface MeasuredCell extends CellResult {
  readonly spread: Spread;
  readonly better: "higher" | "lower";
  /** In what its column differs from others of the task. */
  readonly variant: Bilingual;
  /** Of the column's metric. */
  readonly series: string;
}

/** The cells of a task whose selector matches, in the columns that do. */
export function cellsWhere(
  results: ComparisonResults,
  task: string,
  matches: (selector: string) => boolean,
  inColumn: (column: ColumnSettings) => boolean = () => true,
): MeasuredCell[] {
  return results.cells.flatMap((cell) => {
    const column = columnOf(results.plan, cell);
    if (column.task !== task || cell.metric === null || !inColumn(column) || !matches(cell.selector))
      return [];
    const { better, name } = column.metric;
    return [{ ...cell, spread: cell.metric, better, series: name, variant: variantTitle(column) }];
  });
}

/** The cells of a task whose attention matches, in the columns that do; what compares no pairs matches nothing. */
export function measuredCells(
  results: ComparisonResults,
  task: string,
  matches: (parts: SelectedParts) => boolean,
  inColumn?: (column: ColumnSettings) => boolean,
): MeasuredCell[] {
  const comparesPairs = (selector: string): boolean =>
    partFactories.similarity.some(({ definition }) => definition.selector === nameOf(selector));
  return cellsWhere(
    results,
    task,
    (selector) => comparesPairs(selector) && matches(parseSelector(selector)),
    inColumn,
  );
}

/** What a selector begins with. */
export function nameOf(selector: string): string {
  return selector.split(/[:+]/)[0];
}

/** One of the similarities, with every other part at its default. */
export function isPlain(similarities: readonly string[]): (parts: SelectedParts) => boolean {
  return ({ similarity, selection, normaliser, aggregation }) =>
    similarities.includes(similarity.name) &&
    selection === undefined &&
    aggregation === undefined &&
    (normaliser === undefined || normaliser.name === "softmax");
}

/** The dot product without a softmax. */
export const isLinear = ({ similarity, normaliser }: SelectedParts): boolean =>
  similarity.name === "dot" && normaliser?.name === "none";

/** A cell as evidence. */
export function evidenceOf({ selector, spread, variant }: MeasuredCell): Evidence {
  const { en, zh } = variant;
  const label = en === "" ? same(selector) : { en: `${selector}, ${en}`, zh: `${selector}，${zh}` };
  return { label, value: formatSpread(spread, 3) };
}

/** What a test finds where its cells are missing. */
export function notMeasured(needs: string): Finding {
  return {
    status: "not measured",
    reason: { en: `needs ${needs}`, zh: `需要 ${needs}` },
    evidence: [],
  };
}
