/** @file `qklab completion`: a script for the shell, made from the command tree. */
import { Argument, type Command } from "commander";
import { bashCompletion } from "../completion/bash.ts";
import { type CommandFacts, commandFacts } from "../completion/command-facts.ts";
import { fishCompletion } from "../completion/fish.ts";
import { zshCompletion } from "../completion/zsh.ts";
import { texts } from "../dictionary/completion.ts";
import { type Session } from "../session.ts";

const scripts: Readonly<Record<string, (commands: readonly CommandFacts[]) => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
};

/** Adds the command. */
export function addCompletion(program: Command, session: Session): Command {
  const { say } = session;
  return program
    .command("completion")
    .summary(say(texts.summary))
    .description(`${say(texts.summary)}\n\n${say(texts.details)}`)
    .addArgument(new Argument("<shell>", say(texts.shell)).choices(Object.keys(scripts)))
    .action(async (shell: string) => {
      await session.print(scripts[shell]?.(commandFacts(program)) ?? "");
      session.next("list");
    });
}
