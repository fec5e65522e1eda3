/** @file `qklab inspect`: takes a selector, a task, a run or comparison folder or a safetensors file apart. */
import { type Command } from "commander";
import { texts } from "../dictionary/inspect.ts";
import type { InspectOptions } from "../inspect/inspect.ts";
import { addFormat } from "../printing.ts";
import { wholeNumber } from "../quantities.ts";
import { type Session } from "../session.ts";

/** Adds the command. */
export function addInspect(program: Command, session: Session): Command {
  const { say } = session;
  const command = program
    .command("inspect")
    .summary(say(texts.summary))
    .description(say(texts.summary))
    .argument("<what>", say(texts.what))
    .option("--width <number>", say(texts.width), (text) => wholeNumber("--width", text, 1), 32)
    .option("--heads <number>", say(texts.heads), (text) => wholeNumber("--heads", text, 1), 4)
    .option("--derivatives", say(texts.derivatives))
    .action(async (what: string, options: InspectOptions) => {
      const { inspect } = await import("../inspect/inspect.ts");
      await inspect(what, options, session);
    });
  return addFormat(command, session, ["table", "md", "json"]);
}
