/** @file A benchmark that is a list of parts: its contestants, what the parts find, and the report. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { commitOf } from "../commit.ts";
import { describeMachine } from "../machine.ts";
import { type BenchOptions, requireKnown } from "../options.ts";
import { entries, makeRoster, type Places } from "../roster.ts";
import { type Context, type Findings, type Part } from "./context.ts";
import { type AttentionReport } from "./report.ts";

/** A machine on which this much runs beside the benchmark gives numbers that others cannot repeat. */
const quietLoad = 0.3;

/**
 * Runs the parts that are wanted.
 *
 * @param benchmark - its name in the report
 * @param progress - tells the person who waits what is being done
 * @throws UsageError for a part that is not there
 */
export async function runParts(
  benchmark: string,
  parts: readonly Part[],
  { preset, rounds, threads, only }: BenchOptions,
  places: Places,
  progress: (text: string) => void,
): Promise<AttentionReport> {
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
