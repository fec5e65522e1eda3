/** @file What somebody wants trained, by flags or by a config file. */
import { type PresetName } from "../compare/presets.ts";
import { type SettingsByTask } from "./settings.ts";

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
  readonly device?: "auto" | "wasm" | "webgpu";
}
