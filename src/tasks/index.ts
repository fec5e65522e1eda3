/**
 * @file What the tasks offer, for Node and browsers alike: one file per data set or generator. The readers of files
 * (`gutenberg.node.ts`, `wordnet.node.ts`) are for Node and imported by name.
 */
export {
  associativeRecallTokens,
  type AssociativeRecallBatch,
  type AssociativeRecallSettings,
} from "./associative-recall.ts";
export { tasks, type Task, type TaskMetric, type TaskName } from "./catalogue.ts";
export { copyTokens, type CopySettings } from "./copy.ts";
export { extrapolationFactors, extrapolationWindows, type ExtrapolationWindows } from "./extrapolation.ts";
export { bitsRecovered, factTable, factTokens, type FactSettings, type FactTable } from "./facts.ts";
export {
  closure,
  completeTree,
  hierarchySampler,
  type Hierarchy,
  type HierarchyBatch,
  type HierarchySampler,
} from "./hierarchy.ts";
export { inductionTokens, type InductionSettings } from "./induction.ts";
export { type LabelledTokens } from "./labelled-tokens.ts";
export {
  bitsPerCharacter,
  bytes,
  characters,
  corpus,
  heldOutWindows,
  normaliseText,
  randomWindows,
  type Corpus,
  type Split,
  type Vocabulary,
  type Windows,
} from "./language.ts";
export {
  evaluateListops,
  listopsTokens,
  listopsWords,
  type ListopsBatch,
  type ListopsSettings,
} from "./listops.ts";
export { rankNeighbours, type Ranking } from "./ranking.ts";
export {
  recallTokens,
  recallVectors,
  valueTable,
  type RecallQueries,
  type RecallTokenBatch,
  type RecallTokenSettings,
  type RecallVectorBatch,
  type RecallVectorSettings,
  type ValueTable,
} from "./recall.ts";
export {
  fitExponent,
  scalingCases,
  type ScalingCase,
  type ScalingFit,
  type ScalingPoint,
  type ScalingSettings,
} from "./scaling.ts";
export { selectiveCopyTokens, type SelectiveCopySettings } from "./selective-copy.ts";
export { mammalHierarchy, nounHierarchy, parseNouns, subtree, type Nouns } from "./wordnet.ts";
