/**
 * @file From a request (similarities × tasks × learning rates × seeds, on top of a preset) to the runs of a comparison: a
 * deterministic list with stable ids, grouped in cells and columns.
 */
import { completeSelector, compose, parseSelector } from "../attention/index.ts";
import { DomainError, UnsupportedError } from "../base/errors.ts";
import { didYouMean } from "../base/options.ts";
import { printPart } from "../base/part.ts";
import { random } from "../base/random.ts";
import { type Mixer, parseMixer, printMixer } from "../models/mixer.ts";
import { causal } from "../patterns/index.ts";
import { chooseSettings, requireUsed } from "../train/chosen-settings.ts";
import { type RunIdentity, type TrainingDevice } from "../train/run-storage.ts";
import { type MetricDefinition, type Recipe } from "../train/trainable.ts";
import { canonicalJson } from "./canonical-json.ts";
import { type Preset, type PresetColumn } from "./preset.ts";
import { type PresetName, presetNames, presets } from "./presets.ts";

/** What planning needs to know of a recipe. */
export type RecipeFacts = Pick<
  Recipe,
  "task" | "metric" | "unit" | "settings" | "idle" | "learningRates" | "comparesPairs"
>;

/** What somebody wants compared; everything left out comes from the preset. */
export interface ComparisonRequest {
  readonly preset?: PresetName;
  /** Selectors, compared on every task. */
  readonly similarities?: readonly string[];
  readonly tasks?: readonly string[];
  readonly seeds?: readonly number[];
  readonly learningRates?: readonly number[];
  /** Settings by task, or under "*" for every task; a list of values gives one column for each of them. */
  readonly settings?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** What computes attentions, for all runs (default `wasm`). */
  readonly device?: TrainingDevice;
}

/** One training of one attention. */
export interface PlannedRun extends RunIdentity {
  /** Six hexadecimal digits made from the configuration: the same run has the same id in every comparison. */
  readonly id: string;
  /** Id of its cell. */
  readonly cell: string;
  /** Id of its column. */
  readonly column: string;
  /** Name of its folder below `runs/` of the comparison. */
  readonly folder: string;
}

/** One attention on one task: learning rates × seeds. */
export interface PlannedCell {
  /** `column/selector`. */
  readonly id: string;
  readonly column: string;
  readonly selector: string;
  /** Ascending. */
  readonly learningRates: readonly number[];
  readonly seeds: readonly number[];
}

/** A task with its settings: what all cells of a column share. */
export interface PlannedColumn {
  /** The task's name, with `@setting=value` where the task has several columns. */
  readonly id: string;
  readonly task: string;
  /** The settings in which columns of the same task differ. */
  readonly variant: Readonly<Record<string, number | string | boolean>>;
  readonly metric: MetricDefinition;
  /** What the rate of progress counts, such as "tokens". */
  readonly unit: string;
  readonly settings: Readonly<Record<string, unknown>>;
  /** Settings that were given for other columns and have no effect in this one, each with the setting that makes it so. */
  readonly unused?: Readonly<Record<string, string>> | undefined;
}

/** A comparison before it runs. */
export interface ComparisonPlan {
  readonly version: 1;
  readonly preset: PresetName;
  /** Six hexadecimal digits made from all runs. */
  readonly id: string;
  readonly columns: readonly PlannedColumn[];
  readonly cells: readonly PlannedCell[];
  /** In the order in which they start: something of every task comes early. */
  readonly runs: readonly PlannedRun[];
}

/**
 * The runs of a comparison.
 *
 * @param request - what differs from the preset (default `quick`)
 * @param recipes - gives the recipe of a task; it is asked only for tasks of the presets
 * @param from - the presets, where they are not the built-in ones
 * @returns the plan; equal requests give equal plans
 * @throws DomainError for unknown presets, tasks and settings, malformed selectors, bad seeds and learning rates;
 *   UnsupportedError for selectors whose parts clash
 */
