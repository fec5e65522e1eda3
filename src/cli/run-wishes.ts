/** @file What somebody wants trained, by flags or by a config file. */
import { type PresetName } from "../compare/presets.ts";
import { type TrainingDevice } from "../train/run-storage.ts";
import { type SettingsByTask } from "./settings.ts";

/** What computes attentions: `auto` is the best that is there, which is `wasm`. */
export const deviceChoices = ["auto", "wasm", "jax", "webgpu"] as const;
export type DeviceChoice = (typeof deviceChoices)[number];

/** What somebody asked for; what is absent has a default. */
export interface RunWishes {
  readonly preset?: PresetName;
  readonly tasks?: readonly string[];
  readonly similarities?: readonly string[];
  readonly seeds?: readonly number[];
  readonly learningRates?: readonly number[];
  readonly settings?: SettingsByTask;
  readonly out?: string;
  readonly name?: string;
  readonly maxTimeMs?: number;
  readonly threads?: number;
  readonly jobs?: number;
  readonly device?: DeviceChoice;
}

/** The device as a run keeps it: left out where it is the default. */
export function trainingDevice({ device }: RunWishes): { readonly device?: TrainingDevice } {
  return device === "jax" ? { device } : {};
}
