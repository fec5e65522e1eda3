/** @file Random selectors, of parts that may clash: of every value that a selector can hold, or of values that people use. */
import fc from "fast-check";

/** Where the numbers of options come from, as text. */
interface Numbers {
  /** Values of positive parameters, `learned` among them. */
  readonly positives: fc.Arbitrary<string>;
  /** Values of curvatures. */
  readonly curvatures: fc.Arbitrary<string>;
  /** Values of parameters of any sign. */
  readonly reals: fc.Arbitrary<string>;
  /** Lengths in places. */
  readonly places: fc.Arbitrary<string>;
  /** Hidden units. */
  readonly hidden: fc.Arbitrary<string>;
  /** Lists of blocks. */
  readonly blockLists: fc.Arbitrary<string>;
  /** `block` and `columns` of fixed, columns no more than the block. */
  readonly fixed: Readonly<Record<"block" | "columns", fc.Arbitrary<string>>>;
  readonly members: fc.Arbitrary<string>;
}

/** Arbitrary parts by kind. */
type Parts = Readonly<
  Record<
    "similarity" | "position" | "pattern" | "selection" | "normaliser" | "aggregation",
    fc.Arbitrary<string>
  >
>;

/** A selector's part: its name and some of these options. */
function part(
  name: string,
  options: Readonly<Record<string, fc.Arbitrary<string>>> = {},
  needed = false,
): fc.Arbitrary<string> {
  return fc
    .record(options, needed ? {} : { requiredKeys: [] })
    .map((chosen) => Object.entries(chosen).map(([option, value]) => `${option}=${value}`))
    .map((written) => (written.length === 0 ? name : `${name}:${written.join(",")}`));
}

function partsOf({
  positives,
  curvatures,
  reals,
  places,
  hidden,
  blockLists,
  fixed,
  members,
}: Numbers): Parts {
  const beta = { beta: fc.oneof(positives, fc.constant("auto")) };
  const layout = fc.constantFrom("half", "interleaved");
  return {
    similarity: fc.oneof(
      part("dot", { scale: positives }),
      part("l2", beta),
      part("rbf", { sigma: positives }),
      part("l1", beta),
      part("cauchy", { ...beta, tau: positives }),
      part("cosine", beta),
      part("cosine", { tau: positives }),
      part("lorentz", { ...beta, c: curvatures }),
      part("lorentz-distance", { ...beta, c: curvatures }),
      part("poincare", { ...beta, c: curvatures }),
      part("complex", { scale: positives, part: fc.constantFrom("re", "im", "abs") }),
      part("tropical", beta),
      part("mahalanobis", { ...beta, m: positives }),
      part("product", { members }, true),
    ),
    position: fc.oneof(
      part("nope"),
      part("alibi"),
      part("learned"),
      part("sinusoidal", { theta: positives.filter((value) => value !== "learned") }),
      part("log-cpb", { window: fc.integer({ min: 2, max: 99 }).map(String), hidden }),
      part("rope", {
        theta: fc.constantFrom("100", "500000"),
        layout,
        dims: fc.constantFrom("2", "8"),
      }),
      part("rope", { scaling: fc.constantFrom("pi", "ntk"), factor: fc.constantFrom("2", "8.5") }, true),
      part(
        "rope",
        { scaling: fc.constant("yarn"), factor: fc.constantFrom("4"), original: places, layout },
        true,
      ),
      part("rope", { scaling: fc.constant("xpos"), layout }, true),
    ),
    pattern: fc.oneof(
      part("full"),
      part("causal"),
      part("window", { w: places }, true),
      part("strided", { stride: places, local: places }, true),
      part("fixed", fixed, true),
      part("fixed", { ...fixed, part: fc.constant("columns") }, true),
      part("block", { size: places, list: blockLists }, true),
    ),
    selection: fc.oneof(part("all"), part("topk", { k: places }, true)),
    normaliser: fc.oneof(
      part("softmax", { sink: reals }),
      part("sigmoid", { bias: reals }),
      part("none", { map: fc.constantFrom("identity", "exp") }),
    ),
    aggregation: fc.oneof(part("mean"), part("maxplus"), part("centroid", { c: curvatures })),
  };
}

const anyPositive = fc.oneof(
  fc.constantFrom("learned", "1", "2", "0.5", "1e-7", "1e+21", "123456.789"),
  fc.double({ min: 1e-6, max: 1e6, noNaN: true }).map(String),
);
const upTo = (largest: number): fc.Arbitrary<string> => fc.integer({ min: 1, max: largest }).map(String);

