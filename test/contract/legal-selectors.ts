/**
 * @file The selectors that contracts run over: one value of every kind of part at least, every legal pair of values in at
 * least one selector (a covering array of strength two), and which combinations must be refused.
 */
import {
  add,
  type AttentionSpec,
  compose,
  type Composition,
  log1p,
  max,
  mul,
  parseSelector,
  positive,
  random,
  similarity,
  type SimilarityFactory,
  sub,
} from "../../src/index.ts";

/** A similarity as a user would write it: one expression. Of equal vectors rounding may leave a square below zero. */
export const student: SimilarityFactory<"tau"> = similarity("student", {
  inner: "dot",
  score: ({ s, q2, k2, tau }) => log1p(max(sub(add(q2, k2), mul(2, s)), 0).div(tau)).neg(),
  params: { tau: positive(1) },
});

/** Representative values of every kind of part, as text of a selector; widths must be multiples of 4. */
export const values = {
  similarity: [
    "dot:scale=learned",
    "l2",
    "rbf:sigma=learned",
    "l1",
    "cauchy:beta=2,tau=learned",
    "cosine:beta=learned",
    "lorentz:c=learned",
    "lorentz-distance:c=learned",
    "poincare:c=learned",
    "complex",
    "complex:part=im",
    "complex:part=abs",
    "tropical",
    "mahalanobis",
    "product:members=l2/poincare(c=2)/complex(part=abs)/l1",
    "student:tau=learned",
  ],
  position: [
    "nope",
    "rope:theta=100",
    "rope:theta=100,layout=interleaved",
    "rope:scaling=pi,factor=4",
    "rope:layout=interleaved,scaling=ntk,factor=4",
    "rope:theta=100,layout=interleaved,scaling=yarn,factor=4,original=64",
    "rope:theta=100,scaling=xpos",
    "rope:layout=interleaved,scaling=xpos",
    "rope:dims=2",
    "alibi",
    "log-cpb:window=8,hidden=5",
  ],
  pattern: [
    "full",
    "causal",
    "window:w=3",
    "causal+window:w=3",
    "strided:stride=3,local=2",
    "fixed:block=4,columns=1",
    "block:size=3,list=0-0/0-1/1-1/1-2/3-0",
    "causal+block:size=2,list=0-0/1-0/1-1/2-1/2-2/3-3",
  ],
  selection: ["all", "topk:k=3", "lsh:buckets=2,rounds=2,chunk=2", "moba:block=2,k=1"],
  normaliser: [
    "softmax",
    "softmax:sink=learned",
    "sigmoid",
    "sigmoid:bias=learned",
    "sigmoid:bias=-1",
    "none",
    "none:map=exp",
  ],
  aggregation: ["mean", "centroid:c=learned", "maxplus"],
} as const;

type Kind = keyof typeof values;
/** A value for every kind of part. */
export type Choice = Readonly<Record<Kind, string>>;
const kinds = Object.keys(values) as Kind[];

/** The choice that clashes with nothing. */
const plain: Choice = {
  similarity: "dot:scale=learned",
  position: "nope",
  pattern: "full",
  selection: "all",
  normaliser: "softmax",
  aggregation: "mean",
};

/** Similarities of which a rotation of q and k together, or of complex coordinates together, changes the score. */
const notInvariant = /^(l1|tropical|mahalanobis|product)/;
const invariantToPairsOnly = /^complex:part=(im|abs)/;
const bilinear = /^(dot|complex$|complex:part=im)/;
const looksBack = /causal|strided|fixed/;

/**
 * The error that a combination must get, by the rules of the algebra written down a second time; nothing when it is
 * legal.
 */
export function expectedClash({
  similarity: compared,
  position,
  pattern,
  selection,
  normaliser,
  aggregation,
}: Choice): "clash-position" | "clash-selection" | "clash-aggregation" | undefined {
  const turns = position.startsWith("rope");
  const isInterleaved = position.includes("interleaved");
  const cannotTurn =
    turns &&
    (notInvariant.test(compared) ||
      (invariantToPairsOnly.test(compared) && !isInterleaved) ||
      (position.includes("xpos") && !bilinear.test(compared)));
  if (cannotTurn) return "clash-position";
  if (selection.startsWith("moba") && !looksBack.test(pattern)) return "clash-selection";
  const needsScores = aggregation === "maxplus" && normaliser !== "none";
  const needsPositive = aggregation.startsWith("centroid") && normaliser === "none";
  return needsScores || needsPositive ? "clash-aggregation" : undefined;
}

