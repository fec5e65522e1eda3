/** @file Tasks and presets as `list` and `inspect` show them: the catalogue joined with the recipes that train them. */
import { taskTitle } from "../../compare/labels.ts";
import { planComparison } from "../../compare/plan.ts";
import { presetNames } from "../../compare/presets.ts";
import { tasks } from "../../tasks/index.ts";
import { recipeOf, recipes } from "../../train/recipes/index.ts";
import { type MetricDefinition } from "../../train/trainable.ts";
import { columns, type Listing, type Say } from "./listing.ts";

/** A task that can be trained. */
export interface TrainableTask {
  readonly name: string;
  readonly title: string;
  readonly summary: string;
  readonly metric: MetricDefinition;
  readonly unit: string;
  /** Where its data come from. */
  readonly source: string;
  readonly learningRates: readonly number[];
  /** Every setting with its default. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** A task by its name. */
export function describeTask(name: string, say: Say): TrainableTask {
  const { metric, unit, settings, learningRates } = recipeOf(name);
  const described = Object.values(tasks).find((task) => name === task.name);
  const defaults = settings({});
  return {
    name,
    title: say(taskTitle(name)),
    summary: described === undefined ? "" : say({ en: described.summary, zh: described.summaryZh }),
    metric,
    unit,
    source: described?.source ?? "",
    learningRates: learningRates(defaults, "dot"),
    settings: { ...defaults },
  };
}

/** All tasks, in the order of the recipes. */
export function listTasks(say: Say): Listing {
  const all = recipes.map(({ task }) => describeTask(task, say));
  return {
    document: all,
    table: {
      columns: columns("name", "title", "metric", "unit", "rates", "data"),
      rows: all.map(({ name, title, summary, metric, unit, learningRates, source }) => ({
        name,
        title: `${title}: ${summary}`,
        metric: `${metric.name} ${metric.better === "higher" ? "↑" : "↓"}`,
        unit,
        rates: learningRates.join(", "),
        data: source,
      })),
    },
    lines: all.map(({ name, summary }) => ({ name, about: summary })),
  };
}

/** The presets of `compare`, with what each of them trains. */
export function listPresets(): Listing {
  const plans = presetNames.map((name) => ({ name, ...planComparison({ preset: name }, recipeOf) }));
  const document = plans.map(({ name, columns, cells, runs }) => ({
    name,
    runs: runs.length,
    tasks: columns.map(({ id, settings }) => {
      const ofColumn = cells.filter(({ column }) => column === id);
      return {
        name: id,
        settings,
        similarities: ofColumn.map(({ selector }) => selector),
        seeds: [...new Set(ofColumn.flatMap(({ seeds }) => seeds))],
        learningRates: [...new Set(ofColumn.flatMap(({ learningRates }) => learningRates))],
      };
    }),
  }));
  return {
    document,
    table: {
      columns: columns("name", "tasks", "attentions", "seeds", "runs"),
      rows: document.map(({ name, runs, tasks }) => ({
        name,
        tasks: tasks.map((task) => task.name).join(", "),
        attentions: new Set(tasks.flatMap(({ similarities }) => similarities)).size,
        seeds: Math.max(...tasks.map(({ seeds }) => seeds.length)),
        runs,
      })),
    },
    lines: document.map(({ name, tasks }) => ({ name, about: tasks.map((task) => task.name).join(", ") })),
  };
}
