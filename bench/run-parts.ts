/** @file Runs the parts of a benchmark with one roster and one folder, and puts what they found into one document. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Context, type Findings, type Part } from "./attention/context.ts";
import { type PartsReport } from "./attention/report.ts";
import { commitOf } from "./commit.ts";
import { describeMachine } from "./machine.ts";
import { type BenchOptions, requireKnown } from "./options.ts";
import { entries, makeRoster, type Places } from "./roster.ts";

/** A machine on which this much runs beside the benchmark gives numbers that others cannot repeat. */
const quietLoad = 0.3;

/** What a benchmark is run with. */
export interface PartsRun {
  readonly options: BenchOptions;
  readonly places: Places;
  readonly progress: (text: string) => void;
}

/** Runs the parts that were asked for, in their order. */
export async function runParts<Name extends string>(
  benchmark: Name,
  parts: readonly Part[],
  { options, places, progress }: PartsRun,
): Promise<PartsReport<Name>> {
  const { preset, rounds, threads, only } = options;
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
      benchmark,
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
}
