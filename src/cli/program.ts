/** @file The command tree: what every command shares, and the list of commands. */
import { Command, Option } from "commander";
import { addAttend } from "./commands/attend.ts";
import { addCompare } from "./commands/compare.ts";
import { addCompletion } from "./commands/completion.ts";
import { addDistil } from "./commands/distil.ts";
import { addDoctor } from "./commands/doctor.ts";
import { addEmit } from "./commands/emit.ts";
import { addGenerate } from "./commands/generate.ts";
import { addInspect } from "./commands/inspect.ts";
import { addList } from "./commands/list.ts";
import { addServe } from "./commands/serve.ts";
import { addSwap } from "./commands/swap.ts";
import { addTrain } from "./commands/train.ts";
import { texts } from "./dictionary/common.ts";
import { helpIn } from "./help.ts";
import { languages } from "./language.ts";
import { type Session } from "./session.ts";
import { usageError } from "./usage.ts";
import { version } from "./version.ts";

/** The commands in the order of help: the main job first. */
const commands: readonly ((program: Command, session: Session) => Command)[] = [
  addCompare,
  addTrain,
  addGenerate,
  addServe,
  addSwap,
  addDistil,
  addAttend,
  addEmit,
  addList,
  addInspect,
  addDoctor,
  addCompletion,
];

/** The whole command line, ready to parse. */
export function buildProgram(session: Session): Command {
  const { say } = session;
  const program = new Command("qklab")
    .description(say(texts.program))
    .usage("COMMAND [options]")
    .version(version, "-V, --version", say(texts.version))
    .helpOption("-h, --help", say(texts.help))
    .helpCommand("help [command]", say(texts.help))
    .addOption(new Option("--lang <language>", say(texts.lang)).choices(languages))
    .addOption(new Option("-q, --quiet", say(texts.quiet)).conflicts("verbose"))
    .option("-v, --verbose", say(texts.verbose))
    .addHelpText("after", `\n${say(texts.moreHelp)}`)
    .configureHelp(helpIn(session.language))
    .configureOutput({ outputError: () => undefined })
    .showSuggestionAfterError(false)
    .allowExcessArguments(false)
    .hook("preAction", (_, command) => {
      const { quiet, verbose } = command.optsWithGlobals<{ quiet?: boolean; verbose?: boolean }>();
      session.verbosity = quiet === true ? "quiet" : verbose === true ? "verbose" : "normal";
    });
  for (const add of commands) add(program, session);
  for (const command of [program, ...program.commands]) {
    command.exitOverride((error) => {
      throw usageError(error, command) ?? error;
    });
  }
  return program;
}
