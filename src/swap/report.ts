/** @file The report of swaps as one HTML file: what each costs, layer by layer, what heads do, where facts are found, what is said. */
import { dot, line } from "@observablehq/plot";
import { axisLabel, drawFigure, type Figure } from "../compare/drawing.ts";
import { formatNumber } from "../compare/format.ts";
import { both, type Content, html, type Markup, raw } from "../compare/markup.ts";
import { common } from "../compare/plot-parts.ts";
import { reportPage } from "../compare/report-page.ts";
import { scrollable } from "../compare/report-sections.ts";
import { type Bilingual, same } from "../compare/bilingual.ts";
import { seriesStyles } from "../compare/series-style.ts";
import { encodeNumbers } from "../train/json-numbers.ts";
import { meanOfHeads, type HeadDivergence } from "./layer-divergence.ts";
import { type Continuation, type SwapMeasurement } from "./measure-swap.ts";
import { layersLabel, type SwapResults } from "./plan.ts";
import { swapMethods, swapText as text } from "./report-text.ts";

/** The report; it needs nothing else. */
export function renderSwapReport(results: SwapResults): string {
  const { plan, base, cells } = results;
  return reportPage({
    title: text.title,
    header: html`<h1>${both(text.title)}: ${plan.model}</h1>
      <p>${both(text.lead)}</p>
      <ul class="facts">
        <li>${both(text.perplexity)} <b>${shown(base.score.perplexity)}</b></li>
        <li>${both(text.bits)} <b>${shown(base.score.bitsPerCharacter)}</b></li>
        <li><b>${base.score.tokens}</b> ${both(text.tokens)}</li>
        <li><b>${base.score.characters}</b> ${both(text.characters)}</li>
      </ul>`,
    main: html`${matrixSection(results)} ${costSection(results)} ${layersSection(cells)}
      ${needleSection(results)} ${saidSection(results)} ${failuresSection(results)}
      <section>
        <h2>${both(text.method)}</h2>
        ${swapMethods.map((method) => html`<p>${both(method)}</p>`)}
        <button
          type="button"
          hidden
          data-from="report-json"
          data-json="yes"
          data-name="report.json"
          data-type="application/json"
        >
          ${both(text.download)}
        </button>
      </section>`,
    data: { "report-json": encodeNumbers(results) },
  });
}

function shown(value: number | undefined, decimals = 3): string {
  return value === undefined ? "–" : formatNumber(value, decimals);
}

function table(caption: Bilingual, head: readonly Content[], rows: readonly Markup[]): Markup {
  return scrollable(
    caption,
    html`<table>
      <caption>
        <span>${both(caption)}</span>
      </caption>
      <thead>
        <tr>
          ${head.map((title) => html`<th scope="col">${title}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>`,
  );
}

/** Selectors × layers: Δ bits per character, tinted by its logarithm, as some break a model and others do not touch it. */
function matrixSection({ cells }: SwapResults): Markup | undefined {
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
    ${table(text.matrixCaption, [both(text.attention), ...places.map((place) => html`${both(text.layer)} ${place}`)], rows)}
  </section>`;
}

const tint = (bits: number): number => Math.log1p(100 * Math.max(0, bits));

function costSection({ base, cells }: SwapResults): Markup {
  const titles = [
    text.attention,
    text.layers,
    text.perplexityBefore,
    text.perplexityAfter,
    text.bitsAfter,
    text.change,
    text.error,
    text.stream,
  ];
  const rows = cells.map(
    ({ cell, score, difference, streams }) =>
      html`<tr>
        <th scope="row"><code>${cell.selector}</code></th>
        <td>${layersLabel(cell.layers)}</td>
        <td class="number">${shown(base.score.perplexity)}</td>
        <td class="number">${shown(score.perplexity)}</td>
        <td class="number">${shown(score.bitsPerCharacter)}</td>
        <td class="number">${shown(difference.bitsPerCharacter)}</td>
        <td class="number">${shown(difference.standardError ?? undefined)}</td>
        <td class="number">${shown(streams[streams.length - 1])}</td>
      </tr>`,
  );
  return html`<section>
    <h2>${both(text.cost)}</h2>
    ${table(text.costCaption, titles.map(both), rows)}
  </section>`;
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
  const row = (title: Content, place: Content, values: readonly (number | undefined)[]): Markup =>
    html`<tr>
      <th scope="row">${title}</th>
      <td>${place}</td>
      ${values.map((value) => html`<td class="number">${shown(value)}</td>`)}
    </tr>`;
  const rows = cells.flatMap(({ cell, layers, streams }) =>
    layers.map((layer) =>
      row(html`<code>${cell.selector}</code>`, layer.layer, [
        ...measures.map(([, value]) => meanOfHeads(layer, value)),
        streams[layer.layer],
      ]),
    ),
  );
  const heads = cells.flatMap(({ cell, layers }) =>
    layers.flatMap((layer) =>
      layer.heads.map((head) =>
        row(
          html`<code>${cell.selector}</code>`,
          `${layer.layer}.${head.head}`,
          measures.map(([, value]) => value(head)),
        ),
      ),
    ),
  );
  const titles = measures.map(([title]) => both(title));
  return html`<section>
    <h2>${both(text.local)}</h2>
    ${table(text.localCaption, [both(text.attention), both(text.layer), ...titles, both(text.streamHere)], rows)}
    <details>
      <summary>${both(text.byHead)}</summary>
      ${table(text.byHead, [both(text.attention), both(text.head), ...titles], heads)}
    </details>
  </section>`;
}

function needleSection({ base, cells }: SwapResults): Markup | undefined {
  if (base.needles === undefined) return undefined;
  const series = [
    { label: text.base.en, needles: base.needles },
    ...cells.flatMap(({ cell, needles }) =>
      needles === undefined ? [] : [{ label: `${cell.selector} · ${layersLabel(cell.layers)}`, needles }],
    ),
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
    ({ label, needles }) =>
      html`<tr>
        <th scope="row"><code>${label}</code></th>
        ${needles.map(({ accuracy, trials }) => html`<td class="number">${Math.round(accuracy * trials)}/${trials}</td>`)}
      </tr>`,
  );
  return html`<section>
    <h2>${both(text.needles)}</h2>
    <figure>
      <figcaption id="needles-caption">${both(text.needlesCaption)}</figcaption>
      ${raw(drawFigure(figure, 720, "wide"))}${raw(drawFigure({ ...figure, id: "needles" }, 340, "narrow"))}
    </figure>
    ${table(text.needlesTable, [both(text.attention), ...base.needles.map(({ depth }) => `${Math.round(100 * depth)} %`)], rows)}
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
    ${table(
      text.saidCaption,
      [both(text.attention), both(text.layers), both(text.said)],
      [
        row(both(text.base), "–", base.continuation),
        ...cells.map(({ cell, continuation }) =>
          row(html`<code>${cell.selector}</code>`, layersLabel(cell.layers), continuation),
        ),
      ],
    )}
  </section>`;
}

function failuresSection({ failures, left }: SwapResults): Markup | undefined {
  if (failures.length === 0 && left === 0) return undefined;
  return html`<section>
    <h2>${both(text.missing)}</h2>
    <ul>
      ${failures.map(({ cell, message }) => html`<li><code>${cell.selector}</code> ${layersLabel(cell.layers)}: ${message}</li>`)}
      ${left > 0 ? html`<li>${left} ${both(text.left)}</li>` : undefined}
    </ul>
  </section>`;
}
