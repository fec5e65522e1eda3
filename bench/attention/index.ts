/** @file The benchmark of the fused attentions: its parts in order, and what they find. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Benchmark } from "../benchmark.ts";
import { commitOf } from "../commit.ts";
import { describeMachine } from "../machine.ts";
import { requireKnown } from "../options.ts";
import { entries, makeRoster } from "../roster.ts";
import { type Context, type Findings, type Part } from "./context.ts";
import { curves } from "./parts/curves.ts";
import { decoding } from "./parts/decoding.ts";
import { growth } from "./parts/growth.ts";
import { limit } from "./parts/limit.ts";
import { memory } from "./parts/memory.ts";
import { moe } from "./parts/moe.ts";
import { patterns } from "./parts/patterns.ts";
import { jax, onnxruntime, ruvector, tfjs, torch } from "./parts/peers.ts";
import { training } from "./parts/training.ts";
import { type AttentionReport } from "./report.ts";
import { reportText } from "./report-text.ts";
import { writeDocument } from "../document/write.ts";

/** In this order they are run and reported. A new row is a part here, or a row of `peers.ts`. */
const parts: readonly Part[] = [
  limit,
  onnxruntime,
  jax,
  ruvector,
  tfjs,
  torch,
  patterns,
  decoding,
  training,
  moe,
  growth,
  memory,
  curves,
];

/** A machine on which this much runs beside the benchmark gives numbers that others cannot repeat. */
const quietLoad = 0.3;

/** `npm run bench -- attention` */
export const attention: Benchmark<AttentionReport> = {
  name: "attention",
  async run({ preset, rounds, threads, only }, places, progress) {
    const names = parts.map(({ name }) => name);
    for (const name of only ?? []) requireKnown("part", name, names);
    const machine = describeMachine();
    if (machine.load > quietLoad) progress(`the machine is busy: its load is ${machine.load}`);
    const roster = makeRoster({ places, threads, install: preset === "peers" });
    const folder = mkdtempSync(join(tmpdir(), "qklab-bench-"));
    const findings: Findings = { goals: [], absent: [], wrong: [], curves: [], facts: {} };
    const context: Context = {
      roster,
      folder,
      places,
      rounds,
      threads,
      isSmall: preset === "quick",
      findings,
      titleOf: (name) => entries[name].title,
      progress,
    };
    try {
      for (const part of parts) {
        const isWanted = only?.includes(part.name) ?? (preset !== "own" || !part.hasPeers);
        if (isWanted) await part.run(context);
      }
      return {
        benchmark: "attention",
        preset,
        rounds,
        threads,
        date: new Date().toISOString().slice(0, 10),
        commit: commitOf(places.root) ?? null,
        machine,
        contestants: roster.present().map(({ name, contestant }) => ({
          name: entries[name].title,
          ...contestant.description,
        })),
        ...findings,
        absent: [
          ...roster.absent().map(({ name, reason }) => ({ peer: entries[name].title, reason })),
          ...findings.absent,
        ],
      };
    } finally {
      await roster.close();
      rmSync(folder, { recursive: true, force: true });
    }
  },
  text: reportText,
  write: writeDocument,
};
