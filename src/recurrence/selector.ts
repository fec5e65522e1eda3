/**
 * @file Selectors of the recurrent class: `rule[:option=value…][+rope][+full]`, beside those of attentions. Parsing and printing
 * are inverse; `+causal` may be written and says what is so anyway.
 */
import { firstName, parseSelector, readSelector, type SelectedParts } from "../attention/selector.ts";
import { similarities } from "../similarities/index.ts";
import { DomainError } from "../base/errors.ts";
import { didYouMean } from "../base/options.ts";
import { composeRecurrence, type RecurrenceComposition } from "./composition.ts";
import { recurrences } from "./recurrences.ts";
import { type RecurrentRule } from "./rule.ts";

/**
 * Reads a selector such as `linear:map=elu1`, `linear:map=hedgehog+rope:theta=1000000`, `performer:features=64,seed=3+full` or
 * `rwkv6:chunk=64`.
 *
 * @throws DomainError `unknown-part` with the nearest known names, or an option's error; UnsupportedError `clash-…` for
 *   parts that make no sense with a recurrence
 * @example
 * ```ts
 * import { parseRecurrence } from "qklab";
 * parseRecurrence("retnet").rule.name; // "retnet"
 * ```
 */
export function parseRecurrence(selector: string): RecurrenceComposition {
  const { first, patterns, ...others } = readSelector(selector, recurrences, "rule of the recurrent class");
  return composeRecurrence({ rule: first as RecurrentRule, pattern: patterns, ...others });
}

/** What a selector of either class names. */
export type AnySelected =
  | { readonly kind: "attention"; readonly parts: SelectedParts }
  | { readonly kind: "recurrence"; readonly composition: RecurrenceComposition };

/**
 * Reads a selector of an attention or of a recurrence.
 *
 * @throws DomainError `unknown-part` with the nearest names of both, and what {@link parseSelector} and
 *   {@link parseRecurrence} throw
 */
export function parseAnySelector(selector: string): AnySelected {
  const name = firstName(selector);
  const [rules, comparing] = [recurrences, similarities].map((factories) =>
    factories.map(({ definition }) => definition.selector),
  );
  if (rules.includes(name)) return { kind: "recurrence", composition: parseRecurrence(selector) };
  if (comparing.includes(name)) return { kind: "attention", parts: parseSelector(selector) };
  throw new DomainError(
    "unknown-part",
    `Cannot read '${selector}' as it must begin with a known similarity or rule of the recurrent class: '${name}'. ` +
      didYouMean(name, [...comparing, ...rules]),
  );
}
