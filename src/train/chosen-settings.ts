/**
 * @file Settings that somebody chose, held against what they do: one that has no effect under the others is left out, so that runs
 * which differ in nothing else are one, and whoever asked for it is told.
 */
import { DomainError } from "../base/errors.ts";
import { type Recipe } from "./trainable.ts";

/** Settings of a run, and what was chosen in vain. */
export interface ChosenSettings {
  readonly settings: Readonly<Record<string, unknown>>;
  /** Chosen settings without effect, each with the setting that makes it so. */
  readonly unused: Readonly<Record<string, string>>;
}

/**
 * Complete settings, in which whatever has no effect stays at its default.
 *
 * @param chosen - what differs from the defaults, or repeats them
 * @throws DomainError as the recipe's settings do
 */
export function chooseSettings(
  { settings: complete, idle }: Pick<Recipe, "settings" | "idle">,
  chosen: Readonly<Record<string, unknown>>,
): ChosenSettings {
  const all = Object.entries(idle?.(complete(chosen)) ?? {});
  const unused = Object.fromEntries(all.filter(([name]) => Object.hasOwn(chosen, name)));
  const used = Object.fromEntries(Object.entries(chosen).filter(([name]) => !Object.hasOwn(unused, name)));
  return { settings: complete(used) as ChosenSettings["settings"], unused };
}

/**
 * Refuses a chosen setting that has no effect in any of several runs.
 *
 * @param task - for errors
 * @param chosen - its value by name
 * @throws DomainError `unused-setting`
 */
export function requireUsed(
  task: string,
  chosen: Readonly<Record<string, unknown>>,
  runs: readonly ChosenSettings[],
): void {
  for (const [name, because] of Object.entries(runs[0]?.unused ?? {})) {
    if (!runs.every(({ unused }) => Object.hasOwn(unused, name))) continue;
    throw new DomainError(
      "unused-setting",
      `Cannot set '${name}' of '${task}' as it has no effect where ${because} is ${String(runs[0].settings[because])}: ` +
        `${JSON.stringify(chosen[name])}. Set ${because} too, or leave ${name} out`,
    );
  }
}
