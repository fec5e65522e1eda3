/** @file The completion script of bash. */
import { type CommandFacts, type Values } from "./command-facts.ts";

/** Works from bash 3.2 on, as macOS has it. */
export function bashCompletion(commands: readonly CommandFacts[]): string {
  const names = commands.map(({ name }) => name).join(" ");
  return `# Completion of qklab for bash. Written by: qklab completion bash
_qklab() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command= word before=
  case $current in *,*) before=\${current%,*}, ;; esac
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in -*) ;; *) command=$word; break ;; esac
  done
  COMPREPLY=()
  case $command in
${commands.map(commandCase).join("\n")}
    *)
      case $previous in
        --lang) COMPREPLY=($(compgen -W "en zh" -- "$current")); return ;;
      esac
      COMPREPLY=($(compgen -W "${names} help --help --version --lang --quiet --verbose" -- "$current"))
      ;;
  esac
}
complete -F _qklab qklab
`;
}

function commandCase({ name, options, argument }: CommandFacts): string {
  const flags = options.flatMap((option) => option.flags).join(" ");
  const valueCases = options.flatMap(({ flags, values, isList }) =>
    values === undefined ? [] : [`        ${flags.join("|")}) ${reply(values, isList)} return ;;`],
  );
  const argumentReply = argument === undefined ? "" : `      ${reply(argument, false)}\n`;
  return `    ${name})
      case $previous in
${valueCases.join("\n")}
      esac
      case $current in
        -*) COMPREPLY=($(compgen -W "${flags}" -- "$current")); return ;;
      esac
${argumentReply}      ;;`;
}

function reply(values: Values, isList: boolean): string {
  if (values === "file") return 'COMPREPLY=($(compgen -f -- "$current"));';
  if (values === "folder") return 'COMPREPLY=($(compgen -d -- "$current"));';
  if (values === "free") return "COMPREPLY=();";
  if ("wordsOrFile" in values)
    return `COMPREPLY=($(compgen -f -W "${values.wordsOrFile.join(" ")}" -- "$current"));`;
  const words = `-W "${values.join(" ")}"`;
  return isList
    ? `COMPREPLY=($(compgen -P "$before" ${words} -- "\${current##*,}"));`
    : `COMPREPLY=($(compgen ${words} -- "$current"));`;
}
