/** @file Time against N of everybody who can attend causally by the dot product: the figure of docs/performance.md. */
import { type ContestantName } from "../../roster.ts";
import { type Part } from "../context.ts";
import { rounded } from "../goal.ts";
import { type HeatEntry, runHeat } from "../heat.ts";
import { attentionProblem } from "../problems.ts";

const lengths = [256, 512, 1024, 2048, 4096, 8192, 16_384];
const smallLengths = [64, 128];

/** A series ends before a run would take longer than this. */
const longestMs = 3000;
/** What twice the length costs at most. */
const growthOfDoubling = 4;

const ours = [
  { series: "qklab, dense", selector: "dot+causal" },
  { series: "qklab, window 256", selector: "dot+causal+window:w=256" },
  { series: "qklab, strided 128", selector: "dot+strided:stride=128,local=128" },
] as const;
const others: readonly ContestantName[] = ["onnxruntime-node", "onnxruntime-web", "torch", "jax", "tfjs"];

export const curves: Part = {
  name: "curves",
  hasPeers: true,
  async run(context) {
    const alive = new Set<string>([...ours.map(({ series }) => series), ...others]);
    for (const length of context.isSmall ? smallLengths : lengths) {
      const problemOf = (selector: string) => attentionProblem(selector, { heads: 4, length, width: 64 });
      const { times } = await runHeat(context, [
        ...ours
          .filter(({ series }) => alive.has(series))
          .map(({ series, selector }): HeatEntry => ({
            key: series,
            contestant: "own",
            problem: problemOf(selector),
          })),
        ...others
          .filter((name) => alive.has(name))
          .map((name): HeatEntry => ({ key: name, contestant: name, problem: problemOf("dot+causal") })),
      ]);
      for (const key of alive) {
        const measured = times.get(key);
        if (measured === undefined || growthOfDoubling * measured.medianMs > longestMs) alive.delete(key);
        if (measured === undefined) continue;
        const series = (others as readonly string[]).includes(key)
          ? context.titleOf(key as ContestantName)
          : key;
        context.findings.curves.push({ series, length, time_ms: rounded(measured.medianMs) });
      }
    }
  },
};
