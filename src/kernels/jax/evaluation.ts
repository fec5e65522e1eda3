/**
 * @file One call of a composed attention: its values, and the linear map from changes of its inputs to changes of its
 * outputs. jax-js transposes that map for gradients; nothing of the values is differentiated by it.
 */
import { numpy as np } from "@jax-js/jax";
import { type Aggregation } from "../../aggregations/index.ts";
import {
  type AttentionSizes,
  type Composition,
  type ExtraOutput,
  parametersOf,
} from "../../attention/index.ts";
import { ShapeError } from "../../base/errors.ts";
import { type Normaliser } from "../../normalisers/index.ts";
import { type Expression, splitRowTerm, variablesOf } from "../../score/index.ts";
import { guards, isKeyVariable } from "../../similarities/index.ts";
import { allowedPairs, keptPairs, type PairLimits } from "./allowed-pairs.ts";
import { type ArrayOrNumber, sumOf } from "./array-tools.ts";
import { join } from "./join.ts";
import { lift } from "./lift.ts";
import { pairVariables } from "./pair-variables.ts";
import { positionBias } from "./position-bias.ts";
import { scoreOf } from "./score.ts";
import { logSumExp, type RowStatistics, weigh } from "./weigh.ts";

/** The inputs that outputs can be differentiated by. */
export interface DifferentiableInputs {
  /** [B, H, Q, D] */
  readonly q: np.Array;
  /** [B, G, S, D] */
  readonly k: np.Array;
  /** [B, G, S, E] */
  readonly v: np.Array;
  /** Every parameter of `parametersOf(composition)` by name, in its own units. */
  readonly parameters: Readonly<Record<string, np.Array>>;
  /** Added to the scores, [B or 1, H or 1, Q, S]. */
  readonly bias?: np.Array;
}

/** What a composed attention reads. */
export interface ComposedInputs extends DifferentiableInputs, PairLimits {}

/** What a composed attention returns: `out` of [B, H, Q, E], and the extras that were asked for. */
export type ComposedOutputs = { readonly out: np.Array } & { readonly [Name in ExtraOutput]?: np.Array };

/** What an earlier call with the same inputs found. */
export interface KnownValues {
  readonly out: np.Array;
  readonly statistics?: RowStatistics;
  /** Of [B, H, Q, S], before division by `statistics.divisor`. */
  readonly weights?: np.Array;
}

/** A call. Values are computed when they are asked for. */
export interface Evaluation {
  readonly outputs: () => ComposedOutputs;
  readonly known: () => Required<Pick<KnownValues, "out" | "weights">> & KnownValues;
  /** Changes of the outputs; inputs that do not change are left out. */
  readonly tangent: (changes: Partial<DifferentiableInputs>) => ComposedOutputs;
}

/** What is decided before there are inputs. */
export interface EvaluationOptions {
  readonly offset?: number;
  readonly extras?: readonly ExtraOutput[];
  readonly guard?: number;
  /** Whether `tangent` will be asked for. */
  readonly isDifferentiated: boolean;
}

