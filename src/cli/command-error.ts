/** @file An error of the command line itself, in both languages, with the exit code it ends in. */
import { type Bilingual } from "./language.ts";

/** Worded as every error: *Cannot ‹act› as ‹rule›: ‹value seen›. ‹What to do next›.* */
export class CommandError extends Error {
  readonly code: string;
  readonly text: Bilingual;
  readonly exitCode: number;

  constructor(code: string, text: Bilingual, exitCode = 2, options?: ErrorOptions) {
    super(text.en, options);
    this.name = "CommandError";
    this.code = code;
    this.text = text;
    this.exitCode = exitCode;
  }
}
