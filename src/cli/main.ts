#!/usr/bin/env node
/** @file The program `qklab`: parses, runs one command, and turns whatever was thrown into one line and an exit code. */
import { CommanderError } from "commander";
import { CommandError } from "./command-error.ts";
import { texts } from "./dictionary/common.ts";
import { codeOf, exitCodeOf, exitCodes, isSystemError } from "./exit-codes.ts";
import { type Bilingual, chooseLanguage } from "./language.ts";
import { buildProgram } from "./program.ts";
import { openSession, type Session } from "./session.ts";

const session = openSession(chooseLanguage(process.argv.slice(2), process.env), process.env);

/** A reader that closes the pipe early, such as `head`, has what it wants. */
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    process.exit(error.code === "EPIPE" ? session.exitCode : exitCodes.failed);
  });
}
process.on("uncaughtException", (error) => process.exit(report(error, session)));

try {
  await buildProgram(session).parseAsync();
} catch (error) {
  session.exitCode = report(error, session);
}
process.exitCode = session.exitCode;

/** Prints the error and returns its exit code. */
function report(error: unknown, { say, verbosity }: Session): number {
  if (error instanceof CommanderError)
    return error.code === "commander.help" ? exitCodes.usage : exitCodes.done;
  const exitCode = exitCodeOf(error);
  process.stderr.write(`${say(texts.error)}${say(wording(error))}\n`);
  if (verbosity === "verbose" && error instanceof Error) {
    for (let cause: unknown = error; cause instanceof Error; cause = cause.cause)
      process.stderr.write(`${cause.stack}\n`);
  }
  return exitCode;
}

/** Errors of the library say what to do in their own words; others are a mistake of ours. */
function wording(error: unknown): Bilingual {
  if (error instanceof CommandError) return error.text;
  const message = (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";
  const code = codeOf(error);
  if (isSystemError(error))
    return code === "ENOSPC" || code === "EDQUOT" ? texts.diskFull(message) : texts.system(message);
  const isOurs = code !== undefined && /^[a-z]/.test(code);
  return isOurs ? { en: message, zh: message } : texts.unexpected(message);
}