export function planComparison(
  request: ComparisonRequest,
  recipes: (task: string) => RecipeFacts,
  from: Readonly<Record<PresetName, Preset>> = presets,
): ComparisonPlan {
  const presetName = request.preset ?? "quick";
  requireKnown("preset", presetName, presetNames);
  const preset = from[presetName];
  const known = Object.keys(preset.columns);
  const tasks = [...new Set(request.tasks ?? preset.tasks)];
  for (const task of tasks) requireKnown("task", task, known);
  requireSettingsOfPlannedTasks(request.settings ?? {}, tasks, known);
  requireNumbers(request);

  const columns: PlannedColumn[] = [];
  const cells: PlannedCell[] = [];
  for (const task of tasks) {
    const recipe = recipes(task);
    const template = preset.columns[task];
    const columnsOfTask = planColumns(recipe, template, request);
    columns.push(...columnsOfTask);
    const written = request.similarities ?? template.selectors;
    const selectors = new Set(written.map((selector) => canonicalSelector(selector, recipe)));
    for (const column of columnsOfTask) {
      for (const selector of selectors) {
        cells.push({
          id: `${column.id}/${selector}`,
          column: column.id,
          selector,
          learningRates: ratesOf(recipe, template, column, selector, request.learningRates),
          seeds: distinct(request.seeds ?? template.seeds),
        });
      }
    }
  }
  requireSomething(cells);
  const runs = planRuns(columns, cells, request.device);
  const id = hash6(canonicalJson(runs.map(({ id }) => id).sort()));
  return { version: 1, preset: presetName, id, columns, cells, runs };
}

/** A run in words: `recall · l2 · lr 0.003 · seed 1`. */
export function label({ column, selector, learningRate, seed }: PlannedRun): string {
  return `${column} · ${selector} · lr ${learningRate} · seed ${seed}`;
}

/**
 * Every combination of the settings that were given as lists, resolved by the recipe. Combinations that differ in nothing that has
 * an effect are one column.
 */
function planColumns(
  recipe: RecipeFacts,
  template: PresetColumn,
  { settings = {} }: ComparisonRequest,
): PlannedColumn[] {
  const wanted = { ...template.settings, ...settings["*"], ...settings[recipe.task] };
  // A setting that is a list by nature, such as lengths to test, stays one value.
  const natural = recipe.settings({}) as Readonly<Record<string, unknown>>;
  const varied = Object.entries(wanted).filter(
    ([name, value]) => Array.isArray(value) && !Array.isArray(natural[name]),
  );
  let combinations: Record<string, unknown>[] = [{}];
  for (const [name, values] of varied) {
    combinations = combinations.flatMap((chosen) =>
      (values as readonly unknown[]).map((value) => ({ ...chosen, [name]: value })),
    );
  }
  const resolved = combinations.map((chosen) => chooseSettings(recipe, { ...wanted, ...chosen }));
  requireUsed(recipe.task, wanted, resolved);
  const columns = combinations.map((chosen, index): PlannedColumn => {
    const { settings: complete, unused } = resolved[index];
    const variant = Object.fromEntries(
      Object.entries(chosen).filter(([name]) => !Object.hasOwn(unused, name)),
    ) as PlannedColumn["variant"];
    const suffix = Object.entries(variant).map(([name, value]) => `${name}=${value}`);
    return {
      id: suffix.length === 0 ? recipe.task : `${recipe.task}@${suffix.join(",")}`,
      task: recipe.task,
      variant,
      metric: recipe.metric,
      unit: recipe.unit,
      settings: complete,
      ...(Object.keys(unused).length === 0 ? {} : { unused }),
    };
  });
  return [...new Map(columns.map((column) => [column.id, column])).values()];
}

function ratesOf(
  recipe: RecipeFacts,
  { learningRates: template }: PresetColumn,
  { settings }: PlannedColumn,
  selector: string,
  requested: readonly number[] | undefined,
): readonly number[] {
  if (requested !== undefined) return distinct(requested);
  if (!("count" in template)) return distinct(template);
  const all = distinct(recipe.learningRates(settings, selector));
  const count = Math.min(template.count, all.length);
  // The middle of each of `count` equal parts of the list, the lower one of two: a lower rate diverges less.
  return Array.from({ length: count }, (_, part) => all[Math.ceil(((part + 0.5) * all.length) / count - 1)]);
}

function planRuns(
  columns: readonly PlannedColumn[],
  cells: readonly PlannedCell[],
  device: TrainingDevice | undefined,
): PlannedRun[] {
  const taken = new Set<string>();
  const placed: { readonly run: PlannedRun; readonly turn: number }[] = [];
  for (const { id: column, task, settings } of columns) {
    const ofColumn = cells.filter((cell) => cell.column === column);
    const runs = ofColumn
      .flatMap((cell) =>
        cell.seeds.flatMap((seed, seedRank) =>
          cell.learningRates.map((learningRate, place) => ({
            cell,
            seed,
            learningRate,
            seedRank,
            // The middle of a list of learning rates is the likeliest to be the best.
            rateRank: Math.abs(place - (cell.learningRates.length - 1) / 2),
          })),
        ),
      )
      .sort((a, b) => a.seedRank - b.seedRank || a.rateRank - b.rateRank);
    runs.forEach(({ cell, seed, learningRate }, place) => {
      const config = {
        task,
        selector: cell.selector,
        seed,
        learningRate,
        settings,
        ...(device === undefined ? {} : { device }),
      };
      const id = freshId(config, taken);
      const folder = `${slug(column)}-${slug(cell.selector)}-lr${learningRate}-s${seed}-${id}`;
      placed.push({ run: { id, cell: cell.id, column, ...config, folder }, turn: place / runs.length });
    });
  }
  return placed.sort((a, b) => a.turn - b.turn).map(({ run }) => run);
}

