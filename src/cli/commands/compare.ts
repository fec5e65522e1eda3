/** @file `qklab compare`: the main job: similarities × tasks, trained side by side, a table, and a report. */
import { type Command } from "commander";
import { texts } from "../dictionary/runs.ts";
import { addFormat, type FormatOptions } from "../printing.ts";
import { addRunFlags, type RunFlags } from "../run-options.ts";
import { type Session } from "../session.ts";
import { tableFormats } from "../table.ts";

/** Adds the command. */
export function addCompare(program: Command, session: Session): Command {
  const { say } = session;
  const command = program
    .command("compare")
    .summary(say(texts.compareSummary))
    .description(`${say(texts.compareSummary)}\n\n${say(texts.compareDetails)}`)
    .action(async (flags: RunFlags & FormatOptions) => {
      const { compare } = await import("../compare/compare.ts");
      await compare(flags, session);
    });
  return addFormat(addRunFlags(command, session, "matrix"), session, tableFormats);
}
