/** @file One `inspect`: finds out whether a selector, a routing, a task, a folder or a file is meant, and prints what is known of it. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { CommandError } from "../command-error.ts";
import { texts } from "../dictionary/inspect.ts";
import { exitCodes } from "../exit-codes.ts";
import { firstName, recurrentNames } from "../../attention/selector.ts";
import { type RoutingName, routingNames } from "../../kernels/reference/routing-rule.ts";
import { parseAnySelector } from "../../recurrence/index.ts";
import { describeAttention } from "./attention.ts";
import { attentionSections } from "./print-attention.ts";
import { describeRouting, routingSections } from "./routing.ts";
import { describeRecurrence, recurrenceSections } from "./recurrence.ts";
import { describeRun, exists, runSections, settingsTable } from "./run-folder.ts";
import { describeSafetensors, safetensorsSections } from "./safetensors.ts";
import { factTable } from "./tables.ts";
import { namesOf } from "../list/parts.ts";
import { formatOf, type FormatOptions, printJson, printSections, type Section } from "../printing.ts";
import { type Session } from "../session.ts";

/** Sizes that a selector is described for, and the form of the printout. */
export interface InspectOptions extends FormatOptions {
  readonly width: number;
  readonly heads: number;
  readonly derivatives?: boolean;
}

/** What was found out, in both forms, and what to do next. */
interface Findings {
  readonly document: unknown;
  readonly sections: readonly Section[];
  readonly next: readonly string[];
}

/** Finds out what was named, and prints what is known of it. */
export async function inspect(what: string, options: InspectOptions, session: Session): Promise<void> {
  const { document, sections, next } = await findingsOn(what, options, session);
  const format = formatOf(options);
  if (format === "json") await printJson(session, document);
  else await printSections(session, sections, format);
  session.next(...next);
}

/** Whatever exists on the disk is meant as a path; what looks like one must exist. */
async function findingsOn(what: string, options: InspectOptions, session: Session): Promise<Findings> {
  const found = await stat(what).catch(() => undefined);
  if (found?.isDirectory() === true) return inspectFolder(what, session);
  if (found !== undefined) return inspectFile(what);
  const name = firstName(what);
  if (namesOf("similarities").includes(name) || recurrentNames.includes(name))
    return inspectSelector(what, options, session);
  const routing = routingNames.find((known) => known === name);
  if (routing !== undefined) return inspectRouting(routing, what, options, session);
  if (/[/\\]|\.safetensors$/.test(what))
    throw new CommandError("file-read", texts.noPath(what), exitCodes.missing);
  return (await inspectTask(what, session)) ?? inspectSelector(what, options, session);
}

function inspectSelector(
  selector: string,
  { width, heads, derivatives }: InspectOptions,
  session: Session,
): Findings {
  const selected = parseAnySelector(selector);
  if (selected.kind === "recurrence") {
    if (derivatives === true) throw new CommandError("no-derivatives", texts.noDerivatives(selector));
    const description = describeRecurrence(selected.composition, { width, heads });
    return {
      document: description,
      sections: recurrenceSections(description, session),
      next: ["attend", "--spec", description.selector, "--in", "in.safetensors", "--out", "out.safetensors"],
    };
  }
  const description = describeAttention(selector, { width, heads });
  const withDerivatives = derivatives === true;
  const { derivatives: printed, ...rest } = description;
  return {
    document: { ...rest, ...(withDerivatives ? { derivatives: printed } : {}) },
    sections: attentionSections(description, { withDerivatives }, session),
    next: ["compare", "--task", "recall", "--similarity", `dot,${selector}`],
  };
}

async function inspectRouting(
  name: RoutingName,
  what: string,
  { width }: InspectOptions,
  session: Session,
): Promise<Findings> {
  if (what.trim() !== name) throw new CommandError("routing-options", texts.routingOptionsGiven(what, name));
  const description = await describeRouting(name, width);
  return {
    document: description,
    sections: routingSections(description, session),
    next: [
      "train",
      "--task",
      "facts",
      "--similarity",
      "dot",
      "--set",
      "experts=4",
      "--set",
      `routing=${name}`,
    ],
  };
}

async function inspectFile(path: string): Promise<Findings> {
  const description = await describeSafetensors(path);
  const selector = description.metadata["selector"];
  return {
    document: description,
    sections: safetensorsSections(description),
    next:
      selector === undefined
        ? ["attend", "--spec", "l2+causal", "--in", path, "--out", "out.safetensors"]
        : ["inspect", selector, "--derivatives"],
  };
}

async function inspectFolder(folder: string, session: Session): Promise<Findings> {
  if (await exists(join(folder, "comparison.json"))) return inspectComparison(folder, session);
  if (!(await exists(join(folder, "config.json")))) {
    throw new CommandError("file-read", texts.noFolder(folder), exitCodes.missing);
  }
  const run = await describeRun(folder);
  const isOpen = run.state === "stopped" || run.state === "failed";
  return {
    document: run,
    sections: runSections(run, session),
    next: isOpen ? ["train", "--resume", folder] : ["inspect", run.selector],
  };
}

async function inspectComparison(folder: string, session: Session): Promise<Findings> {
  const { readComparison } = await import("../../compare/folder.node.ts");
  const { printComparison } = await import("../../compare/table.ts");
  const results = await readComparison(folder);
  const { runs, cells } = results;
  const ended = runs.filter(({ status }) => status !== "left").length;
  const { language, terminal } = session;
  const table = printComparison(results, {
    format: "text",
    language,
    terminalColumns: terminal.tableColumns,
  });
  return {
    document: { kind: "comparison", folder, plan: results.plan, runs, cells },
    sections: [{ title: texts.comparison(folder, ended, runs.length), code: table.trimEnd() }],
    next: ["compare", ...(ended < runs.length ? ["--resume", folder] : ["--preset", "full"])],
  };
}

/** A task by its name, nothing where no task has it. */
async function inspectTask(name: string, session: Session): Promise<Findings | undefined> {
  const { say } = session;
  const { recipes } = await import("../../train/recipes/index.ts");
  if (!recipes.some(({ task }) => task === name)) return undefined;
  const { describeTask } = await import("../list/tasks.ts");
  const task = describeTask(name, say);
  const { title, summary, metric, unit, source, learningRates, settings } = task;
  return {
    document: { kind: "task", ...task },
    sections: [
      {
        title: texts.task(name, title),
        table: factTable(
          {
            summary,
            metric: `${metric.name} (${metric.unit}) ${metric.better === "higher" ? "↑" : "↓"}`,
            unit,
            learningRates: learningRates.join(", "),
            source,
          },
          say,
        ),
      },
      { title: texts.settings, table: settingsTable(settings) },
    ],
    next: ["train", "--task", name, "--similarity", "l2"],
  };
}
