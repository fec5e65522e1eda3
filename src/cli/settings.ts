/** @file Settings of tasks, `--set language.steps=100`: by task, or for every task of the command where none is named. */
import { CommandError } from "./command-error.ts";
import { texts } from "./dictionary/values.ts";
import { readNumber } from "./quantities.ts";

/** Settings by task; under "*" those for every task. */
export type SettingsByTask = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** Settings without a task. */
export const everyTask = "*";

/** For commander: adds one `--set` to those before it; a later one wins. */
export function collectSetting(text: string, earlier: SettingsByTask = {}): SettingsByTask {
  const [, task = everyTask, name = "", value] = /^\s*(?:([\w-]+)\.)?([\w-]+)\s*=(.*)$/s.exec(text) ?? [];
  if (value === undefined || value.trim() === "") throw new CommandError("bad-value", texts.setting(text));
  return mergeSettings(earlier, { [task]: { [name]: readValue(value.trim()) } });
}

/** Both together, single settings of `winning` over those of `losing`. */
export function mergeSettings(losing: SettingsByTask, winning: SettingsByTask): SettingsByTask {
  const tasks = new Set([...Object.keys(losing), ...Object.keys(winning)]);
  return Object.fromEntries([...tasks].map((task) => [task, { ...losing[task], ...winning[task] }]));
}

/** The table `set` of a config file: values for every task, and one table for each task. */
export function settingsOfTable(table: Readonly<Record<string, unknown>>): SettingsByTask {
  const isTask = (value: unknown): value is Readonly<Record<string, unknown>> =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  const entries = Object.entries(table);
  const shared = Object.fromEntries(entries.filter(([, value]) => !isTask(value)));
  const byTask = Object.fromEntries(
    entries.filter((entry): entry is [string, Record<string, unknown>] => isTask(entry[1])),
  );
  return Object.keys(shared).length === 0 ? byTask : { [everyTask]: shared, ...byTask };
}

/** A number with its suffix, true or false, a comma list of these, JSON where it begins like JSON, else text. */
function readValue(text: string): unknown {
  if (/^["[{]/.test(text)) {
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new CommandError("bad-value", texts.settingJson(text, (error as Error).message));
    }
  }
  if (text.includes(",")) return text.split(",").map((item) => readValue(item.trim()));
  if (text === "true" || text === "false") return text === "true";
  return readNumber(text) ?? text;
}
