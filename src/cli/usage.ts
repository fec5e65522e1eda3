/** @file What commander refuses, in our words: the nearest command or option, and what to do. */
import { type Command, type CommanderError } from "commander";
import { nearestNames } from "../base/index.ts";
import { CommandError } from "./command-error.ts";
import { texts } from "./dictionary/usage.ts";
import { texts as valueTexts } from "./dictionary/values.ts";

/** The error that a person reads for one of commander's; nothing where help or the version was asked for. */
export function usageError(error: CommanderError, command: Command): CommandError | undefined {
  const quoted = /'([^']*)'/.exec(error.message)?.[1] ?? "";
  const name = fullName(command);
  switch (error.code) {
    case "commander.help":
    case "commander.helpDisplayed":
    case "commander.version":
      return undefined;
    case "commander.unknownCommand":
      return new CommandError(
        "unknown-command",
        texts.unknownCommand(quoted, nearestNames(quoted, namesOf(command), 1)),
      );
    case "commander.unknownOption":
      return new CommandError(
        "unknown-flag",
        texts.unknownOption(name, quoted, nearestNames(quoted, flagsOf(command), 1)),
      );
    case "commander.missingArgument":
      return new CommandError("missing-argument", texts.missingArgument(name, quoted.toUpperCase()));
    case "commander.optionMissingArgument":
      return new CommandError("missing-value", texts.missingValue(name, quoted));
    case "commander.excessArguments": {
      const [, expected = "?", seen = "?"] =
        /Expected (\d+) arguments? but got (\d+)/.exec(error.message) ?? [];
      return new CommandError("excess-arguments", texts.excessArguments(name, expected, seen));
    }
    case "commander.invalidArgument":
      return invalidChoice(error.message);
    default:
      return new CommandError("usage", texts.conflict(name, error.message.replace(/^error: /, "")));
  }
}

/** Values outside their choices; other values are refused by the options' own readers. */
function invalidChoice(message: string): CommandError {
  const [, option, ofOption] = /option '([^']*)' argument '(.*)' is invalid/.exec(message) ?? [];
  const [, ofArgument, argument] = /value '(.*)' is invalid for argument '([^']*)'/.exec(message) ?? [];
  const known = (/Allowed choices are (.*)\.$/.exec(message)?.[1] ?? "").split(", ");
  const seen = ofOption ?? ofArgument ?? "";
  const what = option?.split(/[ ,|]+/).find((flag) => flag.startsWith("--")) ?? argument?.toUpperCase() ?? "";
  return new CommandError("bad-value", valueTexts.choice(what, seen, known, nearestNames(seen, known, 1)));
}

/** For an option that a command cannot do without. */
export function missingOption(command: Command, flags: string): CommandError {
  return new CommandError("missing-option", texts.missingOption(fullName(command), flags));
}

/** The command with those above it: `qklab attend`. */
export function fullName(command: Command): string {
  return command.parent === null ? command.name() : `${fullName(command.parent)} ${command.name()}`;
}

function namesOf(command: Command): string[] {
  return command.commands.map((child) => child.name());
}

function flagsOf(command: Command): string[] {
  const own = [command, ...(command.parent === null ? [] : [command.parent])];
  return own.flatMap(({ options }) => options.flatMap(({ long }) => (long === undefined ? [] : [long])));
}
