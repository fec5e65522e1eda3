/** @file A recurrence as somebody writes it, and the parts of an attention that make no sense with it. */
import { UnsupportedError } from "../base/errors.ts";
import { type Part, printPart } from "../base/part.ts";
import { type Pattern } from "../patterns/index.ts";
import { type RecurrentRule } from "./rule.ts";

/** What somebody writes. */
export interface RecurrenceSpec {
  /** How the state is updated and read. */
  readonly rule: RecurrentRule;
  /** `causal()`, which every rule is when absent, or `full()`, where every query sees all tokens. */
  readonly pattern?: Pattern | readonly Pattern[];
}

/** A complete recurrence. */
export interface RecurrenceComposition {
  readonly rule: RecurrentRule;
  /** Whether every query sees all tokens. */
  readonly whole: boolean;
}

/** Parts of an attention that a selector may name beside a rule. */
export interface OtherParts {
  readonly position?: Part;
  readonly selection?: Part;
  readonly normaliser?: Part;
  readonly aggregation?: Part;
}

/**
 * Refuses what does not fit together.
 *
 * @throws UnsupportedError `clash-pattern`, `clash-position`, `clash-selection`, `clash-normaliser` or
 *   `clash-aggregation`, naming the cure
 */
export function composeRecurrence(spec: RecurrenceSpec & OtherParts): RecurrenceComposition {
  const { rule } = spec;
  for (const kind of ["position", "selection", "normaliser", "aggregation"] as const) {
    const part = spec[kind];
    if (part === undefined || isNothing(part)) continue;
    const [reason, cure] = cures[kind];
    refuse(kind, part, rule, reason, cure);
  }
  const patterns = [spec.pattern ?? []].flat() as readonly Pattern[];
  for (const pattern of patterns) {
    if (pattern.name === "causal") continue;
    if (pattern.name === "full" && rule.hasWhole) continue;
    if (pattern.name === "full") {
      refuse(
        "pattern",
        pattern,
        rule,
        "its state holds what came before in order",
        "Leave the pattern out, or use linear or performer",
      );
    }
    refuse(
      "pattern",
      pattern,
      rule,
      "a state cannot leave out pairs",
      "Leave the pattern out; gla, retnet and others forget by decay",
    );
  }
  const isCausal = patterns.some(({ name }) => name === "causal");
  const whole = !isCausal && patterns.some(({ name }) => name === "full");
  if (whole && rule.chunk !== undefined) {
    throw new UnsupportedError(
      "clash-chunk",
      `Cannot use '${printPart(rule)}' with 'full' as nothing is cut into chunks where every query sees all tokens: chunk is ` +
        `${rule.chunk}. Drop one of them`,
    );
  }
  return { rule, whole };
}

/** Why each kind of part does not fit, and what to do. */
const cures = {
  position: ["order enters a state by its updates", "Drop it, or turn q and k before the call"],
  selection: ["a state cannot leave out keys", "Drop it"],
  normaliser: [
    "there are no scores of pairs to normalise",
    "Drop it; linear divides by its own sum, and linear:normaliser=none by nothing",
  ],
  aggregation: ["a state is a sum of keys with values", "Drop it"],
} as const;

/** Parts that change nothing. */
function isNothing({ name, options }: Part): boolean {
  return ["nope", "all", "mean"].includes(name) && Object.keys(options).length === 0;
}

function refuse(kind: string, part: Part, rule: Part, reason: string, cure: string): never {
  throw new UnsupportedError(
    `clash-${kind}`,
    `Cannot use '${part.name}' with '${rule.name}' as ${reason}: '${rule.name}' is a recurrence. ${cure}`,
  );
}
