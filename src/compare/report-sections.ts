/** @file The parts of the report: verdicts, the matrix, and for each task its plots and its table. */
import { type Bilingual, same } from "./bilingual.ts";
import { drawFigure, drawSymbol, type Figure } from "./drawing.ts";
import { type Verdict } from "./expectation.ts";
import { columnTitle, measurement, taskTitle, unitTitle, variantTitle } from "./labels.ts";
import { both, type Content, html, type Markup, raw } from "./markup.ts";
import { type PlannedColumn } from "./plan.ts";
import { type Styles } from "./plot-parts.ts";
import {
  curvesFigure,
  lengthFigures,
  metricFigure,
  ratesFigure,
  timeFigure,
  variantFigure,
} from "./report-plots.ts";
import { captionedTable } from "./report-table.ts";
import { reportText } from "./report-text.ts";
import { type CellResult, type ComparisonResults } from "./results.ts";
import { sizeFigure, type SizeGroup, sizeGroups, sizesTitle } from "./size-figures.ts";
import {
  cellAt,
  cellNumber,
  failureNotes,
  marksOf,
  type Note,
  runNotes,
  type TableBlock,
  tableBlocks,
} from "./table-blocks.ts";
import { statusText } from "./verdicts.ts";

/** The verdicts as cards; what this comparison does not measure is one line that opens. */
export function verdictsSection(verdicts: readonly Verdict[]): Markup {
  const measured = verdicts.filter(({ status }) => status !== "not measured");
  const missing = verdicts.filter(({ status }) => status === "not measured");
  const cards = html`<ul class="verdicts">
    ${measured.map(verdictCard)}
  </ul>`;
  return html`<section aria-labelledby="verdicts">
    <h2 id="verdicts">${both(reportText.verdicts)}</h2>
    <p class="faint">${both(reportText.verdictsLead)}</p>
    ${measured.length > 0 ? cards : undefined}${missing.length > 0 ? unmeasured(missing) : undefined}
  </section>`;
}

function unmeasured(verdicts: readonly Verdict[]): Markup {
  return html`<details>
    <summary class="faint">${both(reportText.unmeasured(verdicts.length))}</summary>
    <ul>
      ${verdicts.map(
        ({ claim, reason, source }) =>
          html`<li>
            ${both(claim)} <small class="faint">${both(reason)}. ${both(reportText.source)}: ${source}</small>
          </li>`,
      )}
    </ul>
  </details>`;
}

function verdictCard({ status, claim, reason, evidence, source }: Verdict): Markup {
  const { sign, text } = statusText[status];
  return html` <li class="verdict ${status.replaceAll(" ", "-")}">
    <p class="state"><span aria-hidden="true">${sign}</span> ${both(text)}</p>
    <p>${both(claim)}</p>
    <ul>
      ${evidence.map(({ label, value }) => html`<li>${both(label)} <span class="number">${value}</span></li>`)}
    </ul>
    <small>${both(reason)}. ${both(reportText.source)}: ${source}</small>
  </li>`;
}

/** The matrix, and why cells failed. */
export function matrixSection(results: ComparisonResults, styles: Styles): Markup {
  return html`<section aria-labelledby="results">
    <h2 id="results">${both(reportText.matrix)}</h2>
    <p class="faint">${both(reportText.matrixCaption)}</p>
    ${tableBlocks(results).map((block) => matrixTable(results, block, styles))}
    ${noteList(reportText.failures, failureNotes(results))}${noteList(reportText.notes, runNotes(results))}
  </section>`;
}

function noteList(title: Bilingual, notes: readonly Note[]): Markup | undefined {
  if (notes.length === 0) return undefined;
  return html`<h3>${both(title)}</h3>
    <ul>
      ${notes.map(({ text }) => html`<li>${both(text)}</li>`)}
    </ul>`;
}

