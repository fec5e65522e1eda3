/** @file The report of swaps as one HTML file: what each costs, layer by layer, what heads do, where facts are found, what is said. */
import { dot, line } from "@observablehq/plot";
import { axisLabel, drawFigure, drawSymbol, type Figure } from "../compare/drawing.ts";
import { formatNumber } from "../compare/format.ts";
import { both, type Content, html, type Markup, raw } from "../compare/markup.ts";
import { common } from "../compare/plot-parts.ts";
import { reportJson, reportPage, saveButton } from "../compare/report-page.ts";
import { captionedTable } from "../compare/report-table.ts";
import { type Bilingual, same } from "../compare/bilingual.ts";
import { seriesStyles } from "../compare/series-style.ts";
import { encodeNumbers } from "../train/json-numbers.ts";
import { meanOfHeads, type HeadDivergence } from "./layer-divergence.ts";
import { type Continuation, type SwapCell, type SwapMeasurement } from "./measure-swap.ts";
import { cellTitle, cutHeads, layersLabel, type SwapResults } from "./plan.ts";
import { swapMethods, swapText as text } from "./report-text.ts";

/** The report; it needs nothing else. */
export function renderSwapReport(results: SwapResults): string {
  const { plan, base, cells } = results;
  const { text: source } = plan;
  return reportPage({
    title: text.title,
    header: html`<h1>${both(text.title)}: ${plan.model}</h1>
      <p>${both(text.lead)}</p>
      <ul class="facts">
        <li>${both(text.perplexity)} <b>${shown(base.score.perplexity)}</b></li>
        <li>${both(text.bits)} <b>${shown(base.score.bitsPerCharacter)}</b></li>
        <li><b>${base.score.tokens}</b> ${both(text.tokens)}</li>
        <li><b>${base.score.characters}</b> ${both(text.characters)}</li>
      </ul>
      <p class="faint">
        ${both(text.source)}:
        ${source.name === undefined ? undefined : html`<code>${source.name}</code>, `}<q>${source.beginning}${source.characters > Array.from(source.beginning).length ? "…" : ""}</q>,
        ${source.characters} ${both(text.characters)}, SHA-256
        <code>${source.sha256.slice(0, shownDigits)}</code>
      </p>`,
    main: html`${matrixSection(results)} ${costSection(results)} ${layersSection(cells)}
      ${needleSection(results)} ${saidSection(results)} ${failuresSection(results)}
      <section>
        <h2>${both(text.method)}</h2>
        ${swapMethods.map((method) => html`<p>${both(method)}</p>`)} ${saveButton(text.download, reportJson)}
      </section>`,
    data: { [reportJson.from]: encodeNumbers(results) },
  });
}

/** Of a hash: enough to tell texts apart. */
const shownDigits = 12;

function shown(value: number | undefined, decimals = 3): string {
  return value === undefined ? "–" : formatNumber(value, decimals);
}

/** Selectors × layers: Δ bits per character, tinted by its logarithm, as some break a model and others do not touch it. */
function matrixSection({ cells: all }: SwapResults): Markup | undefined {
  const cells = all.flatMap(({ cell, difference }) => ("selector" in cell ? [{ cell, difference }] : []));
  const places = [...new Set(cells.map(({ cell }) => layersLabel(cell.layers)))];
  const selectors = [...new Set(cells.map(({ cell }) => cell.selector))];
  if (places.length < 2) return undefined;
  const most = Math.max(...cells.map(({ difference }) => tint(difference.bitsPerCharacter)), 1e-12);
  const rows = selectors.map(
    (selector) =>
      html`<tr>
        <th scope="row"><code>${selector}</code></th>
        ${places.map((place) => {
          const found = cells.find(
            ({ cell }) => cell.selector === selector && layersLabel(cell.layers) === place,
          );
          if (found === undefined) return html`<td>–</td>`;
          const bits = found.difference.bitsPerCharacter;
          const share = Math.max(0, tint(bits) / most).toFixed(2);
          return html`<td class="cell" style="--share: ${share}">
            <span class="number">${shown(bits)}</span>
          </td>`;
        })}
      </tr>`,
  );
  return html`<section>
    <h2>${both(text.matrix)}</h2>
    ${captionedTable(text.matrixCaption, [both(text.attention), ...places.map((place) => html`${both(text.layer)} ${place}`)], rows)}
  </section>`;
}

const tint = (bits: number): number => Math.log1p(100 * Math.max(0, bits));

