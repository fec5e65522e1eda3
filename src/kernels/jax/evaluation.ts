/**
 * @file One call of a composed attention: its values, and the linear map from changes of its inputs to changes of its
 * outputs. jax-js transposes that map for gradients; nothing of the values is differentiated by it.
 */
import { numpy as np } from "@jax-js/jax";
import { type AttentionSizes, type Composition, type ExtraOutput, parametersOf } from "../../attention/index.ts";
import { ShapeError } from "../../base/errors.ts";
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
}

/** The values of a call, computed as they are asked for. */
export interface Evaluation {
  readonly outputs: ComposedOutputs;
  readonly statistics: RowStatistics | undefined;
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
  const { q, k, v, parameters, bias, mask, keyLengths } = inputs;
  const sizes = sizesOf(inputs);
  const pairShape = [sizes.batch, sizes.heads, sizes.queries, sizes.keys];
  const formula = formulasOf(composition, extras);

  const metric = similarity.metric === undefined ? undefined : valueOf(similarity.metric, parameters);
  const lifted = lift(composition, { q, k }, sizes, offset, metric);
  const isRead = (name: string): boolean => formula.variables.has(name);
  const ofPairs = pairVariables(lifted, similarity.terms(sizes.width), sizes, isRead);
  const perHead = (values: Readonly<Record<string, np.Array>>): Record<string, np.Array> =>
    Object.fromEntries(
      similarity.parameters
        .filter(({ name }) => name !== similarity.metric && isRead(name) && values[name] !== undefined)
        .map(({ name }) => [name, headShaped(values[name])]),
    );
  for (const { name } of parametersOf(composition)) valueOf(name, parameters);
  const variables = { ...ofPairs.variables, ...perHead(parameters), guard };
  const pairScore = scoreOf(formula.pair, variables, isDifferentiated);
  const rowScore = formula.row === undefined ? undefined : scoreOf(formula.row, variables, isDifferentiated);

  const placeBias = position.place === "bias" ? positionBias(position, sizes, offset, parameters) : undefined;
  const score = spread(pairScore.value(), pairShape);
  const scores = sumOf([score, placeBias?.value.ref, bias?.ref])!;
  const limits = { ...(mask === undefined ? {} : { mask }), ...(keyLengths === undefined ? {} : { keyLengths }) };
  const kept = keptPairs(composition, allowedPairs(composition, sizes, offset, limits), scores);
  const elsewhere = (values: np.Array, value: number): np.Array =>
    kept === undefined ? values.ref : np.where(kept.ref, values.ref, value);
  const rowElsewhere = (values: np.Array, value: number): np.Array =>
    kept === undefined ? values.ref : np.where(np.any(kept.ref, -1, { keepdims: true }), values.ref, value);

  const ownOf = (part: typeof normaliser | typeof aggregation, values: Readonly<Record<string, np.Array>>): np.Array | undefined => {
    const value = values[part.parameters[0]?.name ?? ""];
    return value === undefined ? undefined : headShaped(value);
  };
  const weighed = weigh(composition, scores, elsewhere, ownOf(normaliser, parameters), known?.statistics);
  const joined = join(composition, weighed, v, ownOf(aggregation, parameters), known?.out);
  const { statistics } = weighed;
  const weights = (): np.Array => {
    if (statistics !== undefined) return weighed.weights.ref.div(statistics.divisor.ref);
    return aggregation.needs === "scores" ? elsewhere(weighed.weights, 0) : weighed.weights.ref;
  };
  const row = rowScore?.value() ?? 0;
  const perRow = (values: np.Array): np.Array => values.reshape(pairShape.slice(0, 3));

  const outputs = {
    out: joined.out,
    ...(extras.includes("scores") ? { scores: elsewhere(scores.ref.add(shared(row)), -Infinity) } : {}),
    ...(extras.includes("weights") ? { weights: weights() } : {}),
    ...(extras.includes("lse") && statistics !== undefined
      ? { lse: perRow(rowElsewhere(logSumExp(statistics).add(shared(row)), -Infinity)) }
      : {}),
  };

