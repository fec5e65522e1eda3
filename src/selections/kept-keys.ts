/** @file The keys of a row that a choice keeps: the definition by which every fast form is measured. */
import { type Choice } from "./selection.ts";

/** Whether one of the first `count` rounds finds a pair; any of them without `count`. */
export function isFound({ rounds, reach }: Choice, query: number, key: number, count?: number): boolean {
  const last = count ?? rounds.length;
  for (let round = 0; round < last; round++) {
    const { queryCodes, keyCodes } = rounds[round];
    const distance = queryCodes[query] - keyCodes[key];
    if (distance >= 0 && distance <= reach) return true;
  }
  return false;
}

/**
 * The keys among `allowed` that a query keeps, in their order.
 *
 * @param allowed - keys that pattern, mask and lengths allow
 * @param own - the query's place
 */
export function keptKeys(
  choice: Choice,
  query: number,
  allowed: readonly number[],
  own: number,
): readonly number[] {
  const found = allowed.filter((key) => isFound(choice, query, key));
  if (!choice.isOwnLast) return found;
  return [...othersFirst(Int32Array.from(found), own, allowed.includes(own))];
}

/** What was found but the key at the query's own place, which is allowed or not; that one where nothing else is left. */
export function othersFirst(found: Int32Array, own: number, isOwnAllowed: boolean): Int32Array {
  const others = found.filter((key) => key !== own);
  return others.length === 0 && isOwnAllowed ? Int32Array.of(own) : others;
}
