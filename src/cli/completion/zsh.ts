/** @file The completion script of zsh. */
import { type CommandFacts, type OptionFacts, type Values } from "./command-facts.ts";

/** For `eval` after compinit, and for a file `_qklab` in fpath. */
export function zshCompletion(commands: readonly CommandFacts[]): string {
  return `#compdef qklab
# Completion of qklab for zsh. Written by: qklab completion zsh
_qklab() {
  local -a commands
  commands=(
${commands.map(({ name, description }) => `    ${quoted(`${name}:${description}`)}`).join("\n")}
  )
  if (( CURRENT == 2 )); then
    _describe -t commands command commands
    return
  fi
  case \${words[2]} in
${commands.map(commandCase).join("\n")}
  esac
}
if [[ \${funcstack[1]} == _qklab ]]; then
  _qklab "$@"
else
  compdef _qklab qklab
fi
`;
}

function commandCase({ name, options, argument }: CommandFacts): string {
  const specs = options
    .flatMap(optionSpecs)
    .concat(argument === undefined ? [] : [quoted(`*:${name}:${action(argument, false)}`)]);
  return `    ${name})
      shift words; (( CURRENT-- ))
      _arguments -s \\
${specs.map((spec) => `        ${spec}`).join(" \\\n")}
      ;;`;
}

function optionSpecs({ flags, description, values, isList, isRepeatable }: OptionFacts): string[] {
  const text = `[${description.replaceAll(/[[\]:]/g, (mark) => `\\${mark}`)}]`;
  const value = values === undefined ? "" : `:value:${action(values, isList)}`;
  return flags.map((flag) => quoted(`${isRepeatable ? "*" : ""}${flag}${text}${value}`));
}

function action(values: Values, isList: boolean): string {
  if (values === "file") return "_files";
  if (values === "folder") return "_files -/";
  if (values === "free") return " ";
  // A colon of an action is escaped, as one that is not begins the next argument.
  if ("wordsOrFile" in values)
    return String.raw`{_alternative "words\:name\:(${values.wordsOrFile.join(" ")})" "files\:file\:_files"}`;
  return isList ? `_values -s , value ${values.join(" ")}` : `(${values.join(" ")})`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