function matrixTable(results: ComparisonResults, { columns, selectors }: TableBlock, styles: Styles): Markup {
  const titles = columns.map((column) => columnTitle(column));
  const name: Bilingual = {
    en: `${reportText.matrix.en}: ${titles.map(({ en }) => en).join("; ")}`,
    zh: `${reportText.matrix.zh}：${titles.map(({ zh }) => zh).join("；")}`,
  };
  return captionedTable(
    name,
    [
      both(reportText.similarity),
      ...columns.map(
        (column) => html`${both(taskTitle(column.task))}<small>${both(subtitle(column))}</small>`,
      ),
    ],
    selectors.map(
      (selector) =>
        html` <tr>
          <th scope="row">${selectorLabel(selector, styles)}</th>
          ${columns.map((column) => matrixCell(results, column, selector))}
        </tr>`,
    ),
  );
}

function subtitle(column: PlannedColumn): Bilingual {
  const [variant, unit] = [variantTitle(column), unitTitle(column)];
  return variant.en === "" ? unit : { en: `${variant.en}, ${unit.en}`, zh: `${variant.zh}，${unit.zh}` };
}

function matrixCell(results: ComparisonResults, column: PlannedColumn, selector: string): Markup {
  const cell = cellAt(results, column.id, selector);
  if (cell === undefined) {
    return html`<td class="faint">
      <span aria-hidden="true">·</span><span class="unseen">${both(reportText.notPlanned)}</span>
    </td>`;
  }
  const number = cellNumber(results, cell);
  if (number === undefined) {
    return html`<td class="${cell.status === "failed" ? "failed" : "faint"}">
      ${both(reportText.statuses[cell.status === "failed" ? "failed" : "left"])}
    </td>`;
  }
  const names = {
    best: reportText.best,
    "tied-with-best": reportText.tied,
    partial: reportText.partial,
    edge: undefined,
  };
  const marks = marksOf(results, cell).flatMap((mark) => names[mark] ?? []);
  return html`<td class="cell${cell.best ? " best" : ""}" style="--share: ${shareOf(results, column, cell)}">
    <span class="number">${number}</span>${marks.map((mark) => html`<span class="mark">${both(mark)}</span>`)}
  </td>`;
}

/** Where a cell lies between the worst (0) and the best (1) of its column. */
function shareOf({ cells }: ComparisonResults, column: PlannedColumn, { metric }: CellResult): string {
  const means = cells.flatMap((cell) => (cell.column === column.id && cell.metric ? [cell.metric.mean] : []));
  const [least, most] = [Math.min(...means), Math.max(...means)];
  if (metric === null || most === least) return "0";
  const share = (metric.mean - least) / (most - least);
  return (column.metric.better === "higher" ? share : 1 - share).toFixed(2);
}

/** Plots and measurements of one task with all its columns. */
export function taskSection(results: ComparisonResults, task: string, styles: Styles): Markup {
  const columns = results.plan.columns.filter((column) => column.task === task);
  const selectors = new Set(
    results.plan.cells
      .filter(({ column }) => columns.some(({ id }) => id === column))
      .map(({ selector }) => selector),
  );
  const groups = (["stateBytes", "parameters", "activeParameters"] as const).flatMap((size) =>
    sizeGroups(results, columns, size, styles),
  );
  const figures = [
    ...columns.map((column) => metricFigure(results, column, styles)),
    variantFigure(results, columns, styles),
    ...groups.map(sizeFigure),
    ...columns.flatMap((column) => [
      ...lengthFigures(results, column, styles),
      ...[curvesFigure, ratesFigure, timeFigure].map((figure) => figure(results, column, styles)),
    ]),
  ].filter((figure) => figure !== undefined);
  return html`<section aria-labelledby="task-${task}">
    <h2 id="task-${task}">${both(taskTitle(task))}</h2>
    <ul class="legend">
      ${[...selectors].map((selector) => html`<li>${selectorLabel(selector, styles)}</li>`)}
    </ul>
    <div class="figures">${figures.map(figureMarkup)}</div>
    ${groups.map((group) => sizeTable(results, group, styles))}
    ${columns.map((column) => detailsTable(results, column, styles))}
    ${columns.map(
      (column) =>
        html`<details>
          <summary>${both(reportText.settings)}: ${both(columnTitle(column))}</summary>
          ${definitions(column.settings)}
        </details>`,
    )}
  </section>`;
}

/** Widths at which every figure is drawn: for a column of a desk's screen, and for a phone's. */
const [WIDE, NARROW] = [540, 350];

