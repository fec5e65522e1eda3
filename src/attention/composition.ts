/**
 * @file An attention as a composition of parts: what somebody writes, the complete form with every default filled in, and
 * the clashes between parts.
 */
import { type Aggregation, mean } from "../aggregations/index.ts";
import { UnsupportedError } from "../base/errors.ts";
import { type Parameter } from "../base/parameter.ts";
import { type Normaliser, none, softmax } from "../normalisers/index.ts";
import { intersect, type Pattern } from "../patterns/index.ts";
import { nope, type Position } from "../positions/index.ts";
import { all, type Selection } from "../selections/index.ts";
import { type Similarity } from "../similarities/index.ts";

/** The parts that do not depend on each other's types. A pattern is never optional: `full()` says that all pairs count. */
interface CommonSpec {
  readonly similarity: Similarity;
  readonly position?: Position;
  readonly pattern: Pattern | readonly [Pattern, ...Pattern[]];
  readonly selection?: Selection;
}

/** Values joined by weights: any normaliser, softmax when absent. */
interface WeightedSpec extends CommonSpec {
  readonly normaliser?: Normaliser;
  readonly aggregation?: Aggregation<"mean"> | Aggregation<"centroid">;
}

/** Values joined by raw scores: the normaliser must be `none()`. */
interface ScoredSpec extends CommonSpec {
  readonly normaliser?: Normaliser<"none">;
  readonly aggregation: Aggregation<"maxplus">;
}

/** What somebody writes; parts left out take their default (no position, all, softmax, mean). */
export type AttentionSpec = WeightedSpec | ScoredSpec;

/** A complete attention: every part present. */
export interface Composition {
  readonly similarity: Similarity;
  readonly position: Position;
  readonly patterns: readonly Pattern[];
  readonly selection: Selection;
  readonly normaliser: Normaliser;
  readonly aggregation: Aggregation;
}

/**
 * Fills in defaults and refuses parts that do not fit together.
 *
 * @param spec - the parts
 * @throws UnsupportedError `clash-…`, naming the two parts and the cure
 * @example
 * ```ts
 * import { causal, compose, l2, printSelector } from "qklab";
 * printSelector(compose({ similarity: l2(), pattern: causal() })); // "l2+causal"
 * ```
 */
export function compose(spec: AttentionSpec): Composition {
  const { similarity, position = nope(), pattern, selection = all(), aggregation = mean() } = spec;
  const normaliser = spec.normaliser ?? (aggregation.needs === "scores" ? none() : softmax());
  // JavaScript callers, whom no type stops, may leave the pattern out: that is refused below, not passed on.
  const patterns = [pattern ?? []].flat() as readonly Pattern[];
  const composition = { similarity, position, patterns, selection, normaliser, aggregation };
  if (patterns.length === 0) {
    throw new UnsupportedError(
      "missing-pattern",
      "Cannot attend as it must be said which pairs are allowed: no pattern. Add full() or causal()",
    );
  }
  requireFittingPosition(similarity, position);
  requireFittingSelection(selection, patterns);
  requireFittingAggregation(normaliser, aggregation);
  return composition;
}

/** All parameters of the parts, those of the similarity first. */
export function parametersOf({
  similarity,
  position,
  normaliser,
  aggregation,
}: Composition): readonly Parameter[] {
  return [
    ...similarity.parameters,
    ...(position.place === "bias" ? position.parameters : []),
    ...normaliser.parameters,
    ...aggregation.parameters,
  ];
}

function requireFittingPosition(similarity: Similarity, position: Position): void {
  if (position.place !== "rotation") return;
  if (similarity.invariance === "none") {
    throw new UnsupportedError(
      "clash-position",
      `Cannot use '${position.name}' with '${similarity.name}' as rotating q and k must leave the score to their distance in ` +
        `place: '${similarity.name}' is not invariant to rotations. Use alibi or log-cpb, or dot, l2, cosine, lorentz…`,
    );
  }
  if (similarity.invariance === "pairs" && position.layout !== "interleaved") {
    throw new UnsupportedError(
      "clash-position",
      `Cannot use '${position.name}' with '${similarity.name}' as the pairs that turn must be its complex coordinates ` +
        `(2m, 2m+1): layout is ${position.layout}. Write rope:layout=interleaved`,
    );
  }
  if (position.decay !== undefined && !similarity.bilinear) {
    throw new UnsupportedError(
      "clash-position",
      `Cannot use rope:scaling=xpos with '${similarity.name}' as its inverse scalings of q and k cancel only in a product: ` +
        `'${similarity.name}' is not bilinear. Use dot, or another scaling`,
    );
  }
}

function requireFittingSelection(
  { name, needsCausal = false }: Selection,
  patterns: readonly Pattern[],
): void {
  if (!needsCausal || intersect(patterns).causal) return;
  throw new UnsupportedError(
    "clash-selection",
    `Cannot use '${name}' with '${patterns.map((pattern) => pattern.name).join("+")}' as it chooses among the keys before a ` +
      "query: no pattern is causal. Add causal()",
  );
}

function requireFittingAggregation(normaliser: Normaliser, aggregation: Aggregation): void {
  if (aggregation.needs === "scores" && !(normaliser.name === "none" && !normaliser.nonNegative)) {
    throw new UnsupportedError(
      "clash-aggregation",
      `Cannot use '${aggregation.name}' with '${normaliser.name}' as it joins values by raw scores, not by weights: ` +
        `the normaliser is '${normaliser.name}'. Use the normaliser none`,
    );
  }
  if (aggregation.needs === "non-negative weights" && !normaliser.nonNegative) {
    throw new UnsupportedError(
      "clash-aggregation",
      `Cannot use '${aggregation.name}' with '${normaliser.name}' as its weights must not be negative: ` +
        `'${normaliser.name}' passes raw scores. Use softmax, sigmoid or none:map=exp`,
    );
  }
}
