/**
 * @file The report as one HTML file that needs nothing else: no network, no fonts, no scripts of others; English and
 * Chinese, light and dark, for screens of any width, for printing, for keyboards and screen readers.
 */
import { encodeNumbers } from "../train/json-numbers.ts";
import { taskTitle } from "./labels.ts";
import { both, html, type Markup } from "./markup.ts";
import { type ComparisonReport } from "./report-json.ts";
import {
  definitions,
  matrixSection,
  selectorLabel,
  taskSection,
  verdictsSection,
} from "./report-sections.ts";
import { reportJson, reportPage, saveButton } from "./report-page.ts";
import { captionedTable } from "./report-table.ts";
import { methodText, reportText } from "./report-text.ts";
import { type Styles } from "./plot-parts.ts";
import { type ComparisonResults, type RunResult, columnOf } from "./results.ts";
import { seriesStyles } from "./series-style.ts";
import { printComparison } from "./table.ts";

/**
 * The report as HTML.
 *
 * @param results - a comparison, finished or not
 * @param report - the same as JSON, which becomes part of the file
 */
export function renderReport(results: ComparisonResults, report: ComparisonReport): string {
  const styles = seriesStyles(results.plan.cells.map(({ selector }) => selector));
  const tasks = [...new Set(results.plan.columns.map(({ task }) => task))];
  return reportPage({
    title: reportText.title,
    header: html`<h1>${both(reportText.title)}</h1>
      <p>${both(reportText.question)}</p>
      ${facts(results, report)}
      <nav aria-label="${reportText.matrix.en} / ${reportText.matrix.zh}">
        <ul>
          ${[
            { id: "verdicts", text: reportText.verdicts },
            { id: "results", text: reportText.matrix },
            ...tasks.map((task) => ({ id: `task-${task}`, text: taskTitle(task) })),
            { id: "method", text: reportText.method },
          ].map(({ id, text }) => html`<li><a href="#${id}">${both(text)}</a></li>`)}
        </ul>
      </nav>`,
    main: html`${verdictsSection(report.verdicts)} ${matrixSection(results, styles)}
    ${tasks.map((task) => taskSection(results, task, styles))} ${methodSection(results, report, styles)}`,
    data: {
      [reportJson.from]: encodeNumbers(report),
      [csvId]: printComparison(results, { format: "csv", language: "en" }),
    },
  });
}

function facts({ runs, plan, cells }: ComparisonResults, { created }: ComparisonReport): Markup {
  const count = (status: RunResult["status"]): number => runs.filter((run) => run.status === status).length;
  const seeds = new Set(cells.flatMap((cell) => cell.seeds)).size;
  const statuses = (["finished", "diverged", "failed", "left"] as const).filter(
    (status) => count(status) > 0,
  );
  return html`<ul class="facts">
    <li>${created.slice(0, 16).replace("T", " ")} UTC</li>
    <li>${both(reportText.preset)} <b>${plan.preset}</b> · ${plan.id}</li>
    ${statuses.map((status) => html`<li><b>${count(status)}</b> ${both(reportText.statuses[status])}</li>`)}
    <li>${both(reportText.seeds)} <b>${seeds}</b></li>
  </ul>`;
}

const csvId = "report-csv";

function methodSection(results: ComparisonResults, report: ComparisonReport, styles: Styles): Markup {
  return html`<section aria-labelledby="method">
    <h2 id="method">${both(reportText.method)}</h2>
    ${methodText.map((text) => html`<p>${both(text)}</p>`)}
    <details>
      <summary>${both(reportText.runs)}</summary>
      ${runsTable(results, styles)}
    </details>
    <h3>${both(reportText.environment)}</h3>
    ${definitions(report.environment)}
    <h3>${both(reportText.data)}</h3>
    <p>
      ${saveButton(reportText.downloadJson, reportJson)}
      ${saveButton(reportText.downloadCsv, { from: csvId, name: "cells.csv", type: "text/csv" })}
    </p>
  </section>`;
}

function runsTable(results: ComparisonResults, styles: Styles): Markup {
  const { task, similarity, learningRate, seed, status, value } = reportText;
  return captionedTable(
    reportText.runsCaption,
    [task, similarity, learningRate, seed, status, value].map(both),
    results.runs.map((run) => {
      const metric = columnOf(results.plan, run).metric.name;
      const measured = run.status === "finished" ? run.measurements.test[metric].toPrecision(4) : "–";
      return html` <tr>
        <td class="text">${run.column}</td>
        <th scope="row">${selectorLabel(run.selector, styles)}</th>
        <td>${String(run.learningRate)}</td>
        <td>${run.seed}</td>
        <td class="text">${both(reportText.statuses[run.status])}</td>
        <td class="number">${measured}</td>
      </tr>`;
    }),
    [0, 1, 4],
  );
}
