/** @file Help in both languages: the titles that commander writes itself, and wrapping that knows Chinese. */
import { type Argument, type Help, type Option } from "commander";
import { texts } from "./dictionary/common.ts";
import { type Language } from "./language.ts";
import { widthOf, wrapText } from "./wrap.ts";

/** What commander's help is replaced by, for one language. */
export function helpIn(language: Language): Partial<Help> {
  const titles: Readonly<Record<string, string>> = {
    "Usage:": texts.usage[language],
    "Arguments:": texts.arguments[language],
    "Options:": texts.options[language],
    "Global Options:": texts.globalOptions[language],
    "Commands:": texts.commands[language],
  };
  const describe = ({ description, argChoices, defaultValue }: Argument | Option): string => {
    const facts = [
      ...(argChoices === undefined
        ? []
        : [texts.choices(argChoices.join(language === "zh" ? "、" : ", "))[language]]),
      ...(isShown(defaultValue) ? [texts.fallback(String(defaultValue))[language]] : []),
    ];
    if (facts.length === 0) return description;
    return language === "zh"
      ? `${description}（${facts.join("，")}）`
      : `${description} (${facts.join("; ")})`;
  };
  return {
    showGlobalOptions: true,
    styleTitle: (title) => titles[title] ?? title,
    optionDescription: describe,
    argumentDescription: describe,
    displayWidth: widthOf,
    boxWrap: (text, columns) => wrapText(text, columns).join("\n"),
  };
}

function isShown(value: unknown): boolean {
  return typeof value === "string" || typeof value === "number";
}
