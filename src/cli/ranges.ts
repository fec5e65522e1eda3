/** @file Places of layers and heads as people write them: `all`, `3`, `2-5`, `0,2-5`. */
import { CommandError } from "./command-error.ts";
import { texts } from "./dictionary/values.ts";

/** More layers or heads than any model has: a range is laid out one by one. */
const mostPlaces = 1 << 14;

/** For commander: the places in rising order, `undefined` for all of them. */
export const placeRanges =
  (option: string) =>
  (text: string): readonly number[] | undefined => {
    if (text.trim() === "all") return undefined;
    const places = text.split(",").flatMap((item) => {
      const [, from, to = from] = /^\s*(\d+)(?:\s*-\s*(\d+))?\s*$/.exec(item) ?? [];
      const [first, last] = [Number(from), Number(to)];
      if (!(first <= last && last < mostPlaces))
        throw new CommandError("bad-value", texts.places(option, text));
      return Array.from({ length: last - first + 1 }, (_, place) => first + place);
    });
    return [...new Set(places)].sort((a, b) => a - b);
  };
