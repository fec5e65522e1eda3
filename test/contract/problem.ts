/** @file Random calls of an attention: inputs, parameters away from their defaults, masks, biases, gradients of the output. */
import {
  type AttentionInputs,
  type AttentionSizes,
  type Composition,
  type MaskTensor,
  parametersOf,
  type Random,
  random,
  referenceForward,
  sizeOf,
  type Tensor,
} from "../../src/index.ts";
import {
  type ChoiceArithmetic,
  arithmeticOf,
  choiceArithmetic,
} from "../../src/selections/choice-arithmetic.ts";
import { type Choice } from "../../src/selections/selection.ts";

/** One call, forward and backward. */
export interface Problem {
  readonly composition: Composition;
  readonly inputs: AttentionInputs<Tensor>;
  /** Gradient of the output. */
  readonly dOut: Tensor;
}

/** Uneven in every extent, so that no two can be mistaken for each other; shared by most laws so that compilers reuse it. */
export const commonSizes: AttentionSizes = {
  batch: 2,
  heads: 4,
  keyHeads: 2,
  queries: 5,
  keys: 7,
  width: 8,
  valueWidth: 6,
};

/** As many queries as keys: for causality and decoding. */
export const squareSizes: AttentionSizes = { ...commonSizes, queries: 7 };

/** A tensor of N(0, deviation²). */
export function normals(stream: Random, shape: readonly number[], deviation = 1): Tensor {
  return { data: stream.normals(sizeOf(shape), deviation), shape };
}

/**
 * A random call. Every optional input is there: a mask that forbids a tenth of the pairs, a bias, parameters that
 * differ from head to head. Queries are the last ones: offset = S − Q.
 *
 * Under a selection, calls are drawn until rounding could not make it keep other keys: until no row's k-th and next score
 * are near, and until inner products that decide are not.
 */
export function makeProblem(
  composition: Composition,
  sizes: AttentionSizes,
  ...keys: readonly (number | string)[]
): Problem {
  const draw = (stream: Random): Problem => drawProblem(composition, sizes, stream);
  const ofCalls = clearAttempts.get(composition) ?? new Map<string, number>();
  clearAttempts.set(composition, ofCalls);
  const call = JSON.stringify([sizes, keys]);
  const known = ofCalls.get(call);
  if (known !== undefined) return draw(random("problem", known, ...keys));
  for (let attempt = 0; attempt < mostDraws; attempt++) {
    const problem = draw(random("problem", attempt, ...keys));
    if (!selectsClearly(problem)) continue;
    ofCalls.set(call, attempt);
    return problem;
  }
  throw new Error(`no call without near-ties found for sizes ${JSON.stringify(sizes)}`);
}

/** Which draw of a call had no near-ties: the laws ask for the same calls, and to look costs more than to draw. */
const clearAttempts = new WeakMap<Composition, Map<string, number>>();

/** How many calls are drawn in search of one without near-ties. */
const mostDraws = 50;

/** The first of some random calls that no rounding can make choose other keys; nothing when there is none. */
export function clearProblem(
  make: (stream: Random) => Problem,
  ...keys: readonly (number | string)[]
): Problem | undefined {
  for (let attempt = 0; attempt < mostDraws; attempt++) {
    const problem = make(random("problem", attempt, ...keys));
    if (selectsClearly(problem)) return problem;
  }
  return undefined;
}

/** A random call, near-ties or not: for who does not compare it with another. */
export function drawProblem(composition: Composition, sizes: AttentionSizes, stream: Random): Problem {
  const { batch, heads, keyHeads, queries, keys, width, valueWidth } = sizes;
  return {
    composition,
    inputs: {
      q: normals(stream, [batch, heads, queries, width]),
      k: normals(stream, [batch, keyHeads, keys, width]),
      v: normals(stream, [batch, keyHeads, keys, valueWidth]),
      offset: keys - queries,
      mask: sparseMask(stream, [batch, 1, queries, keys]),
      bias: normals(stream, [1, heads, queries, keys]),
      parameters: variedParameters(composition, sizes, stream),
    },
    dOut: normals(stream, [batch, heads, queries, valueWidth]),
  };
}

/** Parameters around their initial values, different in every head and coordinate. */
export function variedParameters(
  composition: Composition,
  sizes: AttentionSizes,
  stream: Random,
): Record<string, Tensor> {
  return Object.fromEntries(
    parametersOf(composition).map((parameter) => {
      const shape = parameter.shape(sizes);
      const data = Float32Array.from(parameter.initial(sizes, stream), (value) =>
        parameter.domain === "positive"
          ? value * Math.exp(0.3 * stream.normal())
          : value + 0.5 * stream.normal(),
      );
      return [parameter.name, { data, shape }];
    }),
  );
}