/** Six digits are few: where two configurations of a plan meet, the later one is hashed again. */
function freshId(config: RunIdentity, taken: Set<string>): string {
  let text = canonicalJson(config);
  while (taken.has(hash6(text))) text += " ";
  taken.add(hash6(text));
  return hash6(text);
}

function hash6(text: string): string {
  return random(text)
    .integer(16 ** 6)
    .toString(16)
    .padStart(6, "0");
}

const LONGEST_SLUG = 60;

function slug(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[^a-z0-9.]+/g, "-")
    .slice(0, LONGEST_SLUG);
}

/**
 * Reads a selector, so that spellings of one attention share a row, and refuses parts that clash. What is written stays
 * written: `dot+nope` has no position even where a task's default is one.
 */
function canonicalSelector(selector: string, { comparesPairs = false }: RecipeFacts): string {
  const mixer: Mixer = comparesPairs
    ? { kind: "attention", parts: parseSelector(selector) }
    : parseMixer(selector);
  if (mixer.kind === "recurrence") {
    if (!mixer.recurrence.whole) return printMixer(mixer);
    throw new UnsupportedError(
      "clash-pattern",
      "Cannot compare as a model sees no later token, and with 'full' every query sees all: " +
        `'${selector}' names it. Drop '+full'`,
    );
  }
  const { parts } = mixer;
  compose(completeSelector(parts, { patterns: [causal()] }));
  const { similarity, position, patterns, selection, normaliser, aggregation } = parts;
  return [similarity, position, ...patterns, selection, normaliser, aggregation]
    .filter((part) => part !== undefined)
    .map(printPart)
    .join("+");
}

function distinct(numbers: readonly number[]): readonly number[] {
  return [...new Set(numbers)].sort((a, b) => a - b);
}

function requireKnown(what: string, name: string, known: readonly string[]): void {
  if (known.includes(name)) return;
  throw new DomainError(
    `unknown-${what}`,
    `Cannot compare as '${name}' is not a known ${what}: ${known.join(", ")}. ${didYouMean(name, known)}`,
  );
}

function requireSettingsOfPlannedTasks(
  settings: NonNullable<ComparisonRequest["settings"]>,
  tasks: readonly string[],
  known: readonly string[],
): void {
  for (const task of Object.keys(settings)) {
    if (task === "*" || tasks.includes(task)) continue;
    requireKnown("task", task, known);
    throw new DomainError(
      "unused-setting",
      `Cannot compare as settings are given for a task that is not compared: '${task}', while the tasks are ` +
        `${tasks.join(", ")}. Add it to the tasks or drop its settings`,
    );
  }
}

function requireNumbers({ seeds, learningRates }: ComparisonRequest): void {
  const badSeed = seeds?.find((seed) => !(Number.isSafeInteger(seed) && seed >= 0));
  if (badSeed !== undefined) {
    throw new DomainError(
      "bad-seed",
      `Cannot compare as a seed must be a whole number ≥ 0: ${badSeed}. Pass for example 0, 1 and 2`,
    );
  }
  const badRate = learningRates?.find((rate) => !(Number.isFinite(rate) && rate > 0));
  if (badRate !== undefined) {
    throw new DomainError(
      "bad-learning-rate",
      `Cannot compare as a learning rate must be a finite number > 0: ${badRate}. Pass for example 0.001 and 0.003`,
    );
  }
}

function requireSomething(cells: readonly PlannedCell[]): void {
  const empty = cells.find(({ learningRates, seeds }) => learningRates.length * seeds.length === 0);
  if (cells.length > 0 && empty === undefined) return;
  throw new DomainError(
    "empty-comparison",
    "Cannot compare as there must be at least one task, similarity, learning rate and seed: " +
      `${empty === undefined ? "no cells" : `no runs in ${empty.id}`}. Leave the empty list out to take the preset's`,
  );
}
