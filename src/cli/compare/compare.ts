/** @file One `compare`, from its wishes to its table: progress line by line, a report, an exact resume. */
import { resolve } from "node:path";
import {
  compare as runComparison,
  type Comparison,
  type CompareEvent,
  type CompareOptions,
  latestComparison,
  resumeComparison,
} from "../../compare/compare.node.ts";
import { formatDuration } from "../../compare/format.ts";
import { measurement } from "../../compare/labels.ts";
import { type ComparisonPlan, label, type PlannedColumn, type PlannedRun } from "../../compare/plan.ts";
import { columnOf } from "../../compare/results.ts";
import { printComparison } from "../../compare/table.ts";
import { printVerdicts } from "../../compare/verdicts.ts";
import { recipeOf } from "../../train/recipes/index.ts";
import { texts } from "../dictionary/runs.ts";
import { dropAbsent } from "../drop-absent.ts";
import { exitCodes } from "../exit-codes.ts";
import { listenForInterruption } from "../interruption.ts";
import { formatOf, type FormatOptions, printJson } from "../printing.ts";
import { openProgress, type Progress } from "../progress/progress.ts";
import { printDuration } from "../quantities.ts";
import { readWishes, requireResumeAlone, type RunFlags } from "../run-options.ts";
import { type RunWishes, trainingDevice } from "../run-wishes.ts";
import { type Session, shownPath } from "../session.ts";
import { runsFolder } from "../train/placed-run.ts";

/** Compares what the flags ask for, prints the table, and sets the exit code. */
export async function compare(flags: RunFlags & FormatOptions, session: Session): Promise<void> {
  if (flags.resume !== undefined) requireResumeAlone(flags);
  const wishes = await readWishes(flags, "matrix");
  const comparison = await run(flags.resume, wishes, session);
  await printResult(comparison, flags, session);
}

async function run(resume: RunFlags["resume"], wishes: RunWishes, session: Session): Promise<Comparison> {
  const { say } = session;
  const {
    jobs,
    maxTimeMs,
    out = runsFolder,
    name,
    preset,
    similarities,
    tasks,
    seeds,
    learningRates,
    settings,
  } = wishes;
  const progress = openProgress(session);
  const interruption = listenForInterruption(() => progress.log(say(texts.stopping)));
  const options: CompareOptions = {
    stop: interruption.stop,
    kill: interruption.kill,
    onEvent: followComparison(progress, session),
    ...dropAbsent({ jobs, maxTimeMs }),
  };
  try {
    if (resume !== undefined) {
      return await resumeComparison(
        resume === true || resume === "latest" ? await latestComparison(out) : resolve(resume),
        options,
      );
    }
    const request = {
      ...dropAbsent({ preset, similarities, tasks, seeds, learningRates, settings }),
      ...trainingDevice(wishes),
    };
    return await runComparison(request, { ...options, recipes: recipeOf, out, ...dropAbsent({ name }) });
  } finally {
    interruption.close();
    progress.close();
  }
}

/** Tells what happens, as a person follows it. */
function followComparison(progress: Progress, { say, language }: Session): (event: CompareEvent) => void {
  let plan: ComparisonPlan | undefined;
  const column = (run: PlannedRun): PlannedColumn | undefined => plan && columnOf(plan, run);

  return (event) => {
    switch (event.kind) {
      case "planned":
        ({ plan } = event);
        progress.log(say(texts.planned(plan.runs.length, event.jobs, shownPath(event.folder))));
        if (event.reused > 0) progress.log(say(texts.reused(event.reused)));
        break;
      case "run-started":
        break;
      case "run-progress": {
        const { run, progress: standing } = event;
        progress.update(run.id, { label: label(run), unit: column(run)?.unit ?? "", ...standing });
        break;
      }
      case "run-finished": {
        const { run, summary, wallMs } = event;
        const metric = column(run)?.metric.name ?? "";
        const { title, format } = measurement(metric);
        const value = `${title[language]} ${format(summary.test[metric] ?? Number.NaN)}`;
        progress.remove(run.id);
        progress.log(say(texts.finished(label(run), value, formatDuration(wallMs))));
        break;
      }
      case "run-failed":
        progress.remove(event.run.id);
        progress.log(say((event.diverged ? texts.diverged : texts.failed)(label(event.run), event.message)));
        break;
      case "run-stopped":
        progress.remove(event.run.id);
        progress.log(say(texts.stopped(label(event.run))));
        break;
      case "progress": {
        const { ended, planned, timeLeftMs } = event;
        const left = timeLeftMs === undefined ? "" : `, ${say(texts.left(printDuration(timeLeftMs)))}`;
        progress.total(`${say(texts.total(ended, planned))}${left}`);
        break;
      }
      case "reporting":
        progress.total(say(texts.reporting));
    }
  };
}

async function printResult(comparison: Comparison, options: FormatOptions, session: Session): Promise<void> {
  const { folder, reportHtml, reportJson, results, outcome, counts } = comparison;
  const { language, terminal } = session;
  const format = formatOf(options);
  if (format === "json") {
    await printJson(session, { folder, reportHtml, reportJson, outcome, counts, cells: results.cells });
  } else {
    const { tableColumns: terminalColumns, tableHasColour: hasColour } = terminal;
    const form = format === "table" ? "text" : format;
    await session.print(printComparison(results, { format: form, language, terminalColumns, hasColour }));
    if (format === "table") await session.print(`\n${printVerdicts(results, { language, hasColour })}`);
  }
  session.tell(texts.ended(counts.finished, counts.failed, counts.diverged, counts.left));
  session.tell(texts.report(shownPath(reportHtml)));
  session.exitCode = exitCodeOf(comparison);
  if (counts.left > 0 || counts.failed > 0) session.next("compare", "--resume", shownPath(folder));
  else session.next("compare", "--preset", results.plan.preset === "smoke" ? "quick" : "full");
}

/** Out of time is what was asked for, and is told by the runs that are left. */
function exitCodeOf({ outcome, counts }: Comparison): number {
  if (outcome === "interrupted") return exitCodes.interrupted;
  return outcome === "partly-failed" || counts.failed > 0 ? exitCodes.partlyFailed : exitCodes.done;
}
