/** @file Comma lists of options: a list is one side of a matrix, and an option given twice continues its list. */
import { nearestNames } from "../base/index.ts";
import { splitSelectors } from "../attention/index.ts";
import { CommandError } from "./command-error.ts";
import { texts } from "./dictionary/values.ts";
import { realNumber, wholeNumber } from "./quantities.ts";

/** For commander: each reading of an option adds to what was read before. */
export type Collector<Value> = (text: string, earlier: readonly Value[] | undefined) => readonly Value[];

function collect<Value>(
  option: string,
  split: (text: string) => readonly string[],
  read: (item: string) => Value,
): Collector<Value> {
  return (text, earlier = []) => {
    const items = split(text);
    if (items.includes("")) throw new CommandError("bad-value", texts.emptyList(option));
    return [...earlier, ...items.map(read)];
  };
}

const atCommas = (text: string): readonly string[] => text.split(",").map((item) => item.trim());

/** Selectors; a comma before `option=` belongs to the selector before it. */
export const selectorList = (option: string): Collector<string> =>
  collect(option, splitSelectors, (selector) => selector);

/** Words that are checked where they are used. */
export const wordList = (option: string): Collector<string> => collect(option, atCommas, (word) => word);

/** Texts in which commas mean nothing: an option given twice adds to its list. */
export const collectTexts: Collector<string> = (text, earlier = []) => [...earlier, text];

/** Words of a known set. */
export function choiceList<Word extends string>(option: string, known: readonly Word[]): Collector<Word> {
  return collect(option, atCommas, (word) => {
    if ((known as readonly string[]).includes(word)) return word as Word;
    throw new CommandError("bad-value", texts.choice(option, word, known, nearestNames(word, known, 1)));
  });
}

/** Whole numbers of at least `minimum`. */
export const wholeList = (option: string, minimum: number): Collector<number> =>
  collect(option, atCommas, (item) => wholeNumber(option, item, minimum));

/** Numbers above zero. */
export const positiveList = (option: string): Collector<number> =>
  collect(option, atCommas, (item) => realNumber(option, item, "positive"));
