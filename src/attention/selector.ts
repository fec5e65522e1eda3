/**
 * @file Selectors: any attention as one string, `similarity[:option=value…][+part[:option=value…]]…`, the same on the
 * command line, in URLs, configurations and file names. Parsing and printing are inverse.
 */
import { aggregations, type Aggregation } from "../aggregations/index.ts";
import { DomainError, UnsupportedError } from "../base/errors.ts";
import { didYouMean, type OptionValue, parseNumberOrWord } from "../base/options.ts";
import { type Part, type PartFactory, type PartKind, printPart } from "../base/part.ts";
import { type Normaliser, normalisers } from "../normalisers/index.ts";
import { type Pattern, patterns } from "../patterns/index.ts";
import { type Position, positions } from "../positions/index.ts";
import { type Selection, selections } from "../selections/index.ts";
import { similarities, type Similarity } from "../similarities/index.ts";
import { type AttentionSpec, type Composition } from "./composition.ts";

/** The parts that a selector names; those it leaves out are absent. */
export interface SelectedParts {
  readonly similarity: Similarity;
  readonly position?: Position;
  readonly patterns: readonly Pattern[];
  readonly selection?: Selection;
  readonly normaliser?: Normaliser;
  readonly aggregation?: Aggregation;
}

/** A part's factory without its option types, as listings and selectors use it. */
export type AnyPartFactory = PartFactory<Part, Record<string, OptionValue>>;

/** The factories of all parts, by kind, in the order of a selector. */
export const partFactories: Readonly<Record<PartKind, readonly AnyPartFactory[]>> = {
  similarity: similarities,
  position: positions,
  pattern: patterns,
  selection: selections,
  normaliser: normalisers,
  aggregation: aggregations,
};

/**
 * Reads a selector such as `cosine:beta=learned+rope:theta=10000+causal+topk:k=32`. Options are joined by `,` or `:`.
 *
 * @param selector - the similarity, then other parts in any order
 * @param own - similarities of the caller's beside the built-in ones
 * @throws DomainError `unknown-part` with the nearest known names, `repeated-part`, `bad-selector`, or an option's error;
 *   UnsupportedError `recurrent-class` for a rule of that class
 * @example
 * ```ts
 * import { parseSelector } from "qklab";
 * parseSelector("lorentz:c=1+causal").similarity.name; // "lorentz"
 * ```
 */
export function parseSelector(selector: string, own: readonly AnyPartFactory[] = []): SelectedParts {
  requirePairs(selector, own);
  const { first, ...others } = readSelector(selector, [...similarities, ...own], "similarity");
  return { similarity: first as Similarity, ...others };
}

/** The name that a selector begins with. */
export function firstName(selector: string): string {
  return selector.split(/[:+]/)[0].trim();
}

/**
 * Reads a selector that begins with one of `factories` and goes on with parts of an attention.
 *
 * @param wanted - what the factories are called in errors
 */
export function readSelector(
  selector: string,
  factories: readonly AnyPartFactory[],
  wanted: string,
): Omit<SelectedParts, "similarity"> & { readonly first: Part } {
  const [text, ...rest] = selector.split(/\+(?!\d)/);
  const first = readPart(selector, text, factories, wanted);
  const others = Object.entries(partFactories)
    .filter(([kind]) => kind !== "similarity")
    .flatMap(([, factories]) => factories);
  const parts = rest.map((part) => readPart(selector, part, others));
  const ofKind = <P extends Part>(kind: PartKind): readonly P[] =>
    parts.filter((part) => part.kind === kind) as P[];
  const single = <P extends Part>(kind: PartKind): P | undefined => {
    const [part, repeated] = ofKind<P>(kind);
    if (repeated === undefined) return part;
    throw new DomainError(
      "repeated-part",
      `Cannot read '${selector}' as an attention has one ${kind}: '${part.name}' and '${repeated.name}'. Drop one of them`,
    );
  };
  return withoutAbsent({
    first,
    position: single<Position>("position"),
    patterns: ofKind<Pattern>("pattern"),
    selection: single<Selection>("selection"),
    normaliser: single<Normaliser>("normaliser"),
    aggregation: single<Aggregation>("aggregation"),
  });
}

/** Parts left out of a selector, taken from `defaults`; what the selector names wins. */
export function completeSelector(parts: SelectedParts, defaults: Partial<SelectedParts>): AttentionSpec {
  const { patterns: chosen, ...others } = { ...defaults, ...parts };
  const pattern = parts.patterns.length > 0 ? parts.patterns : (defaults.patterns ?? chosen);
  return { ...others, pattern } as AttentionSpec;
}