function figureMarkup(figure: Figure): Markup {
  return html` <figure>
    <figcaption id="${figure.id}-caption">${both(figure.caption)}</figcaption>
    <p class="unseen" id="${figure.id}-description">${both(figure.description)}</p>
    ${raw(drawFigure(figure, WIDE, "wide"))}${raw(drawFigure(figure, NARROW, "narrow"))}
  </figure>`;
}

/** A group of several columns in numbers, the smallest models first; one column has its details instead. */
function sizeTable(
  results: ComparisonResults,
  { size, title, columns, cells }: SizeGroup,
  styles: Styles,
): Markup | undefined {
  if (columns.length < 2) return undefined;
  const { title: name, format } = measurement(size);
  const task = columnTitle(title);
  const caption: Bilingual = {
    en: `${task.en}: ${name.en}, ${reportText.bySize.en}`,
    zh: `${task.zh}：${name.zh}，${reportText.bySize.zh}`,
  };
  return captionedTable(
    caption,
    [reportText.similarity, reportText.size, name, unitTitle(columns[0])].map(both),
    cells.map(
      ({ size: spent, column, cell }) =>
        html` <tr>
          <th scope="row">${selectorLabel(cell.selector, styles)}</th>
          <td class="text">${both(sizesTitle(column, size))}</td>
          <td>${format(spent)}</td>
          <td class="number">${cellNumber(results, cell)}</td>
        </tr>`,
    ),
    [0, 1],
  );
}

const detailNames = [
  "stepMs",
  "peakMemoryBytes",
  "stateBytes",
  "largestLogit",
  "entropy",
  "parameters",
] as const;

/** All measurements of a column; those of the task's own first. */
function detailsTable(results: ComparisonResults, column: PlannedColumn, styles: Styles): Markup | undefined {
  const cells = results.cells.filter((cell) => cell.column === column.id && cell.metric !== null);
  const known = new Set<string>([...detailNames, "trainMs", column.metric.name]);
  const own = [...new Set(cells.flatMap(({ measured }) => Object.keys(measured)))].filter(
    (name) => !known.has(name) && !/At\d+$/.test(name),
  );
  const names = [...own, ...detailNames].filter((name) =>
    cells.some(({ measured }) => measured[name] !== undefined),
  );
  if (cells.length === 0) return undefined;
  const title = columnTitle(column);
  const caption: Bilingual = {
    en: `${title.en}: ${reportText.details.en}`,
    zh: `${title.zh}：${reportText.details.zh}`,
  };
  const { similarity, rank, learningRate } = reportText;
  return captionedTable(
    caption,
    [similarity, rank, unitTitle(column), learningRate, ...names.map((name) => measurement(name).title)].map(
      both,
    ),
    cells.map(
      (cell) =>
        html` <tr>
          <th scope="row">${selectorLabel(cell.selector, styles)}</th>
          <td>${cell.rank ?? "–"}</td>
          <td class="number">${cellNumber(results, cell)}</td>
          <td>${rateOf(cell)}</td>
          ${names.map((name) => html`<td>${valueOf(cell, name)}</td>`)}
        </tr>`,
    ),
  );
}

function rateOf({ learningRate, atEdge }: CellResult): Content {
  if (atEdge === null) return String(learningRate);
  return html`${String(learningRate)}<span class="mark">${both(reportText.edge)}</span>`;
}

function valueOf({ measured }: CellResult, name: string): string {
  const spread = measured[name];
  return spread === undefined ? "–" : measurement(name).format(spread.mean);
}

/** Settings or facts as a list. */
export function definitions(record: Readonly<object>): Markup {
  return html`<dl>
    ${Object.entries(record).map(
      ([name, value]) =>
        html`<dt>${name}</dt>
          <dd>${typeof value === "string" ? value : JSON.stringify(value)}</dd>`,
    )}
  </dl>`;
}

/** An attention's name with the symbol that it has in plots. */
export function selectorLabel(selector: string, styles: Styles): Markup {
  const style = styles.get(selector);
  return html`${style === undefined ? undefined : raw(drawSymbol(style))}<code
      >${both(same(selector))}</code
    >`;
}
