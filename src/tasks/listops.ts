/**
 * @file ListOps (Nangia & Bowman 2018; Tay et al. 2021, Long Range Arena): nested operations on digits, `[MAX 2 [MIN 9 3 ] 5 ]`,
 * whose value is a digit. What must be attended to is decided by a hierarchy of brackets.
 */
import { DomainError } from "../base/errors.ts";
import { type Random } from "../base/random.ts";
import { type LabelledTokens } from "./labelled-tokens.ts";
import { requireWhole } from "./whole-number.ts";

/** The operations: MED is the median, for an even count the mean of the middle two rounded down; SM the sum modulo 10. */
export type ListopsOperation = "MIN" | "MAX" | "MED" | "SM" | "FIRST" | "LAST";

const operations: Readonly<Record<ListopsOperation, (digits: readonly number[]) => number>> = {
  MIN: (digits) => Math.min(...digits),
  MAX: (digits) => Math.max(...digits),
  MED: (digits) => {
    const sorted = [...digits].sort((a, b) => a - b);
    return Math.floor((sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2);
  },
  SM: (digits) => digits.reduce((sum, digit) => sum + digit, 0) % 10,
  FIRST: (digits) => digits[0],
  LAST: (digits) => digits[digits.length - 1],
};

/** The operations of the Long Range Arena, which sequences are made of. */
const arenaOperations: readonly ListopsOperation[] = ["MIN", "MAX", "MED", "SM"];

/** The words by token: digits first, so that an answer's token is the answer. Padding comes after the question only. */
export const listopsWords: readonly string[] = [
  ...Array.from({ length: 10 }, (_, digit) => `${digit}`),
  ...arenaOperations.map((name) => `[${name}`),
  "]",
  "=",
  "·",
];

const [CLOSE, ASK, PADDING] = [-3, -2, -1].map((end) => listopsWords.length + end);
const isOperation = (word: string): word is `[${ListopsOperation}` =>
  word.startsWith("[") && Object.hasOwn(operations, word.slice(1));

/**
 * The value of an expression, with or without the parentheses of the original data, which show its tree and change nothing.
 *
 * @param expression - words divided by white space
 * @returns a digit
 * @throws DomainError `listops-syntax`
 * @example
 * ```ts
 * import { evaluateListops } from "qklab/tasks";
 * evaluateListops("[MAX 2 [MED 9 3 4 ] 1 ]"); // 4
 * ```
 */
export function evaluateListops(expression: string): number {
  const words = expression.split(/\s+/).filter((word) => !["", "(", ")"].includes(word));
  const open: { readonly word: `[${ListopsOperation}`; readonly digits: number[] }[] = [];
  let value: number | undefined;
  for (const word of words) {
    if (value !== undefined) throw syntaxError(`'${word}' stands after its end`);
    if (isOperation(word)) {
      open.push({ word, digits: [] });
      continue;
    }
    let result = Number(word);
    if (word === "]") {
      const last = open.pop();
      if (last === undefined) throw syntaxError("a ']' closes nothing");
      if (last.digits.length === 0) throw syntaxError(`${last.word} has no argument`);
      result = operations[last.word.slice(1) as ListopsOperation](last.digits);
    } else if (!/^\d$/.test(word)) throw syntaxError(`'${word}'`);
    if (open.length === 0) value = result;
    else open[open.length - 1].digits.push(result);
  }
  if (value === undefined) {
    throw syntaxError(open.length === 0 ? "nothing" : `${open[open.length - 1].word} is not closed`);
  }
  return value;
}

function syntaxError(seen: string): DomainError {
  return new DomainError(
    "listops-syntax",
    "Cannot evaluate an expression as it must be a digit or a closed operation, " +
      `${Object.keys(operations)
        .map((name) => `[${name}`)
        .join(", ")}, on expressions: ${seen}. Mend it`,
  );
}

/** Settings of ListOps; the Long Range Arena has depth 10, arguments 10 and lengths of 500 to 2,000. */
export interface ListopsSettings {
  /** Largest nesting of operations. */
  readonly depth: number;
  /** Largest number of arguments of an operation; at least 2 are drawn. */
  readonly arguments: number;
  /** Least and largest number of words of an expression. */
  readonly minimumLength: number;
  readonly maximumLength: number;
  /** B */
  readonly batch: number;
}

/** A batch of ListOps. */
export interface ListopsBatch extends LabelledTokens {
  /** The nesting of each expression's operations, [B]. */
  readonly depths: Int32Array;
}

/** How likely an argument is an operation, where it may be one. */
const OPERATION_SHARE = 0.25;

/**
 * A batch of ListOps: an expression, `=`, which asks for its value, and padding, which a causal model never sees. An argument
 * is an operation with probability ¼ until the largest depth, otherwise a digit, as in the Long Range Arena; what is too short
 * or too long is drawn again.
 *
 * @param settings - sizes
 * @param rng - `random(seed, "listops", split, step)`
 * @returns tokens [B, maximumLength + 1] as places in {@link listopsWords}; positions, targets and depths [B, 1]
 * @throws DomainError `bad-setting` or `listops-length`
 * @example
 * ```ts
 * import { random } from "qklab";
 * import { evaluateListops, listopsTokens, listopsWords } from "qklab/tasks";
 * const settings = { depth: 3, arguments: 4, minimumLength: 5, maximumLength: 30, batch: 1 };
 * const { tokens, positions, targets } = listopsTokens(settings, random(1, "listops", "train", 0));
 * const words = [...tokens.slice(0, positions[0])].map((token) => listopsWords[token]);
 * evaluateListops(words.join(" ")) === targets[0]; // true
 * ```
 */
export function listopsTokens(settings: ListopsSettings, rng: Random): ListopsBatch {
  checkSettings(settings);
  const { batch, maximumLength } = settings;
  const length = maximumLength + 1;
  const tokens = new Int32Array(batch * length).fill(PADDING);
  const positions = new Int32Array(batch);
  const targets = new Int32Array(batch);
  const depths = new Int32Array(batch);
  for (let sequence = 0; sequence < batch; sequence++) {
    const { words, value, depth } = drawFitting(settings, rng);
    tokens.set([...words, ASK], sequence * length);
    positions[sequence] = words.length;
    targets[sequence] = value;
    depths[sequence] = depth;
  }
  return { tokens, batch, positions, targets, depths };
}

interface Drawn {
  readonly words: readonly number[];
  readonly value: number;
  readonly depth: number;
}

/** Draws of one expression before a range of lengths counts as never met. */
const MOST_DRAWS = 100_000;

function drawFitting(settings: ListopsSettings, rng: Random): Drawn {
  const { depth, minimumLength, maximumLength } = settings;
  for (let attempt = 0; attempt < MOST_DRAWS; attempt++) {
    const words: number[] = [];
    const drawn = drawOperation(words, settings, depth, rng);
    if (words.length >= minimumLength && words.length <= maximumLength) return { words, ...drawn };
  }
  throw lengthError(settings, `none of ${MOST_DRAWS} draws has such a length`);
}

/** Appends an operation; stops where it is too long already, whatever its value. */
function drawOperation(
  words: number[],
  settings: ListopsSettings,
  depth: number,
  rng: Random,
): { readonly value: number; readonly depth: number } {
  const chosen = rng.integer(arenaOperations.length);
  words.push(10 + chosen);
  const digits: number[] = [];
  let deepest = 0;
  const count = 2 + rng.integer(settings.arguments - 1);
  for (let argument = 0; argument < count && words.length <= settings.maximumLength; argument++) {
    if (depth > 1 && rng.uniform() < OPERATION_SHARE) {
      const inner = drawOperation(words, settings, depth - 1, rng);
      digits.push(inner.value);
      deepest = Math.max(deepest, inner.depth);
    } else {
      digits.push(rng.integer(10));
      words.push(digits[argument]);
    }
  }
  words.push(CLOSE);
  return { value: operations[arenaOperations[chosen]](digits), depth: deepest + 1 };
}

/** Words of the shortest operation: itself, two digits and its end. */
const SHORTEST = 4;

function checkSettings(settings: ListopsSettings): void {
  const { depth, arguments: most, minimumLength, maximumLength, batch } = settings;
  const act = "make expressions";
  requireWhole(act, "depth", depth, 1);
  requireWhole(act, "arguments", most, 2);
  requireWhole(act, "minimumLength", minimumLength, 1);
  requireWhole(act, "maximumLength", maximumLength, SHORTEST);
  requireWhole(act, "batch", batch, 1);
  if (minimumLength > maximumLength) throw lengthError(settings, "the least is above the largest");
  let longest = 1;
  for (let level = 0; level < depth && longest < minimumLength; level++) longest = 2 + most * longest;
  if (longest < minimumLength) throw lengthError(settings, `the longest has ${longest} words`);
}

function lengthError(
  { depth, arguments: most, minimumLength, maximumLength }: ListopsSettings,
  seen: string,
): DomainError {
  return new DomainError(
    "listops-length",
    `Cannot make expressions as those of depth ≤ ${depth} with 2 to ${most} arguments must meet lengths of ${minimumLength} to ` +
      `${maximumLength} words: ${seen}. Widen the lengths, or change depth or arguments`,
  );
}
