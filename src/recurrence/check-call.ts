/** @file The inputs of one call of a recurrence: named tensors, checked against what its rule takes. */
import { DomainError, ShapeError } from "../base/errors.ts";
import { didYouMean } from "../base/options.ts";
import { requireFinite, sizeOf, type Tensor, type Tensor64, widen } from "../base/tensor.ts";
import { resolveValues } from "../attention/parameters.ts";
import { printRecurrence, type RecurrenceComposition } from "./composition.ts";
import {
  type InputName,
  inputNames,
  type RecurrentRule,
  type RuleCall,
  type RuleGradients,
  type RuleInput,
  type RuleInputs,
  type RuleSizes,
} from "./rule.ts";
import { turned } from "./turned-inputs.ts";

/** Everything that one call of a recurrence reads; which of them a rule takes, its `inputs` say. */
export interface RecurrenceInputs<T = Tensor | Tensor64> {
  /** Queries, [B, H, N, D]. */
  readonly q?: T;
  /** Keys, [B, G, N, D], G dividing H. */
  readonly k: T;
  /** Values, [B, G, N, E]. */
  readonly v: T;
  /** What is kept of the state, in (0, 1). */
  readonly decay?: T;
  /** Its logarithm, in place of `decay`. */
  readonly logDecay?: T;
  /** Strength of a write, in [0, 1]. */
  readonly beta?: T;
  /** Strength of a removal, in [0, 1]. */
  readonly a?: T;
  /** Direction of a removal. */
  readonly kappa?: T;
  /** How far `a` scales what is written. */
  readonly ka?: T;
  /** Bonus of a token for itself. */
  readonly u?: T;
  /** The state before the first token, as an earlier call returned it. */
  readonly state?: T;
  /** Values of parameters by name; those left out take their initial value. */
  readonly parameters?: Readonly<Record<string, T>>;
}

/**
 * The call that a rule computes from, in f64. Gradients that the rule gives are those of queries and keys that are turned, where
 * places turn them; {@link givenGradients} turns them back.
 *
 * @param offset - the place of the first token: how many came before it (default 0); only a rope reads it
 * @throws ShapeError, DomainError or NumbersError for inputs that do not fit
 */
export function checkCall(
  composition: RecurrenceComposition,
  given: RecurrenceInputs,
  offset?: number,
): RuleCall {
  const { rule, position, whole } = composition;
  const { parameters = {}, ...tensors } = given;
  requireOffset(composition, offset);
  const present = Object.entries(tensors) as [InputName, Tensor | Tensor64 | undefined][];
  const inputs = Object.fromEntries(present.filter(([, tensor]) => tensor !== undefined)) as Partial<
    Record<InputName, Tensor | Tensor64>
  >;
  requireKnown(rule, Object.keys(inputs));
  for (const input of rule.inputs) requireNeeded(rule, input, inputs);
  const sizes = sizesOf(rule, inputs, whole);
  const wide: Partial<Record<InputName, Tensor64>> = {};
  for (const input of rule.inputs) {
    const tensor = inputs[input.name];
    if (tensor === undefined) continue;
    requireFitting(rule, input, tensor, sizes);
    wide[input.name] = widen(tensor);
  }
  requireChunk(rule, sizes.tokens);
  return {
    inputs: (position === undefined ? wide : turned(position, wide, offset ?? 0, 1)) as unknown as RuleInputs,
    parameters: resolveValues(rule.parameters, sizes, parameters),
    sizes,
    whole,
    offset: offset ?? 0,
  };
}

/** Gradients by queries and keys as they were given, from those that the rule gives. */
export function givenGradients(
  { position }: RecurrenceComposition,
  { inputs, parameters }: RuleGradients,
  offset: number,
): RuleGradients {
  return { inputs: position === undefined ? inputs : turned(position, inputs, offset, -1), parameters };
}

function requireOffset(composition: RecurrenceComposition, offset: number | undefined): void {
  if (offset === undefined) return;
  const selector = printRecurrence(composition);
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new DomainError(
      "offset",
      `Cannot recur with '${selector}' as offset counts the tokens before the first one: ${offset}. Pass a whole number from 0`,
    );
  }
  if (composition.position !== undefined) return;
  throw new DomainError(
    "unused-input",
    `Cannot recur with '${selector}' as offset is read where places turn queries and keys: ${offset} was given. ` +
      "Leave it out, or add +rope",
  );
}

function requireKnown({ name: rule, inputs }: RecurrentRule, given: readonly string[]): void {
  const taken = inputs.map(({ name }) => name);
  for (const name of given) {
    if (taken.includes(name as InputName)) continue;
    const isAnothers = inputNames.includes(name as InputName);
    throw new DomainError(
      isAnothers ? "unused-input" : "unknown-input",
      `Cannot recur with '${rule}' as it takes ${taken.join(", ")}: '${name}' was given. ` +
        (isAnothers ? "Leave it out" : didYouMean(name, taken)),
    );
  }
}

