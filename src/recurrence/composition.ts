/** @file A recurrence as somebody writes it, and the parts of an attention that make no sense with it. */
import { UnsupportedError } from "../base/errors.ts";
import { type Part, printPart } from "../base/part.ts";
import { type Pattern } from "../patterns/index.ts";
import { type Position, type RotaryPosition } from "../positions/index.ts";
import { type RecurrentRule } from "./rule.ts";

/** What somebody writes. */
export interface RecurrenceSpec {
  /** How the state is updated and read. */
  readonly rule: RecurrentRule;
  /** `causal()`, which every rule is when absent, or `full()`, where every query sees all tokens. */
  readonly pattern?: Pattern | readonly Pattern[];
  /** `rope()`: queries and keys are turned by their places before the rule sees them. */
  readonly position?: Position;
}

/** A complete recurrence. */
export interface RecurrenceComposition {
  readonly rule: RecurrentRule;
  /** What turns queries and keys. */
  readonly position?: RotaryPosition;
  /** Whether every query sees all tokens. */
  readonly whole: boolean;
}

/** Parts of an attention that a selector may name beside a rule. */
export interface OtherParts {
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
  const { rule, position } = spec;
  const rotation = position?.place === "rotation" ? position : undefined;
  if (rotation !== undefined) requireTurnable(rule, rotation);
  else if (position !== undefined && !isNothing(position)) {
    refuse(
      "position",
      position,
      rule,
      "order enters a state by its updates",
      "Drop it, or use rope where there are queries",
    );
  }
  for (const kind of ["selection", "normaliser", "aggregation"] as const) {
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
  return { rule, ...(rotation === undefined ? {} : { position: rotation }), whole };
}

/** Whether a rule can be given queries and keys that are turned. */
export function isTurnable(rule: RecurrentRule, rotation: RotaryPosition): boolean {
  return whyNotTurned(rule, rotation) === undefined;
}

/** Nothing without queries, nor with other numbers for the two coordinates of a pair; and no scale that depends on the length. */
function whyNotTurned(rule: RecurrentRule, rotation: RotaryPosition): string | undefined {
  const uneven = rule.inputs.find(
    ({ name, extents }) => !["q", "k", "v", "state"].includes(name) && extents.endsWith("D]"),
  );
  if (!rule.inputs.some(({ name }) => name === "q")) return "it has no queries to turn";
  if (uneven !== undefined)
    return `a rotation mixes two coordinates, and '${uneven.name}' has one number for each`;
  if (rotation.decay !== undefined)
    return "xpos scales by the length of the whole, which a state does not know";
  return undefined;
}

function requireTurnable(rule: RecurrentRule, rotation: RotaryPosition): void {
  const reason = whyNotTurned(rule, rotation);
  if (reason === undefined) return;
  refuse(
    "position",
    rotation,
    rule,
    reason,
    "Drop it, or use linear, performer, retnet, deltanet or gated-deltanet with a rope that only turns",
  );
}

/**
 * A recurrence as its selector.
 *
 * @example
 * ```ts
 * import { parseRecurrence, printRecurrence } from "qklab";
 * printRecurrence(parseRecurrence("rwkv6:chunk=64+causal")); // "rwkv6:chunk=64"
 * ```
 */
export function printRecurrence({ rule, position, whole }: RecurrenceComposition): string {
  const parts = [rule, ...(position === undefined ? [] : [position])].map(printPart);
  return [...parts, ...(whole ? ["full"] : [])].join("+");
}

/** Why each kind of part does not fit, and what to do. */
const cures = {
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
