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
  mul,
  parseSelector,
  positive,
  random,
  similarity,
  type SimilarityFactory,
  sub,
} from "../../src/index.ts";

/** A similarity as a user would write it: one expression. */
export const student: SimilarityFactory<"tau"> = similarity("student", {
  inner: "dot",
  score: ({ s, q2, k2, tau }) => log1p(sub(add(q2, k2), mul(2, s)).div(tau)).neg(),
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
  selection: ["all", "topk:k=3"],
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
type Choice = Readonly<Record<Kind, string>>;
const kinds = Object.keys(values) as Kind[];

/** Similarities of which a rotation of q and k together, or of complex coordinates together, changes the score. */
const notInvariant = /^(l1|tropical|mahalanobis|product)/;
const invariantToPairsOnly = /^complex:part=(im|abs)/;
const bilinear = /^(dot|complex$|complex:part=im)/;

/**
 * The error that a combination must get, by the rules of the algebra written down a second time; nothing when it is
 * legal.
 */
export function expectedClash({
  similarity: compared,
  position,
  normaliser,
  aggregation,
}: Choice): "clash-position" | "clash-aggregation" | undefined {
  const turns = position.startsWith("rope");
  const isInterleaved = position.includes("interleaved");
  const cannotTurn =
    turns &&
    (notInvariant.test(compared) ||
      (invariantToPairsOnly.test(compared) && !isInterleaved) ||
      (position.includes("xpos") && !bilinear.test(compared)));
  if (cannotTurn) return "clash-position";
  const needsScores = aggregation === "maxplus" && normaliser !== "none";
  const needsPositive = aggregation.startsWith("centroid") && normaliser === "none";
  return needsScores || needsPositive ? "clash-aggregation" : undefined;
}

/** The selector of a choice, every part written. */
export function selectorOf(choice: Choice): string {
  return kinds.map((kind) => choice[kind]).join("+");
}

/** A selector as a complete attention; `student` is known. */
export function read(selector: string): Composition {
  const { patterns, ...parts } = parseSelector(selector, [student as never]);
  return compose({ ...parts, pattern: patterns } as unknown as AttentionSpec);
}

/** Every combination of the values, legal or not. */
export function* everyChoice(): Generator<Choice> {
  const visit = function* (chosen: Partial<Choice>, rest: readonly Kind[]): Generator<Choice> {
    const [kind, ...others] = rest;
    if (kind === undefined) yield chosen as Choice;
    else for (const value of values[kind]) yield* visit({ ...chosen, [kind]: value }, others);
  };
  yield* visit({}, kinds);
}

/** How many completions of an uncovered pair compete for the most newly covered pairs. */
const competitors = 24;

/** Legal selectors in which every legal pair of values occurs, about a hundred and fifty; the same in every process. */
export const legalSelectors: readonly string[] = coverPairs();

/** One selector for each similarity, with parts that differ from one to the next: for slow backends and quick looks. */
export const oneSelectorEach: readonly string[] = values.similarity.map(
  (compared) => legalSelectors.find((selector) => selector.startsWith(`${compared}+`))!,
);

function coverPairs(): readonly string[] {
  const stream = random("pairwise");
  const pick = <T>(from: readonly T[]): T => from[stream.integer(from.length)];
  const uncovered = new Set<string>();
  const pairsOf = (choice: Choice): string[] =>
    kinds.flatMap((a, i) => kinds.slice(i + 1).map((b) => `${a}=${choice[a]} ${b}=${choice[b]}`));
  const complete = (fixed: Partial<Choice>): Choice | undefined => {
    const choice = Object.fromEntries(kinds.map((kind) => [kind, fixed[kind] ?? pick(values[kind])])) as Choice;
    return expectedClash(choice) === undefined ? choice : undefined;
  };
  const targets = kinds.flatMap((a, i) =>
    kinds.slice(i + 1).flatMap((b) => values[a].flatMap((x) => values[b].map((y) => ({ [a]: x, [b]: y })))),
  ) as Partial<Choice>[];
  const neutral: Choice = {
    similarity: "dot:scale=learned",
    position: "nope",
    pattern: "full",
    selection: "all",
    normaliser: "softmax",
    aggregation: "mean",
  };
  const isLegalPair = (pair: Partial<Choice>): boolean =>
    values.normaliser.some((normaliser) => expectedClash({ ...neutral, normaliser, ...pair }) === undefined);
  const legalTargets = targets.filter(isLegalPair);
  const keyOf = (pair: Partial<Choice>): string =>
    Object.entries(pair)
      .map(([kind, value]) => `${kind}=${value}`)
      .join(" ");
  for (const pair of legalTargets) uncovered.add(keyOf(pair));
  const selectors: string[] = [];
  for (const pair of legalTargets) {
    if (!uncovered.has(keyOf(pair))) continue;
    let best: { choice: Choice; gain: number } | undefined;
    for (let tried = 0; tried < competitors || best === undefined; tried++) {
      const choice = complete(pair);
      if (choice === undefined) continue;
      const gain = pairsOf(choice).filter((key) => uncovered.has(key)).length;
      if (best === undefined || gain > best.gain) best = { choice, gain };
    }
    for (const key of pairsOf(best.choice)) uncovered.delete(key);
    selectors.push(selectorOf(best.choice));
  }
  return selectors;
}
