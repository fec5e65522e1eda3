/** @file The table of swaps. */
import { meanOfHeads, type HeadDivergence } from "../../swap/layer-divergence.ts";
import { layersLabel, type SwapResults } from "../../swap/plan.ts";
import { texts } from "../dictionary/swap.ts";
import { type Cell, type Table } from "../table.ts";

/** One row a swap, below that of the model's own attention. */
export function swapTable({ base, cells }: SwapResults): Table {
  const keys = Object.keys(texts.columns) as (keyof typeof texts.columns)[];
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
  };
  const rows = cells.map(({ cell, score, difference, layers, streams, needles }) => {
    const mean = (value: (head: HeadDivergence) => number | undefined): Cell => {
      const ofLayers = layers.map((layer) => meanOfHeads(layer, value)).filter((one) => one !== undefined);
      return ofLayers.length === 0 ? "–" : ofLayers.reduce((sum, one) => sum + one, 0) / ofLayers.length;
    };
    return {
      attention: cell.selector,
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
    };
  });
  return { columns: keys.map((key) => ({ key, title: texts.columns[key] })), rows: [own, ...rows] };
}
