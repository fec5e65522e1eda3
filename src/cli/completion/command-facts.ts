/** @file What completion scripts are made from: the command tree, with the kind of value that each option takes. */
import { type Argument, type Command, type Option } from "commander";
import { presets } from "../../compare/presets.ts";
import { routingNames } from "../../kernels/reference/routing-rule.ts";
import { namesOf, recurrenceNames } from "../list/parts.ts";

/** What may follow: fixed words, a file, a folder, words or a file, or something that nobody can guess. */
export type Values =
  | readonly string[]
  | "file"
  | "folder"
  | "free"
  | { readonly wordsOrFile: readonly string[] };

export interface OptionFacts {
  /** Such as `-q` and `--quiet`. */
  readonly flags: readonly string[];
  readonly description: string;
  /** Absent where the option takes no value. */
  readonly values?: Values;
  /** Whether the value is a comma list. */
  readonly isList: boolean;
  /** Whether it may be given again. */
  readonly isRepeatable: boolean;
}

export interface CommandFacts {
  readonly name: string;
  readonly description: string;
  readonly options: readonly OptionFacts[];
  /** What its argument may be; absent where it takes none. */
  readonly argument?: Values;
}

/** Every command with the options that it shares with the program. */
export function commandFacts(program: Command): readonly CommandFacts[] {
  const shared = [...program.createHelp().visibleOptions(program)].filter(({ long }) => long !== "--version");
  return program.commands.map((command) => {
    const own = command.options.filter(({ hidden }) => !hidden);
    const [argument] = command.registeredArguments;
    return {
      name: command.name(),
      description: command.summary(),
      options: [...own, ...shared].map((option) => optionFacts(option)),
      ...(argument === undefined ? {} : { argument: argumentValues(argument) }),
    };
  });
}

function optionFacts(option: Option): OptionFacts {
  const { short, long, description } = option;
  const takesValue = option.required || option.optional;
  return {
    flags: [short, long].filter((flag) => flag !== undefined),
    description,
    isList: valueName(option).endsWith("s"),
    isRepeatable: ["setting", "ending"].includes(valueName(option)),
    ...(takesValue ? { values: valuesOf(option) } : {}),
  };
}

/** What the help calls the value: `file` of `--in <file>`, `selectors` of `--similarity <selectors>`. */
function valueName({ flags }: Option): string {
  return /[<[]([^>\]]+)[>\]]/.exec(flags)?.[1] ?? "";
}

const tasks = Object.keys(presets.full.columns);

function valuesOf(option: Option): Values {
  if (option.argChoices !== undefined) return option.argChoices;
  const name = valueName(option);
  if (name === "file" || name === "folder") return name;
  if (name === "model") return { wordsOrFile: ["minimind"] };
  if (name === "task" || name === "tasks") return tasks;
  return name === "selector" || name === "selectors" ? selectorNames() : "free";
}

function argumentValues(argument: Argument): Values {
  if (argument.argChoices !== undefined) return argument.argChoices;
  if (argument.name() !== "what") return "free";
  return { wordsOrFile: [...selectorNames(), ...routingNames, ...tasks] };
}

/** What selectors begin with. */
const selectorNames = (): readonly string[] => [...namesOf("similarities"), ...recurrenceNames];
