/** @file Selections that choose pairs by the vectors of a head: what they are given, and their choice as a mask. */
import { sizeOf, type Tensor, type Tensor64, widen } from "../base/tensor.ts";
import { intersect } from "../patterns/index.ts";
import { all, type Choice, type HeadVectors, type ChoiceArithmetic } from "../selections/index.ts";
import { keptKeys } from "../selections/kept-keys.ts";
import { type Composition } from "./composition.ts";
import { type AttentionInputs, type AttentionSizes, type MaskTensor, pairPlace } from "./inputs.ts";
import { type HeadPlace, headPlaces, headRows, liftOf } from "./lifted-head.ts";
import { resolveParameters } from "./parameters.ts";

/** What chooses for one head after the other; undefined where scores alone decide. */
export type Chooser = (place: HeadPlace) => Choice;

/**
 * The chooser of a call.
 *
 * @param parameters - every parameter of the composition
 * @param arithmetic - inner products of a backend's own
 */
export function chooserOf(
  composition: Composition,
  inputs: AttentionInputs<Tensor | Tensor64>,
  sizes: AttentionSizes,
  parameters: Readonly<Record<string, Tensor64>>,
  arithmetic?: ChoiceArithmetic,
): Chooser | undefined {
  const { choose } = composition.selection;
  if (choose === undefined) return undefined;
  const vectorsOf = headVectors(composition, inputs, sizes, parameters);
  return (place) => choose(vectorsOf(place), arithmetic);
}

function headVectors(
  composition: Composition,
  inputs: AttentionInputs<Tensor | Tensor64>,
  sizes: AttentionSizes,
  parameters: Readonly<Record<string, Tensor64>>,
): (place: HeadPlace) => HeadVectors {
  const { q, k, v, keyLengths, offset = 0, ...rest } = inputs;
  const { width, keys: places } = sizes;
  const { metric } = composition.similarity;
  const isPlain = metric === undefined && composition.position.place !== "rotation";
  const lift = isPlain
    ? undefined
    : liftOf(
        composition,
        { ...(rest as AttentionInputs<Tensor64>), offset, q: widen(q), k: widen(k), v: v as Tensor64 },
        sizes,
        metric === undefined ? undefined : parameters[metric],
      );
  return (place) => {
    const { batch, head, keyHead } = place;
    const count = keyLengths?.[batch] ?? places;
    const common = { width, offset, places };
    if (lift !== undefined) {
      const { queries, keys } = lift.lift(place);
      return {
        ...common,
        queries: Float32Array.from(queries),
        keys: Float32Array.from(keys.subarray(0, count * width)),
      };
    }
    const queries = plainRows(q, batch, head);
    // The same tensor for queries and keys is read, and hashed, once.
    const isShared = q === k && head === keyHead && count === places;
    return {
      ...common,
      queries,
      keys: isShared ? queries : plainRows(k, batch, keyHead).subarray(0, count * width),
    };
  };
}

function plainRows(tensor: Tensor | Tensor64, batch: number, head: number): Float32Array {
  const rows = headRows(tensor as Tensor64, batch, head) as Float32Array | Float64Array;
  return rows instanceof Float32Array ? rows : Float32Array.from(rows);
}

/** A call without choice: its composition keeps every allowed pair, and its mask says which those are. */
export interface MaskedCall {
  readonly composition: Composition;
  readonly inputs: AttentionInputs<Tensor>;
}

const open = new WeakMap<Composition, Composition>();

/** The composition that keeps every allowed pair: one object for all calls, as kernels are compiled once for each. */
export function openComposition(composition: Composition): Composition {
  const found = open.get(composition) ?? { ...composition, selection: all() };
  open.set(composition, found);
  return found;
}

/**
 * The same call with its choice as a mask, Q·S bytes a head; the call itself where scores alone decide.
 *
 * @param inputs - checked inputs
 */
export function maskedCall(
  composition: Composition,
  inputs: AttentionInputs<Tensor>,
  sizes: AttentionSizes,
  arithmetic?: ChoiceArithmetic,
): MaskedCall {
  if (composition.selection.choose === undefined) return { composition, inputs };
  const parameters = resolveParameters(composition, sizes, inputs.parameters);
  const chooser = chooserOf(composition, inputs, sizes, parameters, arithmetic)!;
  const mask = chosenMask(composition, inputs, sizes, chooser);
  return { composition: openComposition(composition), inputs: { ...inputs, mask } };
}

/**
 * All pairs that take part before scores are known, as a mask of [B, H, Q, S]: those that patterns, mask, lengths of keys
 * and the choice allow. For backends that read masks; Q·S bytes a head.
 *
 * @param chooser - as from {@link chooserOf}
 */
function chosenMask(
  { patterns }: Composition,
  inputs: AttentionInputs<Tensor | Tensor64>,
  sizes: AttentionSizes,
  chooser: Chooser,
): MaskTensor {
  const { batch, heads, queries, keys } = sizes;
  const { offset = 0 } = inputs;
  const allowedKeys = allowedKeysOf(patterns, inputs, sizes);
  const shape = [batch, heads, queries, keys];
  const data = new Uint8Array(sizeOf(shape));
  for (const place of headPlaces(sizes)) {
    const choice = chooser(place);
    for (let query = 0; query < queries; query++) {
      const start = pairPlace(shape, place.batch, place.head, query, 0);
      for (const key of keptKeys(choice, query, allowedKeys(place, query), query + offset))
        data[start + key] = 1;
    }
  }
  return { data, shape };
}

/** The keys that patterns, mask and lengths allow a query, ascending. */
export function allowedKeysOf(
  patterns: Composition["patterns"],
  { mask, keyLengths, offset = 0 }: AttentionInputs<Tensor | Tensor64>,
  { keys }: AttentionSizes,
): (place: HeadPlace, query: number) => readonly number[] {
  const { allows, keyRange } = intersect(patterns);
  return ({ batch, head }, query) => {
    const [first, stop] = keyRange(query + offset, keyLengths?.[batch] ?? keys);
    const allowed: number[] = [];
    for (let key = first; key < stop; key++) {
      const masked = mask !== undefined && mask.data[pairPlace(mask.shape, batch, head, query, key)] === 0;
      if (!masked && allows(query + offset, key)) allowed.push(key);
    }
    return allowed;
  };
}