/** A mask that forbids this share of the pairs. */
export function sparseMask(stream: Random, shape: readonly number[], share = 0.1): MaskTensor {
  const data = Uint8Array.from({ length: sizeOf(shape) }, () => (stream.uniform() < share ? 0 : 1));
  return { data, shape };
}

/** Ten times what float32 scores of these sizes differ by from float64 ones. */
const clearGap = 1e-4;

function selectsClearly({ composition, inputs }: Problem): boolean {
  const { limit } = composition.selection;
  if (limit === undefined) return choosesClearly({ composition, inputs });
  const keepAll = { ...composition.selection, keep: (scores: Float64Array) => [...scores.keys()] };
  const { scores } = referenceForward({ ...composition, selection: keepAll }, inputs);
  const count = scores.shape[3];
  return Array.from({ length: scores.data.length / count }, (_, row) =>
    [...scores.data.subarray(row * count, (row + 1) * count)].sort((a, b) => b - a),
  ).every(
    (sorted) => !(sorted[limit - 1] - sorted[limit] < clearGap * Math.max(1, Math.abs(sorted[limit - 1]))),
  );
}

/** How often what decides a choice is moved in search of a near-tie. */
const moves = 4;

/** Whether a selection that chooses by the vectors chooses the same when its inner products move by a clear gap. */
function choosesClearly({ composition, inputs }: Pick<Problem, "composition" | "inputs">): boolean {
  const { selection } = composition;
  const { choose } = selection;
  if (choose === undefined) return true;
  let isClear = true;
  const watched: typeof choose = (head) => {
    const choice = choose(head);
    for (let move = 0; move < moves && isClear; move++) {
      isClear = isSameChoice(choose(head, movedArithmetic(random("moved", move))), choice);
    }
    return choice;
  };
  referenceForward({ ...composition, selection: { ...selection, choose: watched } }, inputs);
  return isClear;
}

/** Whether two choices keep the same pairs: where rounds share groups, it does not matter which of them finds one. */
function isSameChoice(a: Choice, b: Choice): boolean {
  if (a.isDisjoint) {
    const codesOf = ({ rounds }: Choice, query: number): string =>
      rounds
        .map(({ queryCodes }) => queryCodes[query])
        .sort((x, y) => x - y)
        .join();
    return a.rounds[0].queryCodes.every((_, query) => codesOf(a, query) === codesOf(b, query));
  }
  const isSame = (x: Int32Array, y: Int32Array): boolean => x.every((code, place) => code === y[place]);
  return a.rounds.every(
    ({ queryCodes, keyCodes }, round) =>
      isSame(queryCodes, b.rounds[round].queryCodes) && isSame(keyCodes, b.rounds[round].keyCodes),
  );
}

/** Inner products off by a clear gap each, up or down. */
function movedArithmetic(stream: Random): ChoiceArithmetic {
  return arithmeticOf((rows, vectors, width) =>
    choiceArithmetic
      .products(rows, vectors, width)
      .map((p) => p + (stream.uniform() < 0.5 ? 1 : -1) * clearGap * Math.max(1, Math.abs(p))),
  );
}

/** A copy of a tensor with some numbers replaced; `change` returns the number to keep or a new one. */
export function edited<
  T extends { readonly data: Float32Array | Uint8Array; readonly shape: readonly number[] },
>(tensor: T, change: (value: number, place: readonly number[]) => number): T {
  const { shape } = tensor;
  const data = tensor.data.slice();
  data.forEach((value, flat) => {
    let rest = flat;
    const place = shape.map(() => 0);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      place[axis] = rest % shape[axis];
      rest = Math.floor(rest / shape[axis]);
    }
    data[flat] = change(value, place);
  });
  return { ...tensor, data };
}

/** Rows taken along an axis, in the order of `places`. */
export function taken<
  T extends { readonly data: Float32Array | Uint8Array; readonly shape: readonly number[] },
>(tensor: T, axis: number, places: readonly number[]): T {
  const { shape, data } = tensor;
  const inner = sizeOf(shape.slice(axis + 1));
  const outer = sizeOf(shape.slice(0, axis));
  const result = tensor.data.slice(0, 0).constructor as new (length: number) => T["data"];
  const out = new result(outer * places.length * inner);
  for (let block = 0; block < outer; block++) {
    places.forEach((place, index) => {
      const from = (block * shape[axis] + place) * inner;
      out.set(data.subarray(from, from + inner), (block * places.length + index) * inner);
    });
  }
  return { ...tensor, data: out, shape: shape.map((extent, a) => (a === axis ? places.length : extent)) };
}
