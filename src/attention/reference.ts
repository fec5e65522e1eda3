/**
 * @file The f64 reference of every attention of the algebra, row by row: the definition that all other forms must equal.
 * Readable, never optimised.
 */
import { type Tensor64, widen, zeros64 } from "../base/tensor.ts";
import { type Choice } from "../selections/index.ts";
import { keptKeys } from "../selections/kept-keys.ts";
import { guards } from "../similarities/index.ts";
import { allowedKeysOf, type Chooser, chooserOf } from "./chosen-pairs.ts";
import { type Composition } from "./composition.ts";
import { type AttentionInputs, type AttentionSizes, checkInputs, pairPlace } from "./inputs.ts";
import { type HeadPlace, headPlaces, headRows, type LiftedHead, liftOf } from "./lifted-head.ts";
import { headValues, type PairScore, pairScore } from "./pair-score.ts";
import { resolveParameters } from "./parameters.ts";

/** What the reference returns. Scores of pairs that do not take part are −∞, their weights 0. */
export interface ReferenceResult {
  /** [B, H, Q, E] */
  readonly out: Tensor64;
  /** Log-sum-exp of the kept scores of each row, [B, H, Q]; −∞ for a row without keys; only under softmax. */
  readonly lse: Tensor64 | undefined;
  /** [B, H, Q, S] */
  readonly scores: Tensor64;
  /** [B, H, Q, S]; under max-plus, which joins by scores, the scores of kept pairs. */
  readonly weights: Tensor64;
}

/** Gradients of a call, each of the shape of its input. */
export interface ReferenceGradients {
  readonly dq: Tensor64;
  readonly dk: Tensor64;
  readonly dv: Tensor64;
  readonly dBias: Tensor64 | undefined;
  readonly dParameters: Readonly<Record<string, Tensor64>>;
}

/** Numerics that a comparison with another precision may set. */
export interface ReferenceOptions {
  /** The smallest square under a root (default 1e-12; pass `guards.f32` to compare with float32 kernels). */
  readonly guard?: number;
}

/** One row: its kept keys with their scores, and the weights they get. */
interface Row {
  readonly keys: readonly number[];
  readonly scores: Float64Array;
  readonly weights: Float64Array;
  readonly logSumExp: number | undefined;
}

/**
 * Forward pass in f64.
 *
 * @param composition - a complete attention
 * @param inputs - q [B, H, Q, D], k [B, G, S, D], v [B, G, S, E] and what else the call reads
 * @throws ShapeError, DomainError or NumbersError when inputs do not fit
 */
export function referenceForward(
  composition: Composition,
  inputs: AttentionInputs,
  options: ReferenceOptions = {},
): ReferenceResult {
  const call = prepare(composition, inputs, options);
  const { batch, heads, queries, keys, valueWidth } = call.sizes;
  const out = zeros64([batch, heads, queries, valueWidth]);
  const lse = zeros64([batch, heads, queries]);
  const scores = zeros64([batch, heads, queries, keys]);
  scores.data.fill(-Infinity);
  const weights = zeros64([batch, heads, queries, keys]);
  let hasLogSumExp = false;
  for (const place of headPlaces(call.sizes)) {
    const head = call.lift.lift(place);
    const choice = call.chooser?.(place);
    const values = valueRows(call, place);
    for (let query = 0; query < queries; query++) {
      const row = rowOf(call, place, head, choice, query);
      const joined = composition.aggregation.forward(
        row.weights,
        row.keys.map((key) => values[key]),
        call.aggregationContext(place.head),
      );
      const rowPlace = (place.batch * heads + place.head) * queries + query;
      out.data.set(joined, rowPlace * valueWidth);
      row.keys.forEach((key, kept) => {
        scores.data[rowPlace * keys + key] = row.scores[kept];
        weights.data[rowPlace * keys + key] = row.weights[kept];
      });
      hasLogSumExp ||= row.logSumExp !== undefined;
      lse.data[rowPlace] = row.logSumExp ?? 0;
    }
  }
  return { out, scores, weights, lse: hasLogSumExp ? lse : undefined };
}

