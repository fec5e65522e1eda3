/**
 * @file What a command talks to: data to stdout; messages, in the person's language, to stderr; how much of them, and how
 * the terminal is. One session is one run of the program.
 */
import { basename, relative } from "node:path";
import { texts } from "./dictionary/common.ts";
import { type Bilingual, type Language } from "./language.ts";

/** How the places that stderr and stdout go to may be used. */
export interface Terminal {
  /** Whether lines on stderr can be redrawn in place. */
  readonly isLive: boolean;
  /** Whether stderr may be coloured. */
  readonly hasColour: boolean;
  /** Where stdout is a terminal: tables are wrapped to its columns. */
  readonly tableColumns: number | undefined;
  /** Whether tables may be coloured. */
  readonly tableHasColour: boolean;
}

export interface Session {
  readonly language: Language;
  readonly terminal: Terminal;
  verbosity: "quiet" | "normal" | "verbose";
  /** What the process ends with when nothing is thrown. */
  exitCode: number;
  /** The text in the session's language. */
  readonly say: (text: Bilingual) => string;
  /** Data, to stdout as it is. */
  readonly print: (data: string | Uint8Array) => Promise<void>;
  /** A message to stderr; silent when quiet. */
  readonly tell: (text: Bilingual) => void;
  /** A message to stderr with -v only. */
  readonly detail: (text: Bilingual) => void;
  /** The last line of a command: what is useful next, as the words after the program's name. */
  readonly next: (...words: readonly string[]) => void;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** How the terminal may be used: NO_COLOR, TERM=dumb and CI are honoured. */
export function terminalOf(environment: Environment): Terminal {
  const isPlain = isSet(environment["CI"]) || environment["TERM"] === "dumb";
  const mayColour = !isPlain && !isSet(environment["NO_COLOR"]);
  const isLive = process.stderr.isTTY && !isPlain;
  const isTableOnTerminal = process.stdout.isTTY;
  return {
    isLive,
    hasColour: isLive && mayColour,
    tableColumns: isTableOnTerminal ? process.stdout.columns : undefined,
    tableHasColour: isTableOnTerminal && mayColour,
  };
}

/** The session of this process. */
export function openSession(language: Language, environment: Environment): Session {
  const terminal = terminalOf(environment);
  const program = programName(process.argv[1] ?? "qklab", environment);
  const session: Session = {
    language,
    terminal,
    verbosity: "normal",
    exitCode: 0,
    say: (text) => text[language],
    print: (data) =>
      new Promise((resolve) => {
        process.stdout.write(data, () => resolve());
      }),
    tell(text) {
      if (session.verbosity !== "quiet") process.stderr.write(`${text[language]}\n`);
    },
    detail(text) {
      if (session.verbosity === "verbose") process.stderr.write(`${dim(terminal, text[language])}\n`);
    },
    next(...words) {
      session.tell(texts.next([program, ...words.map(quoteForShell)].join(" ")));
    },
  };
  return session;
}

/** A path as a person here would write it. */
export function shownPath(path: string): string {
  const place = relative(process.cwd(), path);
  return place.startsWith("..") ? path : place || ".";
}

/** A word that a shell takes as one, whatever is in it. */
export function quoteForShell(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** A text for stderr in a paler colour. */
export function dim(terminal: Terminal, text: string): string {
  return terminal.hasColour ? `\u001b[2m${text}\u001b[0m` : text;
}

/** An empty variable counts as absent, as https://no-color.org says. */
function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== "";
}

/** The program as the person can call it again: by its name where it is installed, else by node and its path. */
function programName(script: string, environment: Environment): string {
  if (environment["npm_command"] === "exec") return "npx qklab";
  if (basename(script) === "qklab") return "qklab";
  return `node ${quoteForShell(shownPath(script))}`;
}
