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
  const others = found.filter((key) => key !== own);
  return others.length === 0 && allowed.includes(own) ? [own] : others;
}