function requireNeeded(
  { name: rule }: RecurrentRule,
  { name, extents, need }: RuleInput,
  given: Partial<Record<InputName, unknown>>,
): void {
  if (need === "optional") return;
  const isThere = given[name] !== undefined;
  if (need === "always") {
    if (isThere) return;
    throw new DomainError(
      "missing-input",
      `Cannot recur with '${rule}' as it needs '${name}': nothing was given. Pass ${name} ${extents}`,
    );
  }
  const isInstead = given[need.instead] !== undefined;
  if (isThere !== isInstead) return;
  throw new DomainError(
    isThere ? "input-twice" : "missing-input",
    `Cannot recur with '${rule}' as it needs '${name}' or '${need.instead}': ` +
      (isThere ? "both were given. Leave one out" : `nothing was given. Pass one of them, ${extents}`),
  );
}

function sizesOf(
  rule: RecurrentRule,
  { q, k, v }: Partial<Record<InputName, Tensor | Tensor64>>,
  whole: boolean,
): RuleSizes {
  for (const [name, tensor] of Object.entries({ q, k, v })) {
    if (tensor === undefined) continue;
    const { shape } = tensor;
    if (shape.length === 4 && shape.every((extent) => Number.isSafeInteger(extent) && extent > 0)) continue;
    throw new ShapeError(
      "recurrence-shape",
      `Cannot recur with '${rule.name}' as ${name} must be [B, heads, N, width] without empty extents: ` +
        `[${shape.join(", ")}]. Reshape it`,
    );
  }
  // The rule needs k and v, which was checked.
  const [batch, keyHeads, tokens, width] = (k as Tensor).shape;
  const heads = q?.shape[1] ?? keyHeads;
  if (heads % keyHeads !== 0) {
    throw new ShapeError(
      "heads",
      `Cannot share keys among queries as the key heads must divide the query heads: ${heads} query heads, ${keyHeads} key ` +
        "heads. Change one of them",
    );
  }
  const queries = whole ? (q?.shape[2] ?? tokens) : tokens;
  return { batch, heads, keyHeads, queries, tokens, width, valueWidth: (v as Tensor).shape[3] };
}

function requireFitting(
  { name: rule }: RecurrentRule,
  { name, extents, shape, domain }: RuleInput,
  tensor: Tensor | Tensor64,
  sizes: RuleSizes,
): void {
  const wanted = shape(sizes);
  const fits =
    wanted.length === tensor.shape.length && wanted.every((extent, axis) => extent === tensor.shape[axis]);
  if (!fits || sizeOf(wanted) !== tensor.data.length) {
    throw new ShapeError(
      "recurrence-shape",
      `Cannot recur with '${rule}' as ${name} must be ${extents} = [${wanted.join(", ")}]: [${tensor.shape.join(", ")}] with ` +
        `${tensor.data.length} numbers. Reshape it`,
    );
  }
  requireFinite(name, tensor);
  if (domain === "real") return;
  const { isIn, words, cure } = domains[domain];
  const outside = tensor.data.find((value) => !isIn(value));
  if (outside === undefined) return;
  throw new DomainError(
    name === "decay" || name === "logDecay" ? "decay-domain" : "input-domain",
    `Cannot recur with '${rule}' as ${name} must be ${words}: ${outside}. ${cure}`,
  );
}

const domains: Readonly<
  Record<
    Exclude<RuleInput["domain"], "real">,
    { readonly isIn: (value: number) => boolean; readonly words: string; readonly cure: string }
  >
> = {
  "open unit": {
    isIn: (value) => value > 0 && value < 1,
    words: "within (0, 1)",
    cure: "Pass what is kept of the state at each token, or logDecay where that rounds to 0 or 1",
  },
  unit: {
    isIn: (value) => value >= 0 && value <= 1,
    words: "within [0, 1]",
    cure: "Pass it after its sigmoid",
  },
  "not positive": {
    isIn: (value) => value <= 0,
    words: "the logarithm of a decay, not above zero",
    cure: "Pass log w of w in (0, 1]",
  },
};

function requireChunk(rule: RecurrentRule, tokens: number): void {
  const { chunk } = rule;
  if (chunk === undefined || tokens % chunk === 0) return;
  throw new DomainError(
    "chunk-length",
    `Cannot cut ${tokens} tokens into chunks of ${chunk} as a chunk must divide them: ${tokens % chunk} are left over. ` +
      "Pass another chunk, or leave it out",
  );
}