  const tangent = ({ parameters: own = {}, ...changes }: Partial<DifferentiableInputs>): ComposedOutputs => {
    const sides = lifted.tangent(changes, similarity.metric === undefined ? undefined : own[similarity.metric]);
    const dVariables = { ...ofPairs.tangent(sides), ...perHead(own) };
    const dPair = sumOf([pairScore.tangent(dVariables), placeBias?.tangent(own), changes.bias?.ref]);
    const dScores = dPair === undefined ? undefined : elsewhere(dPair, 0);
    const dWeighed = weighed.tangent(dScores, ownOf(normaliser, own));
    const dOut = joined.tangent({ weighed: dWeighed, values: changes.v, parameter: ownOf(aggregation, own) });
    const dRow = rowScore?.tangent(dVariables);
    const zeros = (like: np.Array): np.Array => np.zerosLike(like.ref);
    const result: { -readonly [Name in keyof ComposedOutputs]: ComposedOutputs[Name] } = { out: dOut ?? zeros(joined.out) };
    if (outputs.scores !== undefined) {
      const change = sumOf([dScores?.ref, dRow?.ref]);
      result.scores = change === undefined ? zeros(outputs.scores) : elsewhere(spread(change, pairShape), 0);
    }
    const share = statistics === undefined ? undefined : dWeighed.divisor?.ref.div(statistics.divisor.ref);
    if (outputs.weights !== undefined) {
      const change = statistics === undefined ? dWeighed.weights?.ref : dWeighed.weights?.ref.div(statistics.divisor.ref);
      const normalised = sumOf([change, share === undefined ? undefined : outputs.weights.ref.mul(share.ref).neg()]);
      result.weights = normalised ?? zeros(outputs.weights);
    }
    if (outputs.lse !== undefined) {
      const change = sumOf([share?.ref, dRow?.ref]);
      result.lse = change === undefined ? zeros(outputs.lse) : perRow(rowElsewhere(spread(change, [...pairShape.slice(0, 3), 1]), 0));
    }
    return result;
  };
  return { outputs, statistics, tangent };
}

/** The formulas of a call. A softmax does not see what is the same for a whole row; without it float32 keeps more digits. */
function formulasOf(
  { similarity, normaliser }: Composition,
  extras: readonly ExtraOutput[],
): { readonly pair: Expression; readonly row: Expression | undefined; readonly variables: ReadonlySet<string> } {
  const split = splitRowTerm(similarity.score, isKeyVariable);
  const pair = normaliser.shiftInvariant ? split.pair : similarity.score;
  const isRowSeen = normaliser.shiftInvariant && (extras.includes("scores") || extras.includes("lse"));
  const row = isRowSeen ? split.row : undefined;
  return { pair, row, variables: new Set([pair, ...(row === undefined ? [] : [row])].flatMap((e) => [...variablesOf(e)])) };
}

function sizesOf({ q, k, v }: ComposedInputs): AttentionSizes {
  const [batch, heads, queries, width] = q.shape;
  const [, keyHeads, keys] = k.shape;
  const valueWidth = v.shape[3];
  const expected = [
    [batch, keyHeads, keys, width],
    [batch, keyHeads, keys, valueWidth],
  ];
  const fits = [k, v].every((array, index) => expected[index].every((extent, axis) => array.shape[axis] === extent));
  if (q.ndim === 4 && fits && heads % keyHeads === 0) {
    return { batch, heads, keyHeads, queries, keys, width, valueWidth };
  }
  throw new ShapeError(
    "attention-shape",
    "Cannot attend as q, k and v must be [B, H, Q, D], [B, G, S, D] and [B, G, S, E] with G dividing H: " +
      `${[q, k, v].map(({ shape }) => `[${shape.join(", ")}]`).join(", ")}. Reshape them`,
  );
}

/** One number per head, broadcast against [B, H, Q, S]. */
function headShaped(values: np.Array): np.Array {
  return values.ref.reshape([1, values.shape[0], 1, 1]);
}

/** Over a whole shape, also where a formula leaves queries or keys out. */
function spread(value: ArrayOrNumber, shape: readonly number[]): np.Array {
  if (typeof value === "number") return np.full([...shape], value);
  return shape.every((extent, axis) => value.shape[axis] === extent) ? value : np.broadcastTo(value, [...shape]);
}

function shared(value: ArrayOrNumber): ArrayOrNumber {
  return typeof value === "number" ? value : value.ref;
}

function valueOf(name: string, parameters: Readonly<Record<string, np.Array>>): np.Array {
  const value = parameters[name];
  if (value !== undefined) return value;
  throw new ShapeError(
    "missing-parameter",
    `Cannot attend as every parameter needs a value: '${name}' has none (given: ${Object.keys(parameters).join(", ") || "none"}). ` +
      "Take those left out from initialParameters()",
  );
}