/** The selector of a choice, every part written. */
export function selectorOf(choice: Choice): string {
  return kinds.map((kind) => choice[kind]).join("+");
}

/** A selector as a complete attention; `student` is known, or similarities of the caller's own. */
export function read(
  selector: string,
  own: NonNullable<Parameters<typeof parseSelector>[1]> = [student],
): Composition {
  const { patterns, ...parts } = parseSelector(selector, own);
  return compose({ ...parts, pattern: patterns } as unknown as AttentionSpec);
}

/** Every combination of the kinds that can clash, legal or not. */
export function everyCombination(): readonly Choice[] {
  const ofPairs = values.pattern.flatMap((pattern) =>
    values.selection.map((selection) => ({ ...plain, pattern, selection })),
  );
  const ofNumbers = values.similarity.flatMap((similarity) =>
    values.position.flatMap((position) =>
      values.normaliser.flatMap((normaliser) =>
        values.aggregation.map((aggregation) => ({
          ...plain,
          similarity,
          position,
          normaliser,
          aggregation,
        })),
      ),
    ),
  );
  return [...ofPairs, ...ofNumbers];
}

/** Two kinds with a value each, for all that fit together. */
export function legalPairs(): readonly Partial<Choice>[] {
  const pairs = kinds.flatMap((a, i) =>
    kinds.slice(i + 1).flatMap((b) => values[a].flatMap((x) => values[b].map((y) => ({ [a]: x, [b]: y })))),
  ) as readonly Partial<Choice>[];
  return pairs.filter((pair) =>
    values.normaliser.some(
      (normaliser) => expectedClash({ ...plain, pattern: "causal", normaliser, ...pair }) === undefined,
    ),
  );
}

/** How many completions of an uncovered pair compete for the most newly covered pairs. */
const competitors = 24;

/** Choices in which every legal pair of values occurs, some hundred and sixty; the same in every process. */
export const legalChoices: readonly Choice[] = coverPairs();

/** Their selectors, every part written. */
export const legalSelectors: readonly string[] = legalChoices.map(selectorOf);

/** One selector for each similarity, with parts that differ from one to the next: for slow backends and quick looks. */
export const oneSelectorEach: readonly string[] = values.similarity.map((similarity) =>
  selectorOf(legalChoices.find((choice) => choice.similarity === similarity)!),
);

function coverPairs(): readonly Choice[] {
  const stream = random("pairwise");
  const complete = (pair: Partial<Choice>): Choice =>
    Object.fromEntries(
      kinds.map((kind) => [kind, pair[kind] ?? values[kind][stream.integer(values[kind].length)]]),
    ) as Choice;
  const keyOf = (pair: Partial<Choice>): string =>
    kinds.flatMap((kind) => (pair[kind] === undefined ? [] : [`${kind}=${pair[kind]}`])).join(" ");
  const keysOf = (choice: Choice): readonly string[] =>
    kinds.flatMap((a, i) => kinds.slice(i + 1).map((b) => keyOf({ [a]: choice[a], [b]: choice[b] })));
  const pairs = legalPairs();
  const uncovered = new Set(pairs.map(keyOf));
  const gainOf = (choice: Choice): number => keysOf(choice).filter((key) => uncovered.has(key)).length;
  const chosen: Choice[] = [];
  for (const pair of pairs) {
    if (!uncovered.has(keyOf(pair))) continue;
    const candidates: Choice[] = [];
    while (candidates.length < competitors) {
      const choice = complete(pair);
      if (expectedClash(choice) === undefined) candidates.push(choice);
    }
    const best = candidates.reduce((a, b) => (gainOf(b) > gainOf(a) ? b : a));
    for (const key of keysOf(best)) uncovered.delete(key);
    chosen.push(best);
  }
  return chosen;
}