/**
 * An attention as its selector; parts at their default are left out.
 *
 * @example
 * ```ts
 * import { causal, compose, dot, printSelector, window } from "qklab";
 * printSelector(compose({ similarity: dot(), pattern: [causal(), window({ w: 8 })] })); // "dot+causal+window:w=8"
 * ```
 */
export function printSelector(parts: Composition | SelectedParts): string {
  const isDefault = (part: Part, ...names: readonly string[]): boolean =>
    names.includes(part.name) && Object.keys(part.options).length === 0;
  const aggregation = parts.aggregation;
  const impliedNormaliser = aggregation?.needs === "scores" ? "none" : "softmax";
  const optional = [parts.selection, parts.normaliser, aggregation].filter((part) => part !== undefined);
  const written: readonly Part[] = [
    parts.similarity,
    ...(parts.position === undefined || isDefault(parts.position, "nope") ? [] : [parts.position]),
    ...parts.patterns,
    ...optional.filter((part) => !isDefault(part, "all", impliedNormaliser, "mean")),
  ];
  return written.map(printPart).join("+");
}

/**
 * Splits a comma list of selectors; a comma before `option=` continues the options of the selector before it.
 *
 * @example
 * ```ts
 * import { splitSelectors } from "qklab";
 * splitSelectors("dot+rope:theta=100,layout=half,l2"); // ["dot+rope:theta=100,layout=half", "l2"]
 * ```
 */
export function splitSelectors(list: string): string[] {
  return list.split(/,(?!\s*[\w-]+\s*=)/).map((selector) => selector.trim());
}

function readPart(
  selector: string,
  text: string,
  factories: readonly AnyPartFactory[],
  wantedFirst?: string,
): Part {
  const match = /^([\w-]*)(?::(.*))?$/s.exec(text.trim());
  const name = match?.[1] ?? text;
  const factory = factories.find(({ definition }) => definition.selector === name);
  if (factory === undefined) {
    const known = factories.map(({ definition }) => definition.selector);
    throw new DomainError(
      "unknown-part",
      wantedFirst === undefined
        ? `Cannot read '${selector}' as what follows its similarity must be known parts: '${name}'. ${didYouMean(name, known)}`
        : `Cannot read '${selector}' as it must begin with a known ${wantedFirst}: '${name}'. ${didYouMean(name, known)}`,
    );
  }
  return factory(readOptions(selector, match?.[2]));
}

/** The rules of the recurrent class by name, which this layer does not know but must tell from misspelt similarities. */
export const recurrentNames: readonly string[] = [
  "linear",
  "performer",
  "retnet",
  "gla",
  "deltanet",
  "gated-deltanet",
  "rwkv4",
  "rwkv5",
  "rwkv6",
  "rwkv7",
];

/** Refuses rules of the recurrent class where pairs of queries and keys are compared. */
function requirePairs(selector: string, own: readonly AnyPartFactory[]): void {
  const name = firstName(selector);
  if (!recurrentNames.includes(name) || own.some(({ definition }) => definition.selector === name)) return;
  throw new UnsupportedError(
    "recurrent-class",
    `Cannot use '${selector}' here as this takes similarities, which compare pairs: '${name}' is of the recurrent class, ` +
      "which keeps a state. Use it in recurrence(), in models and their tasks, or in the commands attend, emit, inspect and list, " +
      "or take a similarity such as dot",
  );
}

function readOptions(selector: string, text: string | undefined): Record<string, OptionValue> {
  if (text === undefined) return {};
  const pairs = text.split(/[,:]/).map((pair) => {
    const equals = pair.indexOf("=");
    if (equals <= 0 || equals === pair.length - 1) {
      throw new DomainError(
        "bad-selector",
        `Cannot read '${selector}' as an option must be written name=value: '${pair}'. Write for example topk:k=32`,
      );
    }
    return [pair.slice(0, equals).trim(), parseNumberOrWord(pair.slice(equals + 1).trim())] as const;
  });
  const names = pairs.map(([name]) => name);
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  if (repeated !== undefined) {
    throw new DomainError(
      "repeated-option",
      `Cannot read '${selector}' as an option may be given once: '${repeated}' in '${text}'. Drop one of them`,
    );
  }
  return Object.fromEntries(pairs);
}

function withoutAbsent<T extends object>(record: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
