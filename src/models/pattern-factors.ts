/**
 * @file The two factors of the Sparse Transformer's patterns, each with about √N keys a row: what is near, and the places that stand
 * for the rest. Together they are the pattern; apart they are an attention each.
 */
import { type AnyPartFactory, parseSelector, printSelector } from "../attention/index.ts";
import { DomainError, ShapeError } from "../base/errors.ts";
import { printPart } from "../base/part.ts";
import { causal, fixed, type Pattern, strided, window } from "../patterns/index.ts";

/**
 * A selector with a `strided` or `fixed` pattern as two, with one factor of the pattern each:
 *
 * * strided: the last `local` places (`causal+window`), and every `stride`-th place before (`strided:local=1`);
 * * fixed: the own block (`columns=0`), and the last `columns` places of every block before (`part=columns`). Their union is the
 *   pattern, and no pair is in both; rows of the first block have no keys in the second.
 *
 * Child et al. 2019, Generating Long Sequences with Sparse Transformers, section 4.2.
 *
 * @param selector - of an attention
 * @param similarities - the caller's own, which the selector may name
 * @throws DomainError `pattern-factors` where no pattern of the selector has factors
 */
export function factorSelectors(
  selector: string,
  similarities: readonly AnyPartFactory[] = [],
): readonly [near: string, far: string] {
  const parts = parseSelector(selector, similarities);
  const at = parts.patterns.findIndex(hasFactors);
  if (at === -1) {
    throw new DomainError(
      "pattern-factors",
      `Cannot split '${selector}' as only strided and fixed patterns have factors: ` +
        `the pattern is ${parts.patterns.map(printPart).join("+") || "left out"}. ` +
        "Add one of them, or use merged factors",
    );
  }
  const pattern = parts.patterns[at];
  const factors = pattern.name === "strided" ? stridedFactors(pattern) : fixedFactors(pattern);
  const [near, far] = factors.map((factor) =>
    printSelector({ ...parts, patterns: parts.patterns.toSpliced(at, 1, ...factor) }),
  );
  return [near, far];
}

/** A factor has no factors itself. */
function hasFactors({ name, options }: Pattern): boolean {
  return (
    name === "strided" || (name === "fixed" && options["part"] !== "columns" && options["columns"] !== 0)
  );
}

type Factors = readonly [near: readonly Pattern[], far: readonly Pattern[]];

function stridedFactors({ options }: Pattern): Factors {
  const [stride, local] = [Number(options["stride"]), Number(options["local"])];
  return [[causal(), window({ w: local })], [strided({ stride, local: 1 })]];
}

function fixedFactors({ options }: Pattern): Factors {
  const [block, columns] = [Number(options["block"]), Number(options["columns"])];
  return [[fixed({ block, columns: 0 })], [fixed({ block, columns, part: "columns" })]];
}

/** How factors are spread, and over what. */
export interface FactorSpread<Attention> {
  /** One selector, or what is written for every layer. */
  readonly attention: string | readonly Attention[];
  readonly patternFactors: "merged" | "interleaved" | "split";
  readonly layers: number;
  readonly heads: number;
}

/** What `split` makes of a layer: half of the heads have the one factor, half the other. */
type SplitHeads = readonly { readonly selector: string; readonly heads: number }[];

/**
 * The attention of every layer, where factors of its pattern are apart; what was written where they are merged.
 *
 * @throws DomainError `decoder-factors` for a list of attentions, ShapeError `decoder-factors` for one head that is to be split
 */
export function spreadFactors<Attention>(
  { attention, patternFactors: factors, layers, heads }: FactorSpread<Attention>,
  similarities: readonly AnyPartFactory[],
): string | readonly (Attention | string | SplitHeads)[] {
  if (factors === "merged") return attention;
  if (typeof attention !== "string") {
    throw new DomainError(
      "decoder-factors",
      `Cannot use ${factors} factors as they spread one selector over all layers: a list of ${attention.length} is given. ` +
        "Pass one selector, or write the factors into the list",
    );
  }
  if (factors === "split" && heads === 1) {
    throw new ShapeError(
      "decoder-factors",
      "Cannot use split factors as each has heads of its own: 1 head. Use two at least, or interleaved factors",
    );
  }
  const [near, far] = factorSelectors(attention, similarities);
  const half = Math.floor(heads / 2);
  const split = [
    { selector: near, heads: heads - half },
    { selector: far, heads: half },
  ];
  return Array.from({ length: layers }, (_, layer) =>
    factors === "split" ? split : layer % 2 === 0 ? near : far,
  );
}