function costSection({ base, cells, recovered }: SwapResults): Markup {
  const hasAdapters = recovered.length > 0;
  const shareOf = ({ cell }: SwapMeasurement): Content => {
    if ("selector" in cell || !cell.isLearned) return "–";
    const share = recovered.find(({ adapter }) => adapter === cell.adapter)?.share;
    return share === undefined ? "–" : `${formatNumber(100 * share, 1)} %`;
  };
  const titles = [
    text.attention,
    text.layers,
    text.perplexityBefore,
    text.perplexityAfter,
    text.bitsAfter,
    text.change,
    text.error,
    text.stream,
    ...(hasAdapters ? [text.recovered] : []),
  ];
  const rows = cells.map((measured) => {
    const { cell, score, difference, streams } = measured;
    return html`<tr>
      <th scope="row">${titleOf(cell)}</th>
      <td>${layersLabel(cell.layers)}</td>
      <td class="number">${shown(base.score.perplexity)}</td>
      <td class="number">${shown(score.perplexity)}</td>
      <td class="number">${shown(score.bitsPerCharacter)}</td>
      <td class="number">${shown(difference.bitsPerCharacter)}</td>
      <td class="number">${shown(difference.standardError ?? undefined)}</td>
      <td class="number">${shown(streams[streams.length - 1])}</td>
      ${hasAdapters ? html`<td class="number">${shareOf(measured)}</td>` : undefined}
    </tr>`;
  });
  const cut = cells.flatMap((measured) => {
    const heads = cutHeads(measured);
    return heads.length === 0 ? [] : [{ cell: measured.cell, heads }];
  });
  return html`<section>
    <h2>${both(text.cost)}</h2>
    ${captionedTable(text.costCaption, titles.map(both), rows)}
    ${hasAdapters ? html`<p>${both(text.recoveredMeans)}</p>` : undefined}
    ${cut.map(
      ({ cell, heads }) =>
        html`<p>⚠ ${titleOf(cell)} · ${layersLabel(cell.layers)}: ${both(text.cut)} ${heads.join(", ")}</p>`,
    )}
  </section>`;
}

/** A selector is code; an adapter has a name. */
function titleOf(cell: SwapCell): Markup {
  return "selector" in cell ? html`<code>${cell.selector}</code>` : both(cellTitle(cell));
}

const measures: readonly (readonly [Bilingual, (head: HeadDivergence) => number | undefined])[] = [
  [text.divergence, ({ divergence }) => divergence],
  [text.variation, ({ totalVariation }) => totalVariation],
  [text.outputError, ({ outputError }) => outputError],
  [text.entropyBefore, ({ before }) => before?.entropy],
  [text.entropyAfter, ({ after }) => after?.entropy],
  [text.sinkBefore, ({ before }) => before?.sink],
  [text.sinkAfter, ({ after }) => after?.sink],
];

function layersSection(cells: readonly SwapMeasurement[]): Markup {
  const row = (
    title: Content,
    place: Content,
    values: readonly (number | undefined)[],
    last?: Content,
  ): Markup =>
    html`<tr>
      <th scope="row">${title}</th>
      <td>${place}</td>
      ${values.map((value) => html`<td class="number">${shown(value)}</td>`)}
      ${last === undefined ? undefined : html`<td class="number">${last}</td>`}
    </tr>`;
  const rows = cells.flatMap(({ cell, layers, streams }) =>
    layers.map((layer) =>
      row(titleOf(cell), layer.layer, [
        ...measures.map(([, value]) => meanOfHeads(layer, value)),
        streams[layer.layer],
      ]),
    ),
  );
  const heads = cells.flatMap((measured) =>
    measured.layers.flatMap(({ layer, heads: ofLayer }) =>
      ofLayer.map((head) =>
        row(
          titleOf(measured.cell),
          `${layer}.${head.head}`,
          measures.map(([, value]) => value(head)),
          temperatureOf(measured, layer, head.head),
        ),
      ),
    ),
  );
  const titles = measures.map(([title]) => both(title));
  return html`<section>
    <h2>${both(text.local)}</h2>
    ${captionedTable(text.localCaption, [both(text.attention), both(text.layer), ...titles, both(text.streamHere)], rows)}
    <details>
      <summary>${both(text.byHead)}</summary>
      ${captionedTable(text.byHead, [both(text.attention), both(text.head), ...titles, both(text.temperature)], heads)}
    </details>
  </section>`;
}