/**
 * Backward pass in f64: gradients of Σ out·dOut by every input and parameter.
 *
 * @param dOut - gradient of the output, [B, H, Q, E]
 */
export function referenceBackward(
  composition: Composition,
  inputs: AttentionInputs,
  dOut: Tensor64,
  options: ReferenceOptions = {},
): ReferenceGradients {
  const call = prepare(composition, inputs, options);
  const { position, similarity, normaliser, aggregation } = composition;
  const { heads, queries, valueWidth } = call.sizes;
  const dq = zeros64(call.inputs.q.shape);
  const dk = zeros64(call.inputs.k.shape);
  const dv = zeros64(call.inputs.v.shape);
  const dBias = call.inputs.bias === undefined ? undefined : zeros64(call.inputs.bias.shape);
  const dParameters = Object.fromEntries(
    Object.entries(call.parameters).map(([name, { shape }]) => [name, zeros64(shape)]),
  );
  const dTable = new Float64Array(call.positionBias?.length ?? 0);
  const { parameterNames } = call.pairs;
  const metric = similarity.metric === undefined ? undefined : dParameters[similarity.metric];

  for (const place of headPlaces(call.sizes)) {
    const head = call.lift.lift(place);
    const choice = call.chooser?.(place);
    const headGradient: LiftedHead = {
      queries: new Float64Array(head.queries.length),
      keys: new Float64Array(head.keys.length),
    };
    const values = valueRows(call, place);
    const valueGradients = rowsOf(headRows(dv, place.batch, place.keyHead), valueWidth);
    const scalars = headValues(parameterNames, call.parameters, place.head);
    const scalarGradients = new Float64Array(parameterNames.length);
    for (let query = 0; query < queries; query++) {
      const row = rowOf(call, place, head, choice, query);
      const rowPlace = (place.batch * heads + place.head) * queries + query;
      const joined = aggregation.backward(
        row.weights,
        row.keys.map((key) => values[key]),
        dOut.data.subarray(rowPlace * valueWidth, (rowPlace + 1) * valueWidth),
        row.keys.map((key) => valueGradients[key]),
        call.aggregationContext(place.head),
      );
      addTo(dParameters[aggregation.parameters[0]?.name ?? ""], place.head, joined.parameter);
      const normalised = normaliser.backward(row.scores, joined.weights, call.rowContext(place.head));
      addTo(dParameters[normaliser.parameters[0]?.name ?? ""], place.head, normalised.parameter);
      row.keys.forEach((key, kept) => {
        const cotangent = normalised.scores[kept];
        call.pairs.accumulate(cotangent, head, query, key, scalars, headGradient, scalarGradients);
        if (dTable.length > 0) dTable[call.tablePlace(place.head, query, key)] += cotangent;
        if (dBias !== undefined) {
          dBias.data[pairPlace(dBias.shape, place.batch, place.head, query, key)] += cotangent;
        }
      });
    }
    parameterNames.forEach((name, index) => addTo(dParameters[name], place.head, scalarGradients[index]));
    call.lift.pullBack(place, headGradient, { q: dq, k: dk, metric });
  }
  if (position.place === "bias") {
    const flat = Object.fromEntries(Object.entries(call.parameters).map(([name, { data }]) => [name, data]));
    const gradients = position.tableGradient(heads, call.deltas, flat, dTable);
    for (const [name, gradient] of Object.entries(gradients)) dParameters[name].data.set(gradient);
  }
  return { dq, dk, dv, dBias, dParameters };
}

/** What both passes share: inputs in f64, and the parts bound to this call. */
interface Call {
  readonly composition: Composition;
  readonly inputs: AttentionInputs<Tensor64>;
  readonly sizes: AttentionSizes;
  readonly parameters: Record<string, Tensor64>;
  readonly pairs: PairScore;
  readonly lift: ReturnType<typeof liftOf>;
  /** Chooses pairs by a head's vectors, where the selection does. */
  readonly chooser: Chooser | undefined;
  readonly allowedKeys: ReturnType<typeof allowedKeysOf>;
  /** Every Δ that occurs, ascending, and the position's [heads, deltas] biases for them. */
  readonly deltas: Int32Array;
  readonly positionBias: Float64Array | undefined;
  readonly tablePlace: (head: number, query: number, key: number) => number;
  readonly rowContext: (head: number) => { readonly keys: number; readonly parameter: number | undefined };
  readonly aggregationContext: (head: number) => {
    readonly width: number;
    readonly parameter: number | undefined;
  };
}

