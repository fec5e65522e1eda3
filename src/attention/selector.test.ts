import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { anyPattern, anySimilarity, selectors } from "../../test/arbitrary-selector.ts";
import {
  type AttentionSpec,
  compose,
  type Composition,
  completeSelector,
  type Part,
  parseSelector,
  partFactories,
  positive,
  printSelector,
  similarity,
  splitSelectors,
} from "../index.ts";
import { recurrentNames } from "./selector.ts";

const code = (expected: string, name = "DomainError"): unknown =>
  expect.objectContaining({ name, code: expected });

/** A selector as a complete attention. */
function read(selector: string): Composition {
  const { patterns, ...parts } = parseSelector(selector);
  return compose({ ...parts, pattern: patterns } as unknown as AttentionSpec);
}

/** What makes two attentions the same: kinds, names and options of their parts. */
const essence = (composition: Composition): unknown =>
  Object.values(composition)
    .flat()
    .map(({ kind, name, options }: Part) => ({ kind, name, options }));

/** A legal selector's attention; a clash discards the run. */
function readLegal(selector: string): Composition {
  try {
    return read(selector);
  } catch (error) {
    fc.pre(!/^(clash-|missing-pattern)/.test((error as { code?: string }).code ?? ""));
    throw error;
  }
}

describe("parsing and printing are inverse", () => {
  test("for every legal attention", () => {
    fc.assert(
      fc.property(selectors, (selector) => {
        const composition = readLegal(selector);
        const printed = printSelector(composition);
        expect(essence(read(printed))).toEqual(essence(composition));
        expect(printSelector(read(printed))).toBe(printed);
      }),
      { seed: 1, numRuns: 1000 },
    );
  });

  test("for parts that a selector leaves out", () => {
    fc.assert(
      fc.property(anySimilarity, fc.array(anyPattern, { maxLength: 2 }), (first, patterns) => {
        const selector = [first, ...patterns].join("+");
        const parts = parseSelector(selector);
        expect(parseSelector(printSelector(parts))).toMatchObject({
          patterns: parts.patterns.map(({ name }) => ({ name })),
        });
        expect(printSelector(parseSelector(printSelector(parts)))).toBe(printSelector(parts));
      }),
      { seed: 2, numRuns: 200 },
    );
  });

  test.each([
    "l2+causal",
    "cosine:tau=learned+causal",
    "dot+rope:theta=10000+causal",
    "lorentz:c=1+full+centroid",
    "dot+causal+topk:k=32",
    "product:members=l2/poincare(c=2)/cosine,weights=auto+causal",
    "tropical+full+maxplus",
    "dot+causal+window:w=8+none:map=exp",
  ])("%s prints as it is written", (selector) => {
    expect(printSelector(read(selector))).toBe(selector);
  });

  test.each([
    ["dot+causal+all+softmax+mean+nope", "dot+causal"],
    ["dot+topk:k=2+causal+alibi", "dot+alibi+causal+topk:k=2"],
    ["tropical+full+none+maxplus", "tropical+full+maxplus"],
    ["dot+rope:layout=half:theta=100+full", "dot+rope:theta=100,layout=half+full"],
    [" dot:scale = 2 + causal ", "dot:scale=2+causal"],
    ["l2:beta=1e3+full", "l2:beta=1000+full"],
  ])("%s prints as %s", (selector, printed) => {
    expect(printSelector(read(selector))).toBe(printed);
  });
});

describe("the strings of interface.md", () => {
  test.each([
    "l2",
    "cosine:tau=learned",
    "dot+rope:theta=10000+causal",
    "lorentz:c=1+centroid",
    "dot+topk:k=32",
  ])("%s", (selector) => {
    expect(printSelector(parseSelector(selector))).toBe(selector);
  });
});

describe("comma lists", () => {
  test("a comma before an option continues the selector before it", () => {
    expect(splitSelectors("dot,l2,cosine")).toEqual(["dot", "l2", "cosine"]);
    expect(splitSelectors("dot+rope:theta=100,layout=half,l2 , cosine:beta=2")).toEqual([
      "dot+rope:theta=100,layout=half",
      "l2",
      "cosine:beta=2",
    ]);
    expect(splitSelectors("dot+rope:theta=100, layout=half")).toEqual(["dot+rope:theta=100, layout=half"]);
  });

  test("joined selectors come apart again", () => {
    fc.assert(
      fc.property(fc.array(selectors, { minLength: 1, maxLength: 4 }), (list) => {
        expect(splitSelectors(list.join(","))).toEqual(list);
      }),
      { seed: 3, numRuns: 200 },
    );
  });
});

