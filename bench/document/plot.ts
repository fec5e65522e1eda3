/** @file The figure of docs/performance.md: time against N, both logarithmic, a line for everybody. */
import { dot, line, plot, type SymbolName, text } from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { seriesColours } from "../../src/compare/series-style.ts";
import { type CurvePoint } from "../attention/report.ts";

const symbols: readonly SymbolName[] = ["circle", "triangle", "square", "diamond", "star", "cross", "wye"];
const [width, height, marginRight, legendRow] = [860, 460, 210, 22];

/** One figure as a file of SVG; the legend is ordered by the time at the longest length that all of them have. */
export function drawCurves(points: readonly CurvePoint[], title: string, description: string): string {
  const names = [...new Set(points.map(({ series }) => series))];
  const looks = new Map(
    names.map((name, index) => [
      name,
      { colour: seriesColours[index % seriesColours.length].light, symbol: symbols[index % symbols.length] },
    ]),
  );
  const rows = points.map((point) => ({ ...point, ...looks.get(point.series)! }));
  const lengths = [...new Set(points.map(({ length }) => length))].sort((a, b) => a - b);
  const { document } = parseHTML("<html><body></body></html>");
  const svg = plot({
    document,
    width,
    height,
    marginRight,
    marginLeft: 56,
    marginBottom: 44,
    className: "plot",
    style: { fontFamily: "system-ui, sans-serif", fontSize: "13px" },
    color: { type: "identity" },
    symbol: { type: "identity" },
    x: { type: "log", base: 2, label: "N", ticks: lengths, tickFormat: (value: number) => String(value) },
    y: { type: "log", label: "ms", grid: true, nice: true, tickFormat: (value: number) => String(value) },
    marks: [
      line(rows, { x: "length", y: "time_ms", z: "series", stroke: "colour", strokeWidth: 2 }),
      dot(rows, { x: "length", y: "time_ms", fill: "colour", symbol: "symbol", r: 4 }),
      ...orderedBySlowness(points).flatMap((name, index) => {
        const { colour, symbol } = looks.get(name)!;
        const place = { frameAnchor: "top-right", dy: legendRow * index } as const;
        return [
          dot([name], { ...place, dx: 20, fill: colour, symbol, r: 4.5, clip: false }),
          text([name], {
            ...place,
            dx: 32,
            dy: legendRow * index - 6,
            textAnchor: "start",
            text: (d: string) => d,
          }),
        ];
      }),
    ],
  });
  svg.querySelector("style")?.remove();
  const head = `<title>${escaped(title)}</title><desc>${escaped(description)}</desc><rect width="100%" height="100%" fill="#fff"/>`;
  return `${svg.outerHTML
    .replace(/^<svg([^>]*)>/, (_, rest) => `<svg xmlns="http://www.w3.org/2000/svg"${rest}>${head}`)
    .replaceAll(/\d+\.\d{2,}/g, (number) => String(Number(Number(number).toFixed(1))))}\n`;
}

/** The slowest first, as it is the highest line: by the time at the longest length that everybody has. */
function orderedBySlowness(points: readonly CurvePoint[]): readonly string[] {
  const names = [...new Set(points.map(({ series }) => series))];
  const has = (name: string, at: number): CurvePoint | undefined =>
    points.find(({ series, length }) => series === name && length === at);
  const shared = points
    .map(({ length }) => length)
    .filter((length) => names.every((name) => has(name, length) !== undefined));
  const at = Math.max(...shared);
  return names.sort((a, b) => (has(b, at)?.time_ms ?? 0) - (has(a, at)?.time_ms ?? 0));
}

function escaped(words: string): string {
  return words.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
