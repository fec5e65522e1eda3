/**
 * @file A run folder on disk: `config.json`, `env.json`, `metrics.jsonl`, `checkpoint-<step>/`, `summary.json`, and one of
 * RUNNING.lock, DONE, FAILED; a stopped run has none of the three. Whatever kills the process, what lies there is whole:
 * files are written under a temporary name, flushed and renamed, and a torn last line of metrics is dropped on resume.
 */
import { createHash } from "node:crypto";
import { appendFile, mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { DomainError, MissingError } from "../base/errors.ts";
import { readSafetensors, writeSafetensors } from "../checkpoints/safetensors-file.node.ts";
import { removeTemporaries, writeFileAtomically } from "../checkpoints/write-atomically.node.ts";
import { decodeNumbers, encodeNumbers } from "./json-numbers.ts";
import { takeLock } from "./run-lock.node.ts";
import {
  type Checkpoint,
  type RunIdentity,
  type RunStorage,
  type RunSummary,
  type StepRecord,
} from "./run-storage.ts";
import { type Snapshot } from "./trainable.ts";

/**
 * The name of a run's folder, `<date>-<name>-<hash6>`.
 *
 * @param name - what a person calls it; anything but letters, digits, dots and dashes becomes a dash
 * @param config - what decides its numbers; the hash is made from it
 */
export function runFolderName(date: Date, name: string, config: RunIdentity): string {
  const hash = createHash("sha256").update(JSON.stringify(config)).digest("hex").slice(0, 6);
  return `${date.toISOString().slice(0, 10)}-${name.replaceAll(/[^\w.-]+/g, "-")}-${hash}`;
}

/** How to open a run folder. */
export interface OpenRunFolder {
  readonly run: RunIdentity;
  /** Goes on with the run that lies there; without it the folder must not hold one. */
  readonly resume?: boolean;
  /** The contents of `env.json`; see `describeEnvironment`. */
  readonly environment?: Readonly<Record<string, unknown>>;
}

/**
 * Opens a folder for a run, makes it where it is missing, and locks it.
 *
 * @param path - of the folder itself
 * @throws MissingError `run-exists` when it holds a run and `resume` is not asked for, `run-locked` when a living process
 *   runs it, `file-write` when the disk refuses
 * @throws DomainError `run-differs` when the run that lies there has another configuration
 */
export async function openRunFolder(
  path: string,
  { run, resume = false, environment }: OpenRunFolder,
): Promise<RunStorage> {
  await mkdir(path, { recursive: true });
  const at = (name: string): string => join(path, name);
  const found = await readJson(at("config.json"));
  if (found !== undefined && !resume) {
    throw new MissingError(
      "run-exists",
      `Cannot start a run in ${path} as the folder must not hold one: it has a config.json. Resume it, or choose another folder`,
    );
  }
  if (found !== undefined) requireSameRun(path, found, run);
  const releaseLock = await takeLock(at("RUNNING.lock"));
  if (found === undefined) await writeJson(at("config.json"), run);
  if (environment !== undefined) await writeJson(at("env.json"), environment);
  await removeTemporaries(path);
  await removeTemporaryCheckpoints(path);
  await rm(at("FAILED"), { force: true });

  return {
    async readCheckpoint() {
      const steps = await checkpointSteps(path);
      return steps.length === 0 ? undefined : readCheckpoint(at(`checkpoint-${Math.max(...steps)}`));
    },
    async writeCheckpoint(checkpoint) {
      const name = `checkpoint-${checkpoint.step}`;
      const temporary = at(`.${name}.tmp`);
      await rm(temporary, { recursive: true, force: true });
      await mkdir(temporary);
      await writeCheckpoint(temporary, checkpoint, run);
      await rm(at(name), { recursive: true, force: true });
      await rename(temporary, at(name));
      const older = (await checkpointSteps(path)).filter((step) => step !== checkpoint.step);
      for (const step of older) await rm(at(`checkpoint-${step}`), { recursive: true, force: true });
    },
    async rewindMetrics(step) {
      const all = readRecords(await readText(at("metrics.jsonl")));
      const kept = all.filter((record) => record.step < step);
      await writeFileAtomically(at("metrics.jsonl"), kept.map(lineOf).join(""));
      return kept;
    },
    appendMetrics: (record) => appendFile(at("metrics.jsonl"), lineOf(record)),
    async readSummary() {
      const done = await readText(at("DONE"));
      return done === undefined
        ? undefined
        : ((await readJson(at("summary.json"))) as RunSummary | undefined);
    },
    async finish(summary) {
      await writeJson(at("summary.json"), summary);
      await writeFileAtomically(at("DONE"), "");
      await releaseLock();
    },
    async fail(error) {
      const { code = "unknown", message } = error as { code?: string; message: string };
      await writeJson(at("FAILED"), { code, message });
      await releaseLock();
    },
    release: releaseLock,
  };
}

async function writeCheckpoint(
  folder: string,
  { step, snapshot }: Checkpoint,
  run: RunIdentity,
): Promise<void> {
  await writeSafetensors(join(folder, "model.safetensors"), snapshot.model, { step: String(step) });
  await writeSafetensors(join(folder, "optimizer.safetensors"), snapshot.optimiser, { step: String(step) });
  await writeJson(join(folder, "trainer.json"), {
    step,
    random: { seed: run.seed, generator: "xoshiro128**", keys: "seed, task, split, step" },
    state: snapshot.state,
  });
}

async function readCheckpoint(folder: string): Promise<Checkpoint> {
  const trainer = (await readJson(join(folder, "trainer.json"))) as {
    readonly step: number;
    readonly state: Snapshot["state"];
  };
  const read = async (name: string): Promise<Snapshot["model"]> => {
    const { tensors } = await readSafetensors(join(folder, name));
    return Object.fromEntries(tensors) as Snapshot["model"];
  };
  return {
    step: trainer.step,
    snapshot: {
      model: await read("model.safetensors"),
      optimiser: await read("optimizer.safetensors"),
      state: trainer.state,
    },
  };
}

async function checkpointSteps(path: string): Promise<readonly number[]> {
  const names = await readdir(path);
  return names.flatMap((name) => {
    const step = /^checkpoint-(\d+)$/.exec(name)?.[1];
    return step === undefined ? [] : [Number(step)];
  });
}

/** What a killed process left half-written. */
async function removeTemporaryCheckpoints(path: string): Promise<void> {
  const names = await readdir(path);
  const left = names.filter((name) => /^\.checkpoint-\d+\.tmp$/.test(name));
  for (const name of left) await rm(join(path, name), { recursive: true, force: true });
}

function lineOf(record: StepRecord): string {
  return `${JSON.stringify(encodeNumbers(record))}\n`;
}

/** Whole lines only: a process killed while it wrote leaves a last line without its end. */
function readRecords(text: string = ""): readonly StepRecord[] {
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  return whole
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => decodeNumbers(JSON.parse(line)) as StepRecord);
}

function requireSameRun(path: string, found: unknown, run: RunIdentity): void {
  const differing = Object.keys({ ...(found as object), ...run }).find(
    (name) =>
      JSON.stringify((found as Record<string, unknown>)[name]) !==
      JSON.stringify(encodeNumbers(run[name as keyof RunIdentity])),
  );
  if (differing === undefined) return;
  throw new DomainError(
    "run-differs",
    `Cannot resume ${path} as its run must have the same configuration: '${differing}' is ` +
      `${JSON.stringify((found as Record<string, unknown>)[differing])} there. Use that value, or start in another folder`,
  );
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new MissingError(
      "file-read",
      `Cannot read ${path} as it must be a readable file: ${(cause as Error).message}. Check the path`,
      { cause },
    );
  }
}

async function readJson(path: string): Promise<unknown> {
  const text = await readText(path);
  if (text === undefined) return undefined;
  try {
    return decodeNumbers(JSON.parse(text));
  } catch (cause) {
    throw new MissingError(
      "file-read",
      `Cannot read ${path} as it must hold JSON: ${(cause as Error).message}. Restore the file, or start in another folder`,
      { cause },
    );
  }
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFileAtomically(path, `${JSON.stringify(encodeNumbers(value), undefined, 2)}\n`);
}
