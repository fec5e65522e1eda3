/**
 * @file The plots of a report: metric with its spread and seeds, training curves, sensitivity to the learning rate, growth
 * beyond the trained length, metric against a setting, and cost. Each is a function from results to a figure, or to
 * nothing where there is nothing to see.
 */
import { dot, line, ruleX, ruleY, text } from "@observablehq/plot";
import { axisLabel, type Figure } from "./drawing.ts";
import { formatDuration, formatNumber, formatSpread } from "./format.ts";
import { columnTitle, measurement, settingTitle, taskTitle, unitTitle } from "./labels.ts";
import { type PlannedColumn } from "./plan.ts";
import {
  common,
  endsOf,
  figureId,
  join,
  linearScaleOf,
  listOf,
  lookOf,
  measuredCells,
  type Measured,
  pointOf,
  scaleOf,
  spreadLines,
  type Styles,
} from "./plot-parts.ts";
import { plotText } from "./report-text.ts";
import { type ComparisonResults, finishedRuns } from "./results.ts";
import { seriesNames, seriesOf } from "./series.ts";

/** Makes a figure of a column. */
type ColumnFigure = (results: ComparisonResults, column: PlannedColumn, styles: Styles) => Figure | undefined;

/** Width of a letter of the plots, about. */
const LETTER = 6.6;

/** Metric of every attention: mean, standard deviation and seeds, the best on top. */
export const metricFigure: ColumnFigure = (results, column, styles) => {
  const sign = column.metric.better === "higher" ? -1 : 1;
  const cells = measuredCells(results, column).sort((a, b) => sign * (a.metric.mean - b.metric.mean));
  if (cells.length === 0) return undefined;
  const rows = cells.map((cell) => ({
    ...pointOf(cell.metric),
    ...lookOf(cell, styles),
    values: cell.metric.values,
  }));
  const seeds = rows.flatMap(({ values, ...row }) => values.map((value) => ({ ...row, value })));
  const longest = LETTER * Math.max(...cells.map(({ selector }) => selector.length));
  return {
    id: figureId(column, "metric"),
    caption: join(columnTitle(column), plotText.metric),
    description: listOf(cells, ({ metric }) => formatSpread(metric, 3)),
    draw: (width) => {
      // Names that would take half of the drawing stand above their row.
      const isAbove = longest > 0.45 * width;
      return {
        ...common,
        height: 64 + rows.length * (isAbove ? 38 : 28),
        marginLeft: isAbove ? 12 : longest + 14,
        marginTop: 12,
        x: { label: axisLabel(unitTitle(column)), grid: true, ...linearScaleOf(endsOf(rows)) },
        y: {
          domain: rows.map(({ selector }) => selector),
          label: null,
          axis: isAbove ? null : "left",
          tickSize: 0,
        },
        marks: [
          ...(isAbove ? [text(rows, { y: "selector", text: "selector", frameAnchor: "left", dy: -13 })] : []),
          ruleY(rows, { x1: "low", x2: "high", y: "selector", stroke: "colour", strokeWidth: 2 }),
          dot(seeds, { x: "value", y: "selector", fill: "colour", fillOpacity: 0.5, r: 2.5, dy: 8 }),
          dot(rows, { x: "mean", y: "selector", fill: "colour", symbol: "symbol", r: 5 }),
        ],
      };
    },
  };
};