/** What multiplies a head's scores, where it was turned or learned; where that is cut, what it needed. */
function temperatureOf({ temperatures }: SwapMeasurement, layer: number, head: number): Content {
  const own = temperatures.flatMap((of) => {
    const value = of.layer === layer ? of.values[head - of.head] : undefined;
    if (value === undefined) return [];
    const needed = of.cut.find((cut) => cut.head === head)?.needed;
    const name = `${of.parameter} ${shown(value)}`;
    return [
      needed === undefined
        ? name
        : html`${name}<span class="mark">⚠ ${both(text.needed)} ${shown(needed)}</span>`,
    ];
  });
  return own.length === 0 ? "–" : own;
}

function needleSection({ base, cells }: SwapResults): Markup | undefined {
  if (base.needles === undefined) return undefined;
  const series = [
    { label: text.base.en, title: both(text.base), needles: base.needles },
    ...cells.flatMap(({ cell, needles }) => {
      const label = `${cellTitle(cell).en} · ${layersLabel(cell.layers)}`;
      const title = html`${titleOf(cell)} · ${layersLabel(cell.layers)}`;
      return needles === undefined ? [] : [{ label, title, needles }];
    }),
  ];
  const styles = seriesStyles(series.map(({ label }) => label));
  const points = series.flatMap(({ label, needles }) =>
    needles.map(({ depth, margin }) => ({ label, depth: 100 * depth, margin, ...styles.get(label)! })),
  );
  const figure: Figure = {
    id: "needles",
    caption: text.needles,
    description: same(
      series
        .map(({ label, needles }) => `${label} ${needles.map(({ margin }) => margin.toFixed(2)).join(" ")}`)
        .join("; "),
    ),
    draw: () => ({
      ...common,
      x: { label: axisLabel(text.depth) },
      y: { label: axisLabel(text.margin), grid: true },
      marks: [
        line(points, { x: "depth", y: "margin", z: "label", stroke: "colour", strokeWidth: 1.5 }),
        dot(points, { x: "depth", y: "margin", fill: "colour", symbol: "symbol", r: 3.5 }),
      ],
    }),
  };
  const rows = series.map(
    ({ label, title, needles }) =>
      html`<tr>
        <th scope="row">${raw(drawSymbol(styles.get(label)!))}${title}</th>
        ${needles.map(({ accuracy, trials }) => html`<td class="number">${Math.round(accuracy * trials)}/${trials}</td>`)}
      </tr>`,
  );
  return html`<section>
    <h2>${both(text.needles)}</h2>
    <figure>
      <figcaption id="needles-caption">${both(text.needlesCaption)}</figcaption>
      ${raw(drawFigure(figure, 720, "wide"))}${raw(drawFigure({ ...figure, id: "needles" }, 340, "narrow"))}
    </figure>
    ${captionedTable(text.needlesTable, [both(text.attention), ...base.needles.map(({ depth }) => `${Math.round(100 * depth)} %`)], rows)}
  </section>`;
}

function saidSection({ plan, base, cells }: SwapResults): Markup | undefined {
  if (base.continuation === undefined || plan.prompt === undefined) return undefined;
  const said = (continuation: Continuation | undefined): Content =>
    continuation === undefined ? "–" : "text" in continuation ? continuation.text : continuation.refused;
  const row = (title: Content, place: Content, continuation: Continuation | undefined): Markup =>
    html`<tr>
      <th scope="row">${title}</th>
      <td>${place}</td>
      <td class="text" style="white-space: pre-wrap">${said(continuation)}</td>
    </tr>`;
  return html`<section>
    <h2>${both(text.said)}</h2>
    <p>${both(text.prompt)}: <q>${plan.prompt}</q></p>
    ${captionedTable(
      text.saidCaption,
      [both(text.attention), both(text.layers), both(text.said)],
      [
        row(both(text.base), "–", base.continuation),
        ...cells.map(({ cell, continuation }) => row(titleOf(cell), layersLabel(cell.layers), continuation)),
      ],
      [0, 2],
    )}
  </section>`;
}

function failuresSection({ failures, left }: SwapResults): Markup | undefined {
  if (failures.length === 0 && left === 0) return undefined;
  return html`<section>
    <h2>${both(text.missing)}</h2>
    <ul>
      ${failures.map(({ cell, message }) => html`<li>${titleOf(cell)} ${layersLabel(cell.layers)}: ${message}</li>`)}
      ${left > 0 ? html`<li>${left} ${both(text.left)}</li>` : undefined}
    </ul>
  </section>`;
}
