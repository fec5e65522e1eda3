/** @file What `train` and `compare` are asked for: their shared flags, joined with a config file that the flags win over. */
import { type Command, Option } from "commander";
import { type PresetName, presetNames } from "../compare/presets.ts";
import { CommandError } from "./command-error.ts";
import type { ConfigKey } from "./config-file.ts";
import { texts } from "./dictionary/config.ts";
import { dropAbsent } from "./drop-absent.ts";
import { exitCodes } from "./exit-codes.ts";
import { positiveList, selectorList, wholeList, wordList } from "./lists.ts";
import { durationMs, wholeNumber } from "./quantities.ts";
import { type DeviceChoice, deviceChoices, type RunWishes } from "./run-wishes.ts";
import { type Session } from "./session.ts";
import { collectSetting, mergeSettings, type SettingsByTask } from "./settings.ts";

/** The flags as commander gives them. */
export interface RunFlags {
  readonly preset?: PresetName;
  readonly task?: readonly string[];
  readonly similarity?: readonly string[];
  readonly seed?: readonly number[];
  readonly lr?: readonly number[];
  readonly set?: SettingsByTask;
  readonly config?: string;
  readonly out?: string;
  readonly name?: string;
  /** true without a value. */
  readonly resume?: string | true;
  readonly maxTime?: number;
  readonly threads?: number;
  readonly jobs?: number;
  readonly device?: DeviceChoice;
}

/** Adds the flags of one run, or of a matrix of them. */
export function addRunFlags(command: Command, { say }: Session, extent: "run" | "matrix"): Command {
  const isMatrix = extent === "matrix";
  const text = <One, Many>(one: One, many: Many): One | Many => (isMatrix ? many : one);
  command
    .option(
      isMatrix ? "--task <tasks>" : "--task <task>",
      say(text(texts.task, texts.tasks)),
      wordList("--task"),
    )
    .option(
      isMatrix ? "--similarity <selectors>" : "--similarity <selector>",
      say(text(texts.similarity, texts.similarities)),
      selectorList("--similarity"),
    )
    .option(
      isMatrix ? "--seed <numbers>" : "--seed <number>",
      say(text(texts.seed, texts.seeds)),
      wholeList("--seed", 0),
    )
    .option(
      isMatrix ? "--lr <numbers>" : "--lr <number>",
      say(text(texts.rate, texts.rates)),
      positiveList("--lr"),
    );
  if (isMatrix) command.addOption(new Option("--preset <preset>", say(texts.preset)).choices(presetNames));
  command
    .option("--set <setting>", say(texts.set), collectSetting)
    .option("--config <file>", say(texts.config))
    .option("--out <folder>", say(texts.out))
    .option("--name <name>", say(texts.name))
    .option("--resume [folder]", say(texts.resume))
    .option("--max-time <time>", say(texts.maxTime), (time) => durationMs("--max-time", time))
    .addOption(new Option("--device <device>", say(texts.device)).choices(deviceChoices));
  const count = isMatrix ? "--jobs" : "--threads";
  return command.option(`${count} <number>`, say(isMatrix ? texts.jobs : texts.threads), (number) =>
    wholeNumber(count, number, 1),
  );
}

const sharedKeys = ["task", "similarity", "seed", "lr", "set", "out", "name", "max-time", "device"] as const;

/**
 * The flags joined with the config file that they name.
 *
 * @throws CommandError where the config file is wrong or the device is not there
 */
export async function readWishes(flags: RunFlags, extent: "run" | "matrix"): Promise<RunWishes> {
  const ownKeys = extent === "matrix" ? (["preset", "jobs"] as const) : (["threads"] as const);
  const config =
    flags.config === undefined ? {} : await readConfigOf(flags.config, [...sharedKeys, ...ownKeys]);
  const { task: tasks, similarity: similarities, seed: seeds, lr: learningRates, maxTime: maxTimeMs } = flags;
  const { preset, out, name, threads, jobs, device } = flags;
  const named = {
    preset,
    tasks,
    similarities,
    seeds,
    learningRates,
    out,
    name,
    maxTimeMs,
    threads,
    jobs,
    device,
  };
  const wishes: RunWishes = {
    ...config,
    ...dropAbsent(named),
    settings: mergeSettings(config.settings ?? {}, flags.set ?? {}),
  };
  if (wishes.device === "webgpu") throw new CommandError("device", texts.noDevice, exitCodes.noBackend);
  return wishes;
}

/** TOML and schemas are loaded by those only who have a config file. */
async function readConfigOf(path: string, keys: readonly ConfigKey[]): Promise<RunWishes> {
  const { readConfig } = await import("./config-file.ts");
  return readConfig(path, keys);
}

/** Flags that decide numbers say nothing to a run that has begun, so they are refused beside `--resume`. */
export function requireResumeAlone(flags: RunFlags): void {
  const deciding = ["preset", "task", "similarity", "seed", "lr", "set", "config", "name"] as const;
  const given = deciding.find((flag) => flags[flag] !== undefined);
  if (given !== undefined) throw new CommandError("resume-alone", texts.resumeAlone(`--${given}`));
}
