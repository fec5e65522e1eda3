/** @file A session in the test's own process that keeps what a command printed and told: starting another process costs more. */
import { type Language } from "../../src/cli/language.ts";
import { type Session } from "../../src/cli/session.ts";

/** What a command printed and told. */
export interface Heard {
  out: string;
  told: string;
}

/** The session, and what it has heard so far. */
export function heardSession(language: Language = "en"): {
  readonly session: Session;
  readonly heard: Heard;
} {
  const heard = { out: "", told: "" };
  const tell = (line: string): void => {
    heard.told += `${line}\n`;
  };
  const session: Session = {
    language,
    terminal: { isLive: false, hasColour: false, tableColumns: undefined, tableHasColour: false },
    verbosity: "quiet",
    exitCode: 0,
    say: (text) => text[language],
    print: (data) => {
      heard.out += String(data);
      return Promise.resolve();
    },
    tell: (text) => tell(text[language]),
    detail: () => undefined,
    next: (...words) => tell(`Next: ${words.join(" ")}`),
  };
  return { session, heard };
}
