/** @file The table of swaps. */
import { meanOfHeads, type HeadDivergence } from "../../swap/layer-divergence.ts";
import { cellTitle, layersLabel, type SwapResults } from "../../swap/plan.ts";
import { texts } from "../dictionary/swap.ts";
import { type Session } from "../session.ts";
import { type Cell, type Table } from "../table.ts";

/** One row a swap, below that of the model's own attention; what adapters recovered where there are some. */
export function swapTable(
  { plan, base, cells, recovered }: SwapResults,
  { say }: Pick<Session, "say">,
): Table {
  const all = Object.keys(texts.columns) as (keyof typeof texts.columns)[];
  const keys = all.filter((key) => key !== "recovered" || plan.adapters.length > 0);
  const found = (needles: SwapResults["base"]["needles"]): Cell => {
    if (needles === undefined) return "–";
    const right = needles.reduce((sum, { accuracy, trials }) => sum + accuracy * trials, 0);
    return `${Math.round(right)}/${needles.reduce((sum, { trials }) => sum + trials, 0)}`;
  };
  const own: Readonly<Record<string, Cell>> = {
    attention: "–",
    layers: "–",
    perplexity: base.score.perplexity,
    bits: base.score.bitsPerCharacter,
    change: 0,
    error: "–",
    divergence: "–",
    output: "–",
    stream: "–",
    entropy: "–",
    sink: "–",
    needles: found(base.needles),
    recovered: "–",
  };
  const rows = cells.map(({ cell, score, difference, layers, streams, needles }) => {
    const mean = (value: (head: HeadDivergence) => number | undefined): Cell => {
      const ofLayers = layers.map((layer) => meanOfHeads(layer, value)).filter((one) => one !== undefined);
      return ofLayers.length === 0 ? "–" : ofLayers.reduce((sum, one) => sum + one, 0) / ofLayers.length;
    };
    return {
      attention: say(cellTitle(cell)),
      layers: layersLabel(cell.layers),
      perplexity: score.perplexity,
      bits: score.bitsPerCharacter,
      change: difference.bitsPerCharacter,
      error: difference.standardError ?? "–",
      divergence: mean(({ divergence }) => divergence),
      output: mean(({ outputError }) => outputError),
      stream: streams.at(-1) ?? "–",
      entropy: mean(({ after }) => after?.entropy),
      sink: mean(({ after }) => after?.sink),
      needles: found(needles),
      recovered:
        "selector" in cell || !cell.isLearned
          ? "–"
          : (recovered.find(({ adapter }) => adapter === cell.adapter)?.share ?? "–"),
    };
  });
  return { columns: keys.map((key) => ({ key, title: texts.columns[key] })), rows: [own, ...rows] };
}