describe("completing a selector", () => {
  test("what it names wins over the defaults", () => {
    const defaults = parseSelector("dot+rope+causal+topk:k=4");
    const spec = completeSelector(parseSelector("l2+alibi"), defaults);
    expect(printSelector(compose(spec))).toBe("l2+alibi+causal+topk:k=4");
    const windowed = completeSelector(parseSelector("l2+full"), defaults);
    expect(printSelector(compose(windowed))).toBe("l2+rope+full+topk:k=4");
  });

  test("without a pattern anywhere there is none, which compose refuses", () => {
    const spec = completeSelector(parseSelector("l2"), {});
    expect(() => compose(spec)).toThrow(code("missing-pattern", "UnsupportedError"));
  });
});

describe("a similarity of one's own", () => {
  const mine = similarity("mine", {
    inner: "l1",
    score: ({ s, tau }) => s.div(tau).neg(),
    params: { tau: positive(1) },
  });

  test("is read when it is passed", () => {
    const parts = parseSelector("mine:tau=2+causal", [mine]);
    expect(printSelector(parts)).toBe("mine:tau=2+causal");
    expect(() => parseSelector("mine+causal")).toThrow(code("unknown-part"));
  });
});

describe("errors", () => {
  test.each([
    {
      selector: "cosin+causal",
      code: "unknown-part",
      says: /begin with a known similarity: 'cosin'.*'cosine'/,
    },
    { selector: "causal+dot", code: "unknown-part", says: /begin with a known similarity: 'causal'/ },
    { selector: "dot+casual", code: "unknown-part", says: /known parts: 'casual'. Did you mean 'causal'/ },
    { selector: "dot+dot", code: "unknown-part", says: /known parts: 'dot'/ },
    { selector: "dot++causal", code: "unknown-part", says: /known parts: ''/ },
    { selector: "", code: "unknown-part", says: /begin with a known similarity/ },
    { selector: "dot+rope+alibi", code: "repeated-part", says: /one position: 'rope' and 'alibi'/ },
    { selector: "dot+softmax+sigmoid", code: "repeated-part", says: /one normaliser/ },
    { selector: "dot+topk", code: "missing-option", says: /needs 'k'.*topk:k=…/ },
    { selector: "dot+topk:32", code: "bad-selector", says: /name=value: '32'/ },
    { selector: "dot+topk:k=", code: "bad-selector", says: /name=value/ },
    { selector: "dot+topk:", code: "bad-selector", says: /name=value: ''/ },
    { selector: "dot+topk:k=2,k=3", code: "repeated-option", says: /once: 'k'/ },
    { selector: "dot+topk:k=0", code: "bad-option", says: /whole number ≥ 1: 0/ },
    { selector: "dot+topk:k=x", code: "bad-option", says: /whole number ≥ 1: x/ },
    { selector: "dot+topk:n=3", code: "unknown-option", says: /no option 'n'.*'k'/ },
    { selector: "dot+causal:w=3", code: "unknown-option", says: /it takes none/ },
    { selector: "dot:__proto__=1", code: "unknown-option", says: /__proto__/ },
    { selector: "dot+constructor", code: "unknown-part", says: /'constructor'/ },
    { selector: "dot+block:size=4,list=0", code: "bad-option", says: /pairs of block numbers/ },
    { selector: "dot+block:size=4,list=0-0-0", code: "block-list", says: /0-0\/1-0\/1-1/ },
    { selector: "dot\n+causal\u0000", code: "unknown-part", says: /known parts/ },
  ])("'$selector' is $code", ({ selector, code: expected, says }) => {
    expect(() => parseSelector(selector)).toThrow(code(expected));
    expect(() => parseSelector(selector)).toThrow(says);
  });

  test("rules of the recurrent class are told from misspelt similarities", () => {
    for (const name of recurrentNames) {
      const thrown = expect.objectContaining({ name: "UnsupportedError", code: "recurrent-class" });
      expect(() => parseSelector(`${name}+causal`)).toThrow(thrown);
    }
  });

  test("whatever is written, the answer is parts or an error with a code", () => {
    const characters = fc.constantFrom(...Array.from("dotl2cauchy+:,=;/()-_. 019e\n"));
    const text = fc.oneof(fc.string({ unit: characters, maxLength: 40 }), fc.string({ maxLength: 20 }));
    fc.assert(
      fc.property(text, (selector) => {
        try {
          expect(parseSelector(selector).similarity.kind).toBe("similarity");
        } catch (error) {
          expect(error).toMatchObject({
            name: expect.stringMatching(/^(Domain|Unsupported|Shape)Error$/),
            code: expect.any(String),
          });
        }
      }),
      { seed: 4, numRuns: 2000 },
    );
  });

  test("every error names a next step", () => {
    const factories = Object.values(partFactories).flat();
    expect(new Set(factories.map(({ definition }) => definition.selector)).size).toBe(factories.length);
    for (const { definition } of factories) {
      const misspelt = `${definition.selector}x`;
      const selector = definition.kind === "similarity" ? misspelt : `dot+${misspelt}`;
      expect(() => parseSelector(selector)).toThrow(`'${definition.selector}'`);
    }
  });
});
