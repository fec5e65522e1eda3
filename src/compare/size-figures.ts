/**
 * @file Metric against what a model keeps or has: bytes of state at inference, parameters. Columns of a task that differ in sizes
 * of the model only are one figure, with a line for each attention: what more memory buys it, and what nothing buys it.
 */
import { dot } from "@observablehq/plot";
import { type Bilingual } from "./bilingual.ts";
import { axisLabel, type Figure } from "./drawing.ts";
import { formatNumber } from "./format.ts";
import { columnTitle, measurement, unitTitle, variantTitle } from "./labels.ts";
import { type PlannedColumn } from "./plan.ts";
import {
  common,
  endsOf,
  figureId,
  join,
  linearScaleOf,
  listOf,
  type Look,
  lookOf,
  type Measured,
  measuredCells,
  type Point,
  pointOf,
  spreadLines,
  type Styles,
} from "./plot-parts.ts";
import { plotText } from "./report-text.ts";
import { type ComparisonResults } from "./results.ts";

/** What an axis can show. */
export type ModelSize = "stateBytes" | "parameters" | "activeParameters";

/** One measured cell of a group. */
export interface SizedCell extends Look, Point {
  /** Bytes or parameters. */
  readonly size: number;
  readonly column: PlannedColumn;
  readonly cell: Measured;
}

/** Columns that differ in sizes of the model only, with what was measured in them, the smallest model first. */
export interface SizeGroup {
  readonly size: ModelSize;
  /** The task's name, with the settings that are not sizes of the model where columns differ in them. */
  readonly title: Pick<PlannedColumn, "task" | "variant">;
  readonly columns: readonly PlannedColumn[];
  readonly cells: readonly SizedCell[];
}

/** The settings that make a model's state larger and leave the task as it is, and those that give it more parameters. */
const stateSettings = ["width", "layers", "heads", "keyValueHeads", "headWidth", "valueWidth"] as const;
const parameterSettings = [...stateSettings, "experts", "choices"] as const;
const sizeSettings: Readonly<Record<ModelSize, ReadonlySet<string>>> = {
  stateBytes: new Set(stateSettings),
  parameters: new Set(parameterSettings),
  activeParameters: new Set(parameterSettings),
};

/**
 * The groups of a task in which the models differ in size; of parameters only where the task is about them, that is where it
 * measures those that one token meets.
 *
 * @param columns - all of one task
 */
export function sizeGroups(
  results: ComparisonResults,
  columns: readonly PlannedColumn[],
  size: ModelSize,
  styles: Styles,
): readonly SizeGroup[] {
  return groupsOf(columns, size).flatMap((members) => {
    const measured = members.flatMap((column) =>
      measuredCells(results, column).map((cell) => ({ column, cell })),
    );
    const isAbout =
      size === "stateBytes" || measured.some(({ cell }) => cell.measured["activeParameters"] !== undefined);
    if (!isAbout) return [];
    const cells = measured
      .flatMap(({ column, cell }): SizedCell[] => {
        const known = cell.measured[size];
        // Where a model does not count those that a token meets, it meets all.
        const spent = known ?? (size === "activeParameters" ? cell.measured["parameters"] : undefined);
        if (spent === undefined || !(spent.mean > 0)) return [];
        return [{ size: spent.mean, column, cell, ...pointOf(cell.metric), ...lookOf(cell, styles) }];
      })
      .sort((a, b) => a.size - b.size);
    if (new Set(cells.map((cell) => cell.size)).size < 2) return [];
    const variant = Object.assign(
      {},
      ...members.map((column) => taskOf(column, size)),
    ) as PlannedColumn["variant"];
    return [{ size, title: { task: members[0].task, variant }, columns: members, cells }];
  });
}

/**
 * Columns that agree in all settings but sizes. One in which such a setting has no effect, as a router without experts has none,
 * agrees with every value of it.
 */
function groupsOf(columns: readonly PlannedColumn[], size: ModelSize): readonly (readonly PlannedColumn[])[] {
  const variants = columns.map((column) => taskOf(column, size));
  const distinct = [...new Map(variants.map((variant) => [JSON.stringify(variant), variant])).values()];
  const groups = distinct.map((variant) =>
    columns.filter((_, index) =>
      Object.entries(variants[index]).every(([name, value]) => variant[name] === value),
    ),
  );
  const isPartOf = (group: readonly PlannedColumn[], other: readonly PlannedColumn[]): boolean =>
    other.length > group.length && group.every((column) => other.includes(column));
  return groups.filter((group) => !groups.some((other) => isPartOf(group, other)));
}

/** The settings in which a column differs from others beside those that decide a size. */
function taskOf({ variant }: PlannedColumn, size: ModelSize): PlannedColumn["variant"] {
  return Object.fromEntries(Object.entries(variant).filter(([setting]) => !sizeSettings[size].has(setting)));
}

/** The settings in which a column differs from others and that decide a size, in words. */
export function sizesTitle({ variant }: PlannedColumn, size: ModelSize): Bilingual {
  const sizes = Object.entries(variant).filter(([setting]) => sizeSettings[size].has(setting));
  return variantTitle({ variant: Object.fromEntries(sizes) });
}

const captions = {
  stateBytes: plotText.state,
  parameters: plotText.parameters,
  activeParameters: plotText.activeParameters,
} as const;

/** A group as a figure. */
export function sizeFigure({ size, title, columns, cells }: SizeGroup): Figure {
  const { title: name, format } = measurement(size);
  const sizes = [...new Set(cells.map((cell) => cell.size))];
  return {
    id: figureId(columns[0], size),
    caption: join(columnTitle(title), captions[size]),
    description: listOf(
      cells,
      ({ size: spent, mean, column }) =>
        `${columns.length > 1 ? `${sizesTitle(column, size).en}, ` : ""}${format(spent)}: ${formatNumber(mean, 3)}`,
    ),
    draw: (width) => ({
      ...common,
      x: {
        type: "log",
        base: 2,
        label: axisLabel(name),
        ticks: thinned(sizes, Math.floor(width / 90)),
        tickFormat: (value: number) => format(value),
      },
      y: { label: axisLabel(unitTitle(columns[0])), grid: true, ...linearScaleOf(endsOf(cells)) },
      marks: [
        ...spreadLines(cells, "size"),
        dot(cells, { x: "size", y: "mean", fill: "colour", symbol: "symbol", r: 5.5 }),
      ],
    }),
  };
}

/** At most so many of some ascending numbers, none nearer to the one before than a share of the whole span of octaves. */
function thinned(sizes: readonly number[], most: number): number[] {
  const nearest = Math.log2(sizes[sizes.length - 1] / sizes[0]) / most;
  const kept: number[] = [];
  for (const size of sizes) {
    const last = kept.at(-1);
    if (last === undefined || Math.log2(size / last) >= nearest) kept.push(size);
  }
  return kept;
}
