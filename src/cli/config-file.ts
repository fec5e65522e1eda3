/** @file Config files of `train` and `compare`, TOML or JSON: the names of the flags as keys; flags win over them. */
import { readFile } from "node:fs/promises";
import { parse as parseToml } from "smol-toml";
import * as v from "valibot";
import { nearestNames } from "../base/index.ts";
import { splitSelectors } from "../attention/index.ts";
import { presetNames } from "../compare/presets.ts";
import { CommandError } from "./command-error.ts";
import { texts } from "./dictionary/config.ts";
import { dropAbsent } from "./drop-absent.ts";
import { exitCodes } from "./exit-codes.ts";
import { durationMs, readNumber } from "./quantities.ts";
import { deviceChoices, type RunWishes } from "./run-wishes.ts";
import { settingsOfTable } from "./settings.ts";

const number = v.union([
  v.pipe(v.number(), v.finite()),
  v.pipe(v.string(), v.transform(readNumber), v.number("must be a number")),
]);
const oneOrMore = <Item>(item: v.GenericSchema<unknown, Item>): v.GenericSchema<unknown, readonly Item[]> =>
  v.union([
    v.array(item),
    v.pipe(
      item,
      v.transform((single) => [single]),
    ),
  ]);
const selectors = v.pipe(
  oneOrMore(v.string()),
  v.transform((lists) => lists.flatMap(splitSelectors)),
);
const words = v.pipe(
  oneOrMore(v.string()),
  v.transform((lists) => lists.flatMap((list) => list.split(",").map((word) => word.trim()))),
);
const whole = v.pipe(number, v.integer(), v.minValue(1));

const schema = v.strictObject({
  preset: v.optional(v.picklist(presetNames)),
  task: v.optional(words),
  similarity: v.optional(selectors),
  seed: v.optional(oneOrMore(v.pipe(number, v.integer(), v.minValue(0)))),
  lr: v.optional(oneOrMore(v.pipe(number, v.gtValue(0)))),
  set: v.optional(v.pipe(v.record(v.string(), v.unknown()), v.transform(settingsOfTable))),
  out: v.optional(v.string()),
  name: v.optional(v.string()),
  "max-time": v.optional(
    v.pipe(
      v.string(),
      v.transform((text) => durationMs("max-time", text)),
    ),
  ),
  threads: v.optional(whole),
  jobs: v.optional(whole),
  device: v.optional(v.picklist(deviceChoices)),
});

/** A key that some command has a flag for. */
export type ConfigKey = keyof typeof schema.entries;

/**
 * Reads a config file.
 *
 * @param path - ends in .toml or .json
 * @param allowed - the keys that the command has a flag for
 * @throws CommandError `config-…` where the file is missing, malformed, or has keys that are unknown
 */
export async function readConfig(path: string, allowed: readonly ConfigKey[]): Promise<RunWishes> {
  const content = parseConfig(path, await readConfigText(path));
  const unknown = Object.keys(content).find((key) => !(allowed as readonly string[]).includes(key));
  if (unknown !== undefined) {
    throw new CommandError(
      "config-key",
      texts.unknownKey(path, unknown, allowed, nearestNames(unknown, allowed, 1)),
    );
  }
  const parsed = v.safeParse(schema, content);
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw new CommandError("config-value", texts.badValue(path, v.getDotPath(issue) ?? "", issue.message));
  }
  const { "max-time": maxTimeMs, lr, seed, task, similarity, set, ...same } = parsed.output;
  return dropAbsent({
    ...same,
    maxTimeMs,
    tasks: task,
    similarities: similarity,
    seeds: seed,
    learningRates: lr,
    settings: set,
  });
}

async function readConfigText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new CommandError(
      "config-read",
      texts.unreadable(path, (cause as Error).message),
      exitCodes.missing,
      { cause },
    );
  }
}

function parseConfig(path: string, text: string): Readonly<Record<string, unknown>> {
  const parse = /\.toml$/i.test(path) ? parseToml : /\.json$/i.test(path) ? JSON.parse : undefined;
  if (parse === undefined) throw new CommandError("config-form", texts.form(path));
  let content: unknown;
  try {
    content = parse(text);
  } catch (cause) {
    // A TOML error draws the place below its first line.
    const problem = (cause as Error).message.split("\n")[0] ?? "";
    throw new CommandError("config-parse", texts.unparsable(path, problem), exitCodes.usage, { cause });
  }
  if (typeof content === "object" && content !== null && !Array.isArray(content))
    return content as Record<string, unknown>;
  throw new CommandError("config-parse", texts.unparsable(path, "no table at the top"));
}