const anyParts = partsOf({
  positives: anyPositive,
  curvatures: anyPositive,
  reals: fc.oneof(anyPositive, fc.double({ min: -50, max: 50, noNaN: true }).map(String)),
  places: upTo(4096),
  hidden: upTo(4096),
  blockLists: fc.constantFrom("0-0", "0-0/1-0/1-1"),
  fixed: { block: fc.constant("64"), columns: fc.constantFrom("1", "64") },
  members: fc.constantFrom("l2/dot", "l1/poincare(c=2;beta=learned)/cosine(tau=0.1)"),
});

/** Selections that choose by the vectors, which ask for patterns and places of their own. */
const choices = fc.oneof(
  part(
    "lsh",
    { buckets: fc.constantFrom("1", "2", "64"), rounds: upTo(8), chunk: upTo(4096), seed: upTo(99) },
    true,
  ),
  part("moba", { block: upTo(4096), k: upTo(64) }, true),
);

/** A similarity with some of its options. */
export const anySimilarity: fc.Arbitrary<string> = anyParts.similarity;
/** A pattern with its options. */
export const anyPattern: fc.Arbitrary<string> = anyParts.pattern;

/** Selectors of all parts in any order, each but the similarity and a pattern there or not. */
export const selectors: fc.Arbitrary<string> = selectorsOf(
  { ...anyParts, selection: fc.oneof(anyParts.selection, choices) },
  { mostPatterns: 3 },
);

/** Numbers of these tenths, which read well and lose nothing in print. */
const tenths = (smallest: number, largest: number): fc.Arbitrary<string> =>
  fc.integer({ min: 10 * smallest, max: 10 * largest }).map((whole) => String(whole / 10));

const orLearned = (numbers: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.oneof({ weight: 1, arbitrary: fc.constant("learned") }, { weight: 2, arbitrary: numbers });

const blockPairs = fc
  .uniqueArray(fc.tuple(fc.nat({ max: 6 }), fc.nat({ max: 6 })), { minLength: 1, maxLength: 14 })
  .map((pairs) => pairs.map((pair) => pair.join("-")).join("/"));

/** Parts whose numbers keep the scores of queries and keys of norm about 1 inside float32. */
const usualParts = partsOf({
  positives: orLearned(tenths(0.2, 4)),
  curvatures: orLearned(tenths(0.2, 1.5)),
  reals: orLearned(tenths(-4, 4)),
  places: fc.oneof(upTo(8), upTo(80)),
  hidden: upTo(9),
  blockLists: blockPairs,
  fixed: { block: fc.constantFrom("7", "16", "33", "64"), columns: fc.constantFrom("1", "2", "5") },
  members: fc
    .array(
      fc.constantFrom(
        "dot",
        "l2(beta=learned)",
        "l1",
        "cosine(tau=0.5)",
        "tropical",
        "complex(part=abs)",
        "lorentz",
        "lorentz-distance(c=2)",
        "poincare(c=0.5;beta=learned)",
        "cauchy(tau=2)",
        "rbf(sigma=learned)",
      ),
      { minLength: 2, maxLength: 4 },
    )
    .map((members) => members.join("/")),
});

const usualChoices = fc.oneof(
  part(
    "lsh",
    { buckets: fc.constantFrom("1", "2", "4", "6"), rounds: upTo(4), chunk: upTo(40), seed: upTo(9) },
    true,
  ),
  part("moba", { block: upTo(40), k: upTo(4) }, true),
);

/** Selectors of everyday numbers; the similarity may be replaced by the names given. */
export function usualSelectors(
  similarities: fc.Arbitrary<string> = usualParts.similarity,
): fc.Arbitrary<string> {
  const selection = fc.oneof(usualParts.selection, usualChoices);
  return selectorsOf({ ...usualParts, selection, similarity: similarities }, { mostPatterns: 2 });
}

function selectorsOf(
  parts: Parts,
  { mostPatterns }: { readonly mostPatterns: number },
): fc.Arbitrary<string> {
  const optional = (text: fc.Arbitrary<string>): fc.Arbitrary<string | undefined> =>
    fc.option(text, { nil: undefined });
  return fc
    .tuple(
      parts.similarity,
      fc.array(parts.pattern, { minLength: 1, maxLength: mostPatterns }),
      optional(parts.position),
      optional(parts.selection),
      optional(parts.normaliser),
      optional(parts.aggregation),
    )
    .chain(([first, patterns, ...others]) =>
      fc
        .shuffledSubarray([...patterns, ...others.filter((text) => text !== undefined)], {
          minLength: patterns.length,
        })
        .map((rest) => [first, ...rest].join("+")),
    );
}
