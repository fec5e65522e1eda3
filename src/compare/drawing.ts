/**
 * @file Drawings as text: Observable Plot on a document without a browser, with labels in both languages and colours that
 * the style sheet decides.
 */
import { dot, plot, type PlotOptions } from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { type Bilingual } from "./bilingual.ts";
import { escapeHtml } from "./markup.ts";
import { type SeriesStyle } from "./series-style.ts";

/** What a drawing of a given width consists of. */
export type Draw = (width: number) => PlotOptions;

/** A plot with its words. */
export interface Figure {
  /** Unique in the report. */
  readonly id: string;
  readonly caption: Bilingual;
  /** The numbers of the plot in words, for those who cannot see it. */
  readonly description: Bilingual;
  readonly draw: Draw;
}

/** Private-use characters stand around a label until it becomes two. */
const [OPEN, BETWEEN, CLOSE] = ["\uE000", "\uE001", "\uE002"];

/** A label of a plot in both languages. */
export function axisLabel({ en, zh }: Bilingual): string {
  return en === zh ? en : `${OPEN}${en}${BETWEEN}${zh}${CLOSE}`;
}

const labelPattern = new RegExp(`${OPEN}([^${BETWEEN}]*)${BETWEEN}([^${CLOSE}]*)${CLOSE}`, "g");

/** A tenth of a pixel is more than anybody sees; the rest of the digits is weight. */
const coordinates = /\b(?:d|transform|[xy][12]?)="[^"]*"/g;

/**
 * One drawing as an SVG element.
 *
 * @param figure - what is drawn
 * @param width - in pixels; a drawing is made for each width at which it is shown, so that letters keep their size
 * @param kind - its class
 */
export function drawFigure(figure: Figure, width: number, kind: "wide" | "narrow"): string {
  const { document } = parseHTML("<html><body></body></html>");
  const svg = plot({
    ...figure.draw(width),
    width,
    className: "plot",
    document,
    color: { type: "identity" },
    symbol: { type: "identity" },
  });
  svg.querySelector("style")?.remove();
  svg.setAttribute("class", `plot ${kind}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-labelledby", `${figure.id}-caption`);
  svg.setAttribute("aria-describedby", `${figure.id}-description`);
  const words = (["en", "zh"] as const)
    .map(
      (language) =>
        `<title lang="${language}">${escapeHtml(figure.caption[language])}</title>` +
        `<desc lang="${language}">${escapeHtml(figure.description[language])}</desc>`,
    )
    .join("");
  return svg.outerHTML
    .replace(/^<svg[^>]*>/, (tag) => tag + words)
    .replaceAll(labelPattern, '<tspan lang="en">$1</tspan><tspan lang="zh">$2</tspan>')
    .replaceAll(coordinates, (attribute) =>
      attribute.replaceAll(/\d+\.\d{2,}/g, (number) => String(Number(Number(number).toFixed(1)))),
    );
}

/** The symbol of an attention, as large as a letter. */
export function drawSymbol({ colour, symbol }: SeriesStyle): string {
  const { document } = parseHTML("<html><body></body></html>");
  const size = 14;
  const svg = plot({
    width: size,
    height: size,
    margin: 0,
    axis: null,
    document,
    marks: [dot([0], { frameAnchor: "middle", symbol, fill: colour, r: 4.5 })],
  });
  const drawn = svg.querySelector("g");
  return `<svg width="${size}" height="${size}" viewBox="0 0 ${size} ${size}" aria-hidden="true">${drawn?.outerHTML ?? ""}</svg>`;
}