/** Evaluates a composition; see `composedAttention`. */
export function evaluation(
  composition: Composition,
  inputs: ComposedInputs,
  { offset = 0, extras = [], guard = guards.f32, isDifferentiated }: EvaluationOptions,
  known?: KnownValues,
): Evaluation {
  const { similarity, position, normaliser, aggregation } = composition;
  const { v, parameters, bias, mask, keyLengths } = inputs;
  const sizes = sizesOf(inputs);
  const pairShape = [sizes.batch, sizes.heads, sizes.queries, sizes.keys];
  const rowShape = [...pairShape.slice(0, 3), 1];
  const limits = {
    ...(mask === undefined ? {} : { mask }),
    ...(keyLengths === undefined ? {} : { keyLengths }),
  };
  for (const { name } of parametersOf(composition)) requireParameter(name, parameters);

  const formula = formulasOf(composition, extras);
  const isRead = (name: string): boolean => formula.variables.has(name);
  const scalars = similarity.parameters
    .map(({ name }) => name)
    .filter((name) => name !== similarity.metric && isRead(name));
  const lifted = lift(composition, inputs, sizes, offset, ofName(similarity.metric, parameters));
  const ofPairs = pairVariables(lifted, similarity.terms(sizes.width), sizes, isRead);
  const variables = { ...ofPairs.variables, ...perHead(scalars, parameters), guard };
  const pairScore = scoreOf(formula.pair, variables, isDifferentiated);
  const rowScore = formula.row === undefined ? undefined : scoreOf(formula.row, variables, isDifferentiated);
  const placeBias = position.place === "bias" ? positionBias(position, sizes, offset, parameters) : undefined;

  const scores = once(() => sumOf([spread(pairScore.value(), pairShape), placeBias?.value.ref, bias?.ref])!);
  const withRow = (values: np.Array): np.Array => values.add(shared(rowScore?.value() ?? 0));
  const kept = once(() => keptPairs(composition, allowedPairs(composition, sizes, offset, limits), scores));
  const elsewhere = (values: np.Array, value: number): np.Array => choose(kept(), values, value);
  const inEmptyRows = (values: np.Array, value: number): np.Array =>
    choose(kept()?.ref.any(-1, { keepdims: true }), values, value).reshape(rowShape.slice(0, 3));

  const weighed = weigh(composition, {
    scores: () => scores().ref,
    elsewhere,
    parameter: ofPart(normaliser, parameters),
    ...(known === undefined ? {} : { known }),
  });
  const joined = join(composition, weighed, v, ofPart(aggregation, parameters), known?.out);
  const { statistics } = weighed;
  const divided = (weights: np.Array): np.Array =>
    statistics === undefined ? weights : weights.div(statistics.divisor.ref);
  const valuesOf: Readonly<Record<ExtraOutput, () => np.Array | undefined>> = {
    scores: () => elsewhere(withRow(scores().ref), -Infinity),
    weights: () =>
      aggregation.needs === "scores" ? elsewhere(weighed.weights, 0) : divided(weighed.weights.ref),
    lse: () =>
      statistics === undefined ? undefined : inEmptyRows(withRow(logSumExp(statistics)), -Infinity),
  };

  return {
    outputs: () => withExtras(joined.out, extras, valuesOf),
    known: () => ({
      out: joined.out,
      weights: weighed.weights,
      ...(statistics === undefined ? {} : { statistics }),
    }),
    tangent({ parameters: own = {}, ...changes }) {
      const sides = lifted.tangent(changes, ofName(similarity.metric, own));
      const dVariables = { ...ofPairs.tangent(sides), ...perHead(scalars, own) };
      const dScores = sumOf([pairScore.tangent(dVariables), placeBias?.tangent(own), changes.bias?.ref]);
      const dRow = rowScore?.tangent(dVariables);
      const dWeighed = weighed.tangent(dScores, ofPart(normaliser, own));
      const dOut = joined.tangent({
        weighed: dWeighed,
        values: changes.v,
        parameter: ofPart(aggregation, own),
      });
      const share = statistics === undefined ? undefined : dWeighed.divisor?.ref.div(statistics.divisor.ref);
      const changed = (shape: readonly number[], ...terms: readonly (np.Array | undefined)[]): np.Array =>
        spread(sumOf(terms) ?? 0, shape);
      return withExtras(changed(joined.out.shape, dOut), extras, {
        scores: () => elsewhere(changed(pairShape, dScores?.ref, dRow?.ref), 0),
        weights: () => {
          const ofSum = share === undefined ? undefined : divided(weighed.weights.ref).mul(share.ref).neg();
          return changed(
            pairShape,
            dWeighed.weights === undefined ? undefined : divided(dWeighed.weights.ref),
            ofSum,
          );
        },
        lse: () =>
          statistics === undefined ? undefined : inEmptyRows(changed(rowShape, share?.ref, dRow?.ref), 0),
      });
    },
  };
}

function once<T>(compute: () => T): () => T {
  let value: { readonly is: T } | undefined;
  return () => (value ??= { is: compute() }).is;
}

