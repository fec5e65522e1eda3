/** @file Random selectors, of parts that may clash. */
import fc from "fast-check";

const positives = fc.oneof(
  fc.constantFrom("learned", "1", "2", "0.5", "1e-7", "1e+21", "123456.789"),
  fc.double({ min: 1e-6, max: 1e6, noNaN: true }).map(String),
);
const whole = fc.integer({ min: 1, max: 4096 }).map(String);
const reals = fc.oneof(positives, fc.double({ min: -50, max: 50, noNaN: true }).map(String));

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

const beta = { beta: fc.oneof(positives, fc.constant("auto")) };
/** A similarity with some of its options. */
export const anySimilarity: fc.Arbitrary<string> = fc.oneof(
  part("dot", { scale: positives }),
  part("l2", beta),
  part("rbf", { sigma: positives }),
  part("l1", beta),
  part("cauchy", { ...beta, tau: positives }),
  part("cosine", beta),
  part("cosine", { tau: positives }),
  part("lorentz", { ...beta, c: positives }),
  part("lorentz-distance", { ...beta, c: positives }),
  part("poincare", { ...beta, c: positives }),
  part("complex", { scale: positives, part: fc.constantFrom("re", "im", "abs") }),
  part("tropical", beta),
  part("mahalanobis", { ...beta, m: positives }),
  part(
    "product",
    { members: fc.constantFrom("l2/dot", "l1/poincare(c=2;beta=learned)/cosine(tau=0.1)") },
    true,
  ),
);
const anyPosition = fc.oneof(
  part("nope"),
  part("alibi"),
  part("learned"),
  part("sinusoidal", { theta: positives.filter((value) => value !== "learned") }),
  part("log-cpb", { window: fc.integer({ min: 2, max: 99 }).map(String), hidden: whole }),
  part("rope", {
    theta: fc.constantFrom("100", "500000"),
    layout: fc.constantFrom("half", "interleaved"),
    dims: fc.constantFrom("2", "8"),
  }),
  part("rope", { scaling: fc.constantFrom("pi", "ntk"), factor: fc.constantFrom("2", "8.5") }, true),
  part("rope", { scaling: fc.constant("yarn"), factor: fc.constantFrom("4"), original: whole }, true),
  part("rope", { scaling: fc.constant("xpos"), layout: fc.constantFrom("half", "interleaved") }, true),
);
/** A pattern with its options. */
export const anyPattern: fc.Arbitrary<string> = fc.oneof(
  part("full"),
  part("causal"),
  part("window", { w: whole }, true),
  part("strided", { stride: whole, local: whole }, true),
  part("fixed", { block: fc.constant("64"), columns: fc.constantFrom("1", "64") }, true),
  part("block", { size: whole, list: fc.constantFrom("0-0", "0-0/1-0/1-1") }, true),
);
const anySelection = fc.oneof(part("all"), part("topk", { k: whole }, true));
const anyNormaliser = fc.oneof(
  part("softmax", { sink: reals }),
  part("sigmoid", { bias: reals }),
  part("none", { map: fc.constantFrom("identity", "exp") }),
);
const anyAggregation = fc.oneof(part("mean"), part("maxplus"), part("centroid", { c: positives }));

/** Selectors of all parts in any order, each but the similarity and a pattern there or not. */
export const selectors: fc.Arbitrary<string> = fc
  .tuple(
    anySimilarity,
    fc.array(anyPattern, { minLength: 1, maxLength: 3 }),
    fc.option(anyPosition, { nil: undefined }),
    fc.option(anySelection, { nil: undefined }),
    fc.option(anyNormaliser, { nil: undefined }),
    fc.option(anyAggregation, { nil: undefined }),
  )
  .chain(([first, patterns, ...others]) =>
    fc
      .shuffledSubarray([...patterns, ...others.filter((text) => text !== undefined)], {
        minLength: patterns.length,
      })
      .map((rest) => [first, ...rest].join("+")),
  );
