/** @file The language of everything a person reads: `--lang`, else LC_ALL, LC_MESSAGES or LANG, else English. */
import { type Bilingual, type Language } from "../compare/bilingual.ts";

export { type Bilingual, type Language };

/** The languages of the dictionary. */
export const languages: readonly Language[] = ["en", "zh"];

/** A text of the dictionary: fixed, or made from what it tells. */
export type Text = Bilingual | ((...told: never[]) => Bilingual);

/**
 * The language that help and messages are written in. It is read from the raw arguments, as help is made before they are
 * parsed; a value that is no language is left for the parser to refuse.
 */
export function chooseLanguage(
  arguments_: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Language {
  for (const [place, argument] of arguments_.entries()) {
    if (argument === "--") break;
    const value = argument === "--lang" ? arguments_[place + 1] : /^--lang=(.*)$/.exec(argument)?.[1];
    if (value !== undefined) return value === "zh" ? "zh" : "en";
  }
  const locale = [environment["LC_ALL"], environment["LC_MESSAGES"], environment["LANG"]].find(Boolean);
  return locale?.toLowerCase().startsWith("zh") === true ? "zh" : "en";
}
