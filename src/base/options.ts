/**
 * @file Options of the parts of an attention, as written in a selector (`topk:k=32`) or passed to a function
 * (`topk({ k: 32 })`): rules that read them and errors that name what is allowed.
 */
import { DomainError } from "./errors.ts";
import { nearestNames } from "./nearest-names.ts";

export type OptionValue = number | string;

/** Options as somebody wrote them; absent ones take their default. */
export type Options = Readonly<Record<string, OptionValue>>;

/** What one option may be. */
export interface OptionRule {
  /** The allowed values in words, for errors and for `qklab list`. */
  readonly allowed: string;
  readonly accepts: (value: OptionValue) => boolean;
  readonly required: boolean;
}

const isNumber = (value: OptionValue): value is number => typeof value === "number" && Number.isFinite(value);

/** A whole number of at least `minimum`. */
export function integerOption(minimum: number, required = false): OptionRule {
  return {
    allowed: `a whole number ≥ ${minimum}`,
    accepts: (value) => isNumber(value) && Number.isSafeInteger(value) && value >= minimum,
    required,
  };
}

/** A number, or one of the `words` (such as `learned`). */
export function numberOption(domain: "positive" | "real", ...words: readonly string[]): OptionRule {
  const number = domain === "positive" ? "a number > 0" : "a number";
  return {
    allowed: [number, ...words].join(" or "),
    accepts: (value) =>
      words.includes(String(value)) || (isNumber(value) && (domain === "real" || value > 0)),
    required: false,
  };
}

/** One of the `words`. */
export function wordOption(...words: readonly string[]): OptionRule {
  return { allowed: words.join(" or "), accepts: (value) => words.includes(String(value)), required: false };
}

/** Text that the part reads itself; `allowed` says in which form. */
export function textOption(allowed: string, required = false): OptionRule {
  return { allowed, accepts: (value) => typeof value === "string" && value.length > 0, required };
}

/**
 * Checks options against their rules and drops absent ones; keeps the order of the rules, so that equal options print
 * equally.
 *
 * @throws DomainError `unknown-option`, `missing-option` or `bad-option`
 */
export function checkOptions(
  part: string,
  rules: Readonly<Record<string, OptionRule>>,
  options: Readonly<Record<string, OptionValue | undefined>>,
): Options {
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(rules, name)) continue;
    const known = Object.keys(rules);
    throw new DomainError(
      "unknown-option",
      `Cannot make '${part}' as it has no option '${name}': ` +
        (known.length === 0
          ? "it takes none. Leave it out"
          : `it takes ${known.join(", ")}. ${didYouMean(name, known)}`),
    );
  }
  const checked: Record<string, OptionValue> = {};
  for (const [name, rule] of Object.entries(rules)) {
    const value = options[name];
    if (value === undefined) {
      if (!rule.required) continue;
      throw new DomainError(
        "missing-option",
        `Cannot make '${part}' as it needs '${name}': nothing was given. Write ${part}:${name}=… with ${rule.allowed}`,
      );
    }
    if (!rule.accepts(value)) {
      throw new DomainError(
        "bad-option",
        `Cannot make '${part}' as '${name}' must be ${rule.allowed}: ${value}. Write ${part}:${name}=… accordingly`,
      );
    }
    checked[name] = value;
  }
  return checked;
}

/** The sentence that offers the nearest known names. */
export function didYouMean(name: string, known: readonly string[]): string {
  if (known.length === 0) return "Leave it out";
  return `Did you mean ${nearestNames(name, known)
    .map((candidate) => `'${candidate}'`)
    .join(" or ")}?`;
}

/** A number when the text is one, else the text. */
export function parseNumberOrWord(text: string): OptionValue {
  return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}
