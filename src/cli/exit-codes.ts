/**
 * @file Exit codes: 0 done · 1 the run failed · 2 wrong usage or config · 3 a file, model or network is missing ·
 * 4 backend not available · 5 numbers failed · 6 part of a comparison failed · 130 interrupted after a checkpoint.
 */
import { DomainError, MissingError, NumbersError, ShapeError, UnsupportedError } from "../base/index.ts";
import { CommandError } from "./command-error.ts";

export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  missing: 3,
  noBackend: 4,
  numbers: 5,
  partlyFailed: 6,
  interrupted: 130,
} as const;

/** Codes that say which file, rather than which wish, is at fault. */
const aboutFiles = /^(safetensors-|onnx-|llama2c-|index-|weights-|file-|adapter-)/;

/** Codes of an UnsupportedError that say that a device is absent; the others refuse a combination. */
const aboutDevices = /^(backend|device)/;

/** The stable code of an error, where it has one. */
export function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as Error & { readonly code?: unknown }).code : undefined;
  return typeof code === "string" ? code : undefined;
}

/** Whether the operating system refused a file or a folder. */
export function isSystemError(error: unknown): boolean {
  return error instanceof Error && "syscall" in error && "path" in error;
}

/** The exit code that an error ends in. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommandError) return error.exitCode;
  const code = codeOf(error);
  if (code !== undefined && aboutFiles.test(code)) return exitCodes.missing;
  if (isSystemError(error)) return exitCodes.missing;
  if (error instanceof MissingError) return exitCodes.missing;
  if (error instanceof NumbersError) return exitCodes.numbers;
  if (error instanceof UnsupportedError) {
    return aboutDevices.test(error.code) ? exitCodes.noBackend : exitCodes.usage;
  }
  return error instanceof ShapeError || error instanceof DomainError ? exitCodes.usage : exitCodes.failed;
}