/** Training loss against step at the chosen learning rate: bold the mean, thin the seeds. */
export const curvesFigure: ColumnFigure = (results, column, styles) => {
  const seeds = measuredCells(results, column).flatMap((cell) =>
    finishedRuns(results, cell.id, cell.learningRate).flatMap(({ measurements, seed }) =>
      measurements.curve.map((point) => ({
        ...point,
        ...lookOf(cell, styles),
        seed: `${cell.selector} ${seed}`,
      })),
    ),
  );
  if (seeds.length === 0) return undefined;
  const means = groupsOf(seeds, ({ selector, step }) => `${selector} ${step}`).map((points) => ({
    ...points[0],
    loss: meanOf(points.map(({ loss }) => loss)),
  }));
  const ends = groupsOf(means, ({ selector }) => selector).map((points) => points[points.length - 1]);
  return {
    id: figureId(column, "curves"),
    caption: join(columnTitle(column), plotText.curves),
    description: listOf(ends, ({ loss }) => formatNumber(loss, 3)),
    draw: () => ({
      ...common,
      x: { label: axisLabel(plotText.step) },
      y: { label: axisLabel(plotText.loss), grid: true, ...scaleOf(seeds.map(({ loss }) => loss)) },
      marks: [
        line(seeds, {
          x: "step",
          y: "loss",
          z: "seed",
          stroke: "colour",
          strokeOpacity: 0.3,
          strokeWidth: 1,
        }),
        line(means, { x: "step", y: "loss", z: "selector", stroke: "colour", strokeWidth: 1.8 }),
        dot(ends, { x: "step", y: "loss", fill: "colour", symbol: "symbol", r: 4.5 }),
      ],
    }),
  };
};

/** Validation metric against learning rate: filled the chosen one, a cross where runs diverged. */
export const ratesFigure: ColumnFigure = (results, column, styles) => {
  const cells = measuredCells(results, column).filter(({ rates }) => rates.length > 1);
  const points = cells.flatMap((cell) =>
    cell.rates.flatMap(({ learningRate, validation }) =>
      validation === null
        ? []
        : [
            {
              learningRate,
              ...pointOf(validation),
              ...lookOf(cell, styles),
              isChosen: learningRate === cell.learningRate,
            },
          ],
    ),
  );
  if (points.length === 0) return undefined;
  const diverged = cells.flatMap((cell) =>
    cell.rates.flatMap(({ learningRate, diverged }) =>
      diverged === 0 ? [] : [{ learningRate, ...lookOf(cell, styles) }],
    ),
  );
  const ticks = [...new Set(cells.flatMap(({ learningRates }) => learningRates))];
  return {
    id: figureId(column, "rates"),
    caption: join(columnTitle(column), plotText.rates),
    description: listOf(cells, ({ learningRate }) => `lr ${learningRate}`),
    draw: () => ({
      ...common,
      x: { type: "log", label: axisLabel(plotText.learningRate), ticks, tickFormat: String },
      y: { label: axisLabel(unitTitle(column)), grid: true, ...scaleOf(points.map(({ mean }) => mean)) },
      marks: [
        ...spreadLines(points, "learningRate"),
        dot(
          points.filter(({ isChosen }) => !isChosen),
          { x: "learningRate", y: "mean", stroke: "colour", fill: "var(--paper)", symbol: "symbol", r: 4 },
        ),
        dot(
          points.filter(({ isChosen }) => isChosen),
          { x: "learningRate", y: "mean", fill: "colour", symbol: "symbol", r: 5 },
        ),
        text(diverged, {
          x: "learningRate",
          text: () => "×",
          fill: "colour",
          fontSize: 18,
          frameAnchor: column.metric.better === "higher" ? "bottom" : "top",
        }),
      ],
    }),
  };
};

/** What was measured at several lengths, places or depths, such as the loss beyond the trained length, on a log₂ axis. */
export function lengthFigures(
  results: ComparisonResults,
  column: PlannedColumn,
  styles: Styles,
): readonly Figure[] {
  const cells = measuredCells(results, column);
  const names = new Set(cells.flatMap(({ measured }) => seriesNames(measured)));
  return [...names].flatMap((name) => lengthFigure(cells, column, name, styles) ?? []);
}

