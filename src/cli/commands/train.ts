/** @file `qklab train`: one run in this process. */
import { type Command } from "commander";
import { texts } from "../dictionary/runs.ts";
import { addFormat, type FormatOptions } from "../printing.ts";
import { addRunFlags, type RunFlags } from "../run-options.ts";
import { type Session } from "../session.ts";
import { tableFormats } from "../table.ts";

/** Adds the command. */
export function addTrain(program: Command, session: Session): Command {
  const { say } = session;
  const command = program
    .command("train")
    .summary(say(texts.trainSummary))
    .description(`${say(texts.trainSummary)}\n\n${say(texts.trainDetails)}`)
    .action(async (flags: RunFlags & FormatOptions) => {
      const { train } = await import("../train/train.ts");
      await train(flags, session);
    });
  return addFormat(addRunFlags(command, session, "run"), session, tableFormats);
}
