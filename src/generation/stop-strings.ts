/**
 * @file Texts at which generation stops. A stop string may be spread over many tokens, so what could still become one waits
 * before it is shown.
 */

/** Where the first stop string begins, or what must wait. */
export type StopSearch =
  | { readonly found: string; readonly at: number }
  | {
      readonly found?: undefined;
      /** Characters at the end that could open a stop string. */ readonly waiting: number;
    };

/**
 * Looks for stop strings in a text that goes on.
 *
 * @param text - what has not been shown yet
 * @param stops - none empty
 * @returns the stop string that begins first (the longest of those), or how many characters at the end must wait
 */
export function findStop(text: string, stops: readonly string[]): StopSearch {
  let first: { found: string; at: number } | undefined;
  let waiting = 0;
  for (const stop of stops) {
    const at = text.indexOf(stop);
    if (at !== -1) {
      if (first === undefined || at < first.at || (at === first.at && stop.length > first.found.length)) {
        first = { found: stop, at };
      }
      continue;
    }
    for (let length = Math.min(stop.length - 1, text.length); length > waiting; length--) {
      if (text.endsWith(stop.slice(0, length))) waiting = length;
    }
  }
  return first ?? { waiting };
}