function withExtras(
  out: np.Array,
  extras: readonly ExtraOutput[],
  values: Readonly<Record<ExtraOutput, () => np.Array | undefined>>,
): ComposedOutputs {
  const entries = extras
    .map((extra) => [extra, values[extra]()] as const)
    .filter((entry) => entry[1] !== undefined);
  return { out, ...Object.fromEntries(entries) };
}

/** `values` where the condition holds, everywhere without one. */
function choose(condition: np.Array | undefined, values: np.Array, otherwise: number): np.Array {
  return condition === undefined ? values.ref : np.where(condition.ref, values.ref, otherwise);
}

/** The formulas of a call. A softmax does not see what is the same for a whole row; without it float32 keeps more digits. */
function formulasOf(
  { similarity, normaliser }: Composition,
  extras: readonly ExtraOutput[],
): {
  readonly pair: Expression;
  readonly row: Expression | undefined;
  readonly variables: ReadonlySet<string>;
} {
  const split = splitRowTerm(similarity.score, isKeyVariable);
  const pair = normaliser.shiftInvariant ? split.pair : similarity.score;
  const isRowSeen = normaliser.shiftInvariant && (extras.includes("scores") || extras.includes("lse"));
  const row = isRowSeen ? split.row : undefined;
  return {
    pair,
    row,
    variables: new Set([pair, ...(row === undefined ? [] : [row])].flatMap((e) => [...variablesOf(e)])),
  };
}

function sizesOf({ q, k, v }: ComposedInputs): AttentionSizes {
  const [batch, heads, queries, width] = q.shape;
  const [, keyHeads, keys] = k.shape;
  const valueWidth = v.shape[3];
  const expected = [
    [batch, keyHeads, keys, width],
    [batch, keyHeads, keys, valueWidth],
  ];
  const fits = [k, v].every((array, index) =>
    expected[index].every((extent, axis) => array.shape[axis] === extent),
  );
  if (q.ndim === 4 && fits && heads % keyHeads === 0) {
    return { batch, heads, keyHeads, queries, keys, width, valueWidth };
  }
  throw new ShapeError(
    "attention-shape",
    "Cannot attend as q, k and v must be [B, H, Q, D], [B, G, S, D] and [B, G, S, E] with G dividing H: " +
      `${[q, k, v].map(({ shape }) => `[${shape.join(", ")}]`).join(", ")}. Reshape them`,
  );
}

/** Parameters of one number per head, broadcast against [B, H, Q, S]; those that are not given are left out. */
function perHead(
  names: readonly string[],
  values: Readonly<Record<string, np.Array>>,
): Record<string, np.Array> {
  return Object.fromEntries(
    names.filter((name) => values[name] !== undefined).map((name) => [name, headShaped(values[name])]),
  );
}

function headShaped(values: np.Array): np.Array {
  return values.ref.reshape([1, values.shape[0], 1, 1]);
}

/** The value of a part's only parameter, [1, H, 1, 1]. */
function ofPart(
  part: Normaliser | Aggregation,
  values: Readonly<Record<string, np.Array>>,
): np.Array | undefined {
  const value = ofName(part.parameters[0]?.name, values);
  return value === undefined ? undefined : headShaped(value);
}

function ofName(name: string | undefined, values: Readonly<Record<string, np.Array>>): np.Array | undefined {
  return name === undefined ? undefined : values[name];
}

/** Over a whole shape, also where a formula leaves queries or keys out. */
function spread(value: ArrayOrNumber, shape: readonly number[]): np.Array {
  if (typeof value === "number") return np.full([...shape], value);
  return shape.every((extent, axis) => value.shape[axis] === extent)
    ? value
    : np.broadcastTo(value, [...shape]);
}

function shared(value: ArrayOrNumber): ArrayOrNumber {
  return typeof value === "number" ? value : value.ref;
}

function requireParameter(name: string, parameters: Readonly<Record<string, np.Array>>): void {
  if (parameters[name] !== undefined) return;
  throw new ShapeError(
    "missing-parameter",
    `Cannot attend as every parameter needs a value: '${name}' has none (given: ${Object.keys(parameters).join(", ") || "none"}). ` +
      "Take those left out from initialParameters()",
  );
}
