/** @file An unknown name of a weight, and the names that are nearest to it. */
import { DomainError } from "../base/errors.ts";
import { nearestNames } from "../base/nearest-names.ts";
import { quoted } from "./header-json.ts";

const longestComparedName = 200;

/** The names nearest to `name`, quoted and joined for a message; empty where there is none. */
export function nearestQuoted(name: string, known: Iterable<string>): string {
  // Edit distance is quadratic, so names of hostile length are no candidates.
  const candidates = [...known].filter((candidate) => candidate.length <= longestComparedName);
  return nearestNames(name.slice(0, longestComparedName), candidates).map(quoted).join(", ");
}

/**
 * What a source keeps under a name.
 *
 * @throws DomainError `weight-unknown`, with the nearest names
 */
export function findWeight<Weight>(
  weights: ReadonlyMap<string, Weight>,
  name: string,
  source: string,
): Weight {
  const weight = weights.get(name);
  if (weight !== undefined) return weight;
  const nearest = nearestQuoted(name, weights.keys());
  throw new DomainError(
    "weight-unknown",
    `Cannot read weight ${quoted(name)} as ${source} must hold it: ${weights.size} weights, none of that name. ` +
      (nearest === "" ? "Pass a file that holds it" : `Ask for one of its names; the nearest are ${nearest}`),
  );
}
