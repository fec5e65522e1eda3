/** @file What the plots of a report share: how attentions look, points with their spread, scales, captions. */
import { line, type Markish, type PlotOptions, ruleX, type ScaleOptions } from "@observablehq/plot";
import { type Bilingual, same } from "./bilingual.ts";
import { type PlannedColumn } from "./plan.ts";
import { type CellResult, type ComparisonResults } from "./results.ts";
import { type SeriesStyle } from "./series-style.ts";
import { type Spread } from "./spread.ts";

/** Attentions with their looks. */
export type Styles = ReadonlyMap<string, SeriesStyle>;

/** A cell that has numbers. */
export type Measured = CellResult & { readonly metric: Spread };

/** A scale whose ends differ by more than this factor is logarithmic. */
const WIDE_SPAN = 20;

/** What all plots have. */
export const common: PlotOptions = {
  height: 300,
  marginLeft: 52,
  marginTop: 28,
  marginBottom: 40,
  style: { fontSize: "12px" },
};

/** A figure's id, unique in a report. */
export function figureId({ id }: PlannedColumn, kind: string): string {
  return `${id.replaceAll(/[^\w-]+/g, "-")}-${kind}`;
}

/** The cells of a column that have numbers. */
export function measuredCells({ cells }: ComparisonResults, column: PlannedColumn): Measured[] {
  return cells.filter((cell): cell is Measured => cell.column === column.id && cell.metric !== null);
}

/** An attention as it looks in plots. */
export interface Look extends SeriesStyle {
  readonly selector: string;
}

/** How an attention looks. */
export function lookOf({ selector }: { readonly selector: string }, styles: Styles): Look {
  return { selector, ...(styles.get(selector) ?? { colour: "currentColor", symbol: "circle" }) };
}

/** A mean with the ends of its spread. */
export interface Point {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/** A mean with one standard deviation to either side; none where it is not known. */
export function pointOf({ mean, deviation }: Spread): Point {
  return { mean, low: mean - (deviation ?? 0), high: mean + (deviation ?? 0) };
}

/** The ends of all spreads. */
export function endsOf(points: readonly Point[]): number[] {
  return points.flatMap(({ low, high }) => [low, high]);
}

/** Lines through the means of each attention, and their spreads. */
export function spreadLines(points: readonly (Point & Look)[], x: string): Markish[] {
  return [
    ruleX(points, { x, y1: "low", y2: "high", stroke: "colour", strokeOpacity: 0.6, strokeWidth: 1.5 }),
    line(points, { x, y: "mean", z: "selector", stroke: "colour", strokeWidth: 1.5 }),
  ];
}

/** A linear scale; where all values are equal they stand in its middle. */
export function linearScaleOf(values: readonly number[]): ScaleOptions {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  if (most > least) return { nice: true };
  const margin = Math.abs(least) / 2 || 1;
  return { domain: [least - margin, least + margin], nice: true };
}

/** A scale for these values, logarithmic where they differ by a large factor. */
export function scaleOf(values: readonly number[]): ScaleOptions {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  if (!(least > 0 && most > WIDE_SPAN * least)) return linearScaleOf(values);
  return {
    type: "log",
    tickFormat: (value: number) => (isPowerOfTen(value) ? String(value) : ""),
  };
}

/** A title and what is shown of it. */
export function join(title: Bilingual, text: Bilingual): Bilingual {
  return { en: `${title.en}: ${text.en}`, zh: `${title.zh}：${text.zh}` };
}

/** Attentions with their values, in words. */
export function listOf<Item extends { readonly selector: string }>(
  items: readonly Item[],
  value: (item: Item) => string,
): Bilingual {
  return same(items.map((item) => `${item.selector} ${value(item)}`).join("; "));
}

function isPowerOfTen(value: number): boolean {
  const exponent = Math.log10(value);
  return Math.abs(exponent - Math.round(exponent)) < 1e-9;
}
