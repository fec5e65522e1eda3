/** @file All recipes, by the task's name. */
import { DomainError } from "../../base/errors.ts";
import { didYouMean } from "../../base/options.ts";
import { type Recipe } from "../trainable.ts";
import { associativeRecallRecipe } from "./associative-recall.ts";
import { copyRecipe } from "./copy.ts";
import { extrapolationRecipe } from "./extrapolation.ts";
import { factsRecipe } from "./facts.ts";
import { hierarchyRecipe } from "./hierarchy.ts";
import { inductionRecipe } from "./induction.ts";
import { languageRecipe } from "./language.ts";
import { listopsRecipe } from "./listops.ts";
import { recallRecipe } from "./recall.ts";
import { recallTokensRecipe } from "./recall-tokens.ts";
import { scalingRecipe } from "./scaling.ts";
import { selectiveCopyRecipe } from "./selective-copy.ts";

/** The recipes, in the order in which they are listed. */
export const recipes: readonly Recipe[] = [
  recallRecipe,
  recallTokensRecipe,
  copyRecipe,
  selectiveCopyRecipe,
  inductionRecipe,
  associativeRecallRecipe,
  listopsRecipe,
  factsRecipe,
  languageRecipe,
  hierarchyRecipe,
  extrapolationRecipe,
  scalingRecipe,
] as unknown as readonly Recipe[];

/**
 * The recipe of a task.
 *
 * @throws DomainError `unknown-task` with the nearest known names
 */
export function recipeOf(task: string): Recipe {
  const found = recipes.find((recipe) => recipe.task === task);
  if (found !== undefined) return found;
  const known = recipes.map((recipe) => recipe.task);
  throw new DomainError(
    "unknown-task",
    `Cannot train '${task}' as it must be a known task: ${known.join(", ")}. ${didYouMean(task, known)}`,
  );
}

export { associativeRecallRecipe, type AssociativeRecallRecipeSettings } from "./associative-recall.ts";
export { copyRecipe, type CopyRecipeSettings } from "./copy.ts";
export { type ExtrapolationSettings, extrapolationRecipe } from "./extrapolation.ts";
export { factsRecipe, type FactsRecipeSettings } from "./facts.ts";
export { hierarchyRecipe, type HierarchySettings } from "./hierarchy.ts";
export { inductionRecipe, type InductionRecipeSettings } from "./induction.ts";
export { languageRecipe, type LanguageSettings } from "./language.ts";
export { listopsRecipe, type ListopsRecipeSettings } from "./listops.ts";
export { recallRecipe, type RecallSettings } from "./recall.ts";
export { recallTokensRecipe, type RecallTokensSettings } from "./recall-tokens.ts";
export { scalingRecipe, type ScalingSettings } from "./scaling.ts";
export { selectiveCopyRecipe, type SelectiveCopyRecipeSettings } from "./selective-copy.ts";
