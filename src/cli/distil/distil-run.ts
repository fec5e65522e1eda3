/** @file Which distillation flags ask for, or the one that a folder holds: what decides its numbers, and where it is kept. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import * as v from "valibot";
import { type RunIdentity } from "../../train/run-storage.ts";
import { CommandError } from "../command-error.ts";
import { texts } from "../dictionary/distil.ts";
import { exitCodes } from "../exit-codes.ts";
import { wholeNumber } from "../quantities.ts";

/** The flags as commander gives them. */
export interface DistilFlags {
  readonly model?: string;
  readonly attention?: string;
  readonly layers?: string;
  readonly heads?: string;
  readonly calibrate?: "spread" | "none";
  readonly data?: string;
  readonly steps?: number;
  readonly tuneSteps?: number;
  readonly loss?: "outputs" | "weights";
  readonly rank?: number;
  readonly alpha?: number;
  readonly batch?: number;
  readonly length?: number;
  readonly lr?: number;
  readonly tuneLr?: number;
  readonly seed?: number;
  readonly out?: string;
  readonly resume?: string;
  readonly maxTime?: number;
  readonly threads?: number;
}

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const settingsSchema = v.object({
  model: v.string(),
  layers: v.string(),
  heads: v.string(),
  calibrate: v.picklist(["spread", "none"]),
  data: v.string(),
  steps: count,
  tuneSteps: count,
  loss: v.picklist(["outputs", "weights"]),
  rank: count,
  alpha: v.number(),
  batch: count,
  length: count,
  tuneRate: v.number(),
});
const runSchema = v.object({
  task: v.literal("distil"),
  selector: v.string(),
  seed: count,
  learningRate: v.number(),
  settings: settingsSchema,
});

/** What decides the numbers of a distillation, but for its text, whose hash joins it. */
export type DistilSettings = v.InferOutput<typeof settingsSchema>;

/** A distillation and its folder. */
export interface PlacedDistillation {
  readonly run: Omit<RunIdentity, "settings"> & { readonly settings: DistilSettings };
  readonly folder: string;
}

/** Flags that say nothing to a run that has begun. */
const deciding = [
  "model",
  "attention",
  "layers",
  "heads",
  "calibrate",
  "data",
  "steps",
  "tuneSteps",
  "loss",
  "rank",
  "alpha",
  "batch",
  "length",
  "lr",
  "tuneLr",
  "seed",
  "out",
] as const;

/**
 * The distillation that is meant.
 *
 * @throws CommandError where flags are missing or contradict, or the folder to resume holds none
 */
export async function placedDistillation(flags: DistilFlags): Promise<PlacedDistillation> {
  if (flags.resume !== undefined) return distillationIn(flags.resume, flags);
  const { model, attention, out } = flags;
  if (model === undefined || attention === undefined || out === undefined) {
    throw new CommandError("needs", texts.needs);
  }
  const { layers = "all", heads = "all", data = "generated:24k" } = flags;
  const isPath = !data.startsWith(generatedPrefix);
  return {
    folder: resolve(out),
    run: {
      task: "distil",
      selector: attention,
      seed: flags.seed ?? 0,
      learningRate: flags.lr ?? 0.01,
      settings: {
        model,
        layers,
        heads,
        calibrate: flags.calibrate ?? "spread",
        data: isPath ? resolve(data) : data,
        steps: flags.steps ?? 100,
        tuneSteps: flags.tuneSteps ?? 0,
        loss: flags.loss ?? "outputs",
        rank: flags.rank ?? 8,
        alpha: flags.alpha ?? 16,
        batch: flags.batch ?? 4,
        length: flags.length ?? 256,
        tuneRate: flags.tuneLr ?? 0.001,
      },
    },
  };
}

async function distillationIn(given: string, flags: DistilFlags): Promise<PlacedDistillation> {
  const flag = deciding.find((name) => flags[name] !== undefined);
  if (flag !== undefined) {
    const written = flag.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new CommandError("resume-alone", texts.resumeAlone(`--${written}`));
  }
  const folder = resolve(given);
  const text = await readFile(join(folder, "config.json"), "utf8").catch(() => "null");
  const read = v.safeParse(runSchema, parsed(text));
  if (read.success) return { folder, run: read.output };
  throw new CommandError("no-run", texts.noRun(given), exitCodes.missing);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const generatedPrefix = "generated:";

/** How many tokens the model is to write; undefined for a file. */
export function generatedCount(data: string): number | undefined {
  if (!data.startsWith(generatedPrefix)) return undefined;
  return wholeNumber("--data generated:", data.slice(generatedPrefix.length), 1);
}

/** A hash over tokens: a text that changed makes another run. */
export function hashOf({ buffer, byteOffset, byteLength }: Int32Array): string {
  return createHash("sha256")
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest("hex")
    .slice(0, 16);
}
