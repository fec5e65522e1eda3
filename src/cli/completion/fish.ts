/** @file The completion script of fish. */
import { type CommandFacts, type OptionFacts, type Values } from "./command-facts.ts";

/** One `complete` line for each command, option and argument. */
export function fishCompletion(commands: readonly CommandFacts[]): string {
  const names = commands.map(({ name }) => name).join(" ");
  return [
    "# Completion of qklab for fish. Written by: qklab completion fish",
    "complete -c qklab -f",
    ...commands.map(
      ({ name, description }) =>
        `complete -c qklab -n "not __fish_seen_subcommand_from ${names}" -a ${name} -d ${quoted(description)}`,
    ),
    ...commands.flatMap(commandLines),
    "",
  ].join("\n");
}

function commandLines({ name, options, argument }: CommandFacts): string[] {
  const begin = `complete -c qklab -n "__fish_seen_subcommand_from ${name}"`;
  return [
    ...options.map((option) => `${begin} ${optionWords(option)}`),
    ...(argument === undefined ? [] : [`${begin} ${offered(argument)}`]),
  ];
}

function optionWords({ flags, description, values }: OptionFacts): string {
  const names = flags.map((flag) => (flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
  return [...names, ...(values === undefined ? [] : ["-r", offered(values)]), `-d ${quoted(description)}`]
    .filter((word) => word !== "")
    .join(" ");
}

function offered(values: Values): string {
  if (values === "file") return "-F";
  if (values === "folder") return "-a '(__fish_complete_directories)'";
  if (typeof values === "object" && "wordsOrFile" in values)
    return `-F -a ${quoted(values.wordsOrFile.join(" "))}`;
  return values === "free" ? "" : `-a ${quoted(values.join(" "))}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", String.raw`\'`)}'`;
}