function lengthFigure(
  cells: readonly Measured[],
  column: PlannedColumn,
  name: string,
  styles: Styles,
): Figure | undefined {
  const points = cells.flatMap((cell) =>
    seriesOf(cell.measured, name).map(({ at, spread }) => ({
      at,
      ...pointOf(spread),
      ...lookOf(cell, styles),
    })),
  );
  const lengths = [...new Set(points.map(({ at }) => at))].sort((a, b) => a - b);
  if (lengths.length < 2) return undefined;
  const { title, format, tickFormat, along = plotText.length } = measurement(name);
  const lasts = points.filter(({ at }) => at === lengths[lengths.length - 1]);
  return {
    id: figureId(column, `${name}-lengths`),
    caption: join(columnTitle(column), plotText.against(title, along)),
    description: listOf(lasts, ({ mean }) => format(mean)),
    draw: () => ({
      ...common,
      marginLeft: 64,
      x: { type: "log", base: 2, label: axisLabel(along), ticks: lengths, tickFormat: String },
      y: {
        label: axisLabel(title),
        grid: true,
        ticks: 6,
        ...scaleOf(points.map(({ mean }) => mean)),
        ...(tickFormat === undefined ? {} : { tickFormat }),
      },
      marks: [
        ...spreadLines(points, "at"),
        dot(points, { x: "at", y: "mean", fill: "colour", symbol: "symbol", r: 4.5 }),
      ],
    }),
  };
}

/** Metric against the setting in which the columns of a task differ, such as the width of embeddings. */
export function variantFigure(
  results: ComparisonResults,
  columns: readonly PlannedColumn[],
  styles: Styles,
): Figure | undefined {
  const [setting, ...others] = [...new Set(columns.flatMap(({ variant }) => Object.keys(variant)))];
  const values = columns.map(({ variant }) => variant[setting]);
  if (
    columns.length < 2 ||
    others.length > 0 ||
    !values.every((value) => typeof value === "number" && value > 0)
  ) {
    return undefined;
  }
  const points = columns.flatMap((column) =>
    measuredCells(results, column).map((cell) => ({
      value: column.variant[setting] as number,
      ...pointOf(cell.metric),
      ...lookOf(cell, styles),
    })),
  );
  if (points.length === 0) return undefined;
  const name = settingTitle(setting);
  return {
    id: figureId(columns[0], "variants"),
    caption: join(taskTitle(columns[0].task), plotText.variant(name)),
    description: listOf(points, ({ value, mean }) => `${setting} ${value}: ${formatNumber(mean, 3)}`),
    draw: () => ({
      ...common,
      x: { type: "log", label: axisLabel(name), ticks: [...new Set(values)], tickFormat: String },
      y: { label: axisLabel(unitTitle(columns[0])), grid: true, ...linearScaleOf(endsOf(points)) },
      marks: [
        ...spreadLines(points, "value"),
        dot(points, { x: "value", y: "mean", fill: "colour", symbol: "symbol", r: 4.5 }),
      ],
    }),
  };
}

/** Metric against the time of a step. */
export const timeFigure: ColumnFigure = (results, column, styles) => {
  const points = measuredCells(results, column).flatMap((cell) => {
    const spent = cell.measured["stepMs"];
    return spent === undefined || !(spent.mean > 0)
      ? []
      : [{ cost: spent.mean, ...pointOf(cell.metric), ...lookOf(cell, styles) }];
  });
  const costs = new Set(points.map((point) => point.cost));
  if (costs.size < 2) return undefined;
  return {
    id: figureId(column, "stepMs"),
    caption: join(columnTitle(column), plotText.cost),
    description: listOf(points, (point) => `${formatDuration(point.cost)}: ${formatNumber(point.mean, 3)}`),
    draw: (width) => ({
      ...common,
      x: {
        label: axisLabel(measurement("stepMs").title),
        ...scaleOf([...costs]),
        tickFormat: (value: number) => formatDuration(value),
        ticks: Math.floor(width / 110),
      },
      y: { label: axisLabel(unitTitle(column)), grid: true, ...linearScaleOf(endsOf(points)) },
      marks: [
        ruleX(points, { x: "cost", y1: "low", y2: "high", stroke: "colour", strokeWidth: 1.5 }),
        dot(points, { x: "cost", y: "mean", fill: "colour", symbol: "symbol", r: 5.5 }),
      ],
    }),
  };
};

function groupsOf<Item>(items: readonly Item[], key: (item: Item) => string): [Item, ...Item[]][] {
  const groups = new Map<string, [Item, ...Item[]]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group === undefined) groups.set(key(item), [item]);
    else group.push(item);
  }
  return [...groups.values()];
}

function meanOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}