function prepare(composition: Composition, given: AttentionInputs, options: ReferenceOptions): Call {
  const sizes = checkInputs(given);
  const parameters = resolveParameters(composition, sizes, given.parameters);
  const { bias: _, parameters: __, ...rest } = given;
  const inputs: AttentionInputs<Tensor64> = {
    ...rest,
    q: widen(given.q),
    k: widen(given.k),
    v: widen(given.v),
    ...(given.bias === undefined ? {} : { bias: widen(given.bias) }),
  };
  const { similarity, position, patterns, normaliser, aggregation } = composition;
  const offset = inputs.offset ?? 0;
  const firstDelta = offset - (sizes.keys - 1);
  const deltas = Int32Array.from(
    { length: sizes.queries + sizes.keys - 1 },
    (_, index) => firstDelta + index,
  );
  const flat = Object.fromEntries(Object.entries(parameters).map(([name, { data }]) => [name, data]));
  const parameterOf = (name: string | undefined, head: number): number | undefined =>
    name === undefined ? undefined : parameters[name].data[head];
  return {
    composition,
    inputs,
    sizes,
    parameters,
    pairs: pairScore(similarity, sizes.width, options.guard ?? guards.f64),
    lift: liftOf(
      composition,
      inputs,
      sizes,
      similarity.metric === undefined ? undefined : parameters[similarity.metric],
    ),
    chooser: chooserOf(composition, inputs, sizes, parameters),
    allowedKeys: allowedKeysOf(patterns, inputs, sizes),
    deltas,
    positionBias: position.place === "bias" ? position.table(sizes.heads, deltas, flat) : undefined,
    tablePlace: (head, query, key) => head * deltas.length + (query + offset - key - firstDelta),
    rowContext: (head) => ({
      keys: sizes.keys,
      parameter: parameterOf(normaliser.parameters[0]?.name, head),
    }),
    aggregationContext: (head) => ({
      width: sizes.valueWidth,
      parameter: parameterOf(aggregation.parameters[0]?.name, head),
    }),
  };
}

/** Scores the allowed keys of one query, selects among them and weighs them. */
function rowOf(
  call: Call,
  place: HeadPlace,
  head: LiftedHead,
  choice: Choice | undefined,
  query: number,
): Row {
  const { composition, inputs, pairs } = call;
  const { bias, offset = 0 } = inputs;
  const all = call.allowedKeys(place, query);
  const allowed = choice === undefined ? all : keptKeys(choice, query, all, query + offset);
  const scalars = headValues(pairs.parameterNames, call.parameters, place.head);
  const scores = Float64Array.from(allowed, (key) => {
    const ownBias = bias?.data[pairPlace(bias.shape, place.batch, place.head, query, key)] ?? 0;
    const placeBias = call.positionBias?.[call.tablePlace(place.head, query, key)] ?? 0;
    return pairs.score(head, query, key, scalars) + placeBias + ownBias;
  });
  const kept = composition.selection.keep(scores);
  const keptScores = Float64Array.from(kept, (index) => scores[index]);
  const { weights, logSumExp } = composition.normaliser.forward(keptScores, call.rowContext(place.head));
  return { keys: kept.map((index) => allowed[index]), scores: keptScores, weights, logSumExp };
}

function valueRows({ inputs, sizes }: Call, { batch, keyHead }: HeadPlace): readonly Float64Array[] {
  return rowsOf(headRows(inputs.v, batch, keyHead), sizes.valueWidth);
}

function rowsOf(flat: Float64Array, width: number): readonly Float64Array[] {
  return Array.from({ length: flat.length / width }, (_, row) =>
    flat.subarray(row * width, (row + 1) * width),
  );
}

/** Adds to one head's entry; a part without a parameter has no tensor to add to. */
function addTo(tensor: Tensor64 | undefined, head: number, amount: number): void {
  if (tensor !== undefined) tensor.data[head] += amount;
}
