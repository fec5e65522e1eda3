/** @file The known names nearest to a misspelt one (Levenshtein distance), for errors that teach. */

/** Number of insertions, deletions and substitutions that turn `from` into `to`. */
function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const substitution = previous[column - 1] + (from[row - 1] === to[column - 1] ? 0 : 1);
      current.push(Math.min(substitution, previous[column] + 1, current[column - 1] + 1));
    }
    previous = current;
  }
  return previous[to.length];
}

/**
 * The names of `known` nearest to `name`, best first.
 *
 * @param name - what somebody wrote
 * @param known - the names that exist
 * @param count - how many to return at most
 * @example
 * ```ts
 * import { nearestNames } from "qklab";
 * nearestNames("cosin", ["dot", "cosine", "l2"], 1); // ["cosine"]
 * ```
 */
export function nearestNames(name: string, known: readonly string[], count = 3): string[] {
  return [...known]
    .map((candidate) => ({
      candidate,
      distance: candidate.startsWith(name) ? 0 : editDistance(name, candidate),
    }))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, count)
    .map(({ candidate }) => candidate);
}
