/**
 * @file Splits a score into the part that is the same for all keys of a row and the rest. Softmax does not see the
 * row part (L2's −β‖q‖²), and without it f32 keeps its digits for what matters.
 */
import { add, constant, type Expression, neg } from "./expression.ts";
import { variablesOf } from "./linearise.ts";

/** A score as `row + pair`, where `row` depends on no key. */
export interface SplitScore {
  readonly row: Expression;
  readonly pair: Expression;
}

/**
 * Splits the top-level sum of `score` by whether a term depends on a key.
 *
 * @param score - the formula
 * @param isKeyVariable - whether a variable changes from key to key
 */
export function splitRowTerm(score: Expression, isKeyVariable: (name: string) => boolean): SplitScore {
  const terms = termsOf(score);
  const dependsOnKey = (term: Expression): boolean => [...variablesOf(term)].some(isKeyVariable);
  const sum = (parts: readonly Expression[]): Expression => parts.reduce(add, constant(0));
  return { row: sum(terms.filter((term) => !dependsOnKey(term))), pair: sum(terms.filter(dependsOnKey)) };
}

function termsOf(expression: Expression): readonly Expression[] {
  const [a, b] = expression.operands;
  switch (expression.operation) {
    case "add":
      return [...termsOf(a), ...termsOf(b)];
    case "sub":
      return [...termsOf(a), ...termsOf(b).map(neg)];
    case "neg":
      return termsOf(a).map(neg);
    default:
      return [expression];
  }
}
