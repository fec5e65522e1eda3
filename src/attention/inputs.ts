/** @file The inputs of one call of an attention, and the checks that they fit together. */
import { DomainError, ShapeError } from "../base/errors.ts";
import { type ParameterSizes } from "../base/parameter.ts";
import { requireFinite, sizeOf, type Tensor, type Tensor64 } from "../base/tensor.ts";

/** A predicate per pair, 1 where the pair is allowed; broadcast over extents of 1. */
export interface MaskTensor {
  readonly data: Uint8Array;
  readonly shape: readonly number[];
}

/** Everything that one call of an attention reads. */
export interface AttentionInputs<T = Tensor | Tensor64> {
  /** Queries, [B, H, Q, D]. */
  readonly q: T;
  /** Keys, [B, G, S, D], G dividing H. */
  readonly k: T;
  /** Values, [B, G, S, E]. */
  readonly v: T;
  /** How many keys count, per batch entry; all of them when absent. */
  readonly keyLengths?: readonly number[];
  /** The place of the first query: Δ = (i + offset) − j (default 0). */
  readonly offset?: number;
  /** A predicate per pair beside the pattern, [B or 1, H or 1, Q, S]. */
  readonly mask?: MaskTensor;
  /** Numbers added to the scores, [B or 1, H or 1, Q, S]. */
  readonly bias?: T;
  /** Values of parameters by name; those left out take their initial value. */
  readonly parameters?: Readonly<Record<string, T>>;
}

/** The extents of a call, in the alphabet of the algebra. */
export interface AttentionSizes extends ParameterSizes {
  readonly batch: number;
  /** H */
  readonly heads: number;
  /** G, key/value heads. */
  readonly keyHeads: number;
  /** Q */
  readonly queries: number;
  /** S */
  readonly keys: number;
  /** D */
  readonly width: number;
  /** E */
  readonly valueWidth: number;
}

/**
 * The sizes of a call, after checking every shape, length and number.
 *
 * @throws ShapeError when shapes do not fit, DomainError for lengths and offsets, NumbersError for NaN and infinities
 */
export function checkInputs(inputs: AttentionInputs): AttentionSizes {
  const { q, k, v, keyLengths, offset = 0, mask, bias } = inputs;
  for (const [name, tensor] of Object.entries({ q, k, v })) requireFourExtents(name, tensor.shape);
  const [batch, heads, queries, width] = q.shape;
  const [keyBatch, keyHeads, keys, keyWidth] = k.shape;
  const [valueBatch, valueHeads, values, valueWidth] = v.shape;
  requireEqual("the batch of q, k and v", batch, keyBatch, valueBatch);
  requireEqual("the heads of k and v", keyHeads, valueHeads);
  requireEqual("the number of keys and values", keys, values);
  requireEqual("the width of q and k", width, keyWidth);
  if (heads % keyHeads !== 0) {
    throw new ShapeError(
      "heads",
      `Cannot share keys among queries as the key heads must divide the query heads: ${heads} query heads, ${keyHeads} key ` +
        "heads. Change one of them",
    );
  }
  const sizes = { batch, heads, keyHeads, queries, keys, width, valueWidth };
  if (mask !== undefined) requirePairShape("mask", mask.shape, sizes);
  if (bias !== undefined) requirePairShape("bias", bias.shape, sizes);
  for (const [name, tensor] of Object.entries({ q, k, v, mask, bias })) requireFilled(name, tensor);
  requireLengths(keyLengths, sizes);
  if (!Number.isSafeInteger(offset)) {
    throw new DomainError(
      "offset",
      `Cannot place queries as the offset must be a whole number: ${offset}. Round it`,
    );
  }
  for (const [name, tensor] of Object.entries({ q, k, v, ...(bias === undefined ? {} : { bias }) })) {
    requireFinite(name, tensor);
  }
  return sizes;
}

/** Place in a pair tensor's data of pair (i, j) of a batch entry and head; extents of 1 are broadcast. */
export function pairPlace(
  shape: readonly number[],
  batch: number,
  head: number,
  query: number,
  key: number,
): number {
  const [batches, heads, queries, keys] = shape;
  return (((batches === 1 ? 0 : batch) * heads + (heads === 1 ? 0 : head)) * queries + query) * keys + key;
}

function requireFourExtents(name: string, shape: readonly number[]): void {
  if (shape.length === 4 && shape.every((extent) => extent > 0)) return;
  throw new ShapeError(
    "attention-shape",
    `Cannot attend as ${name} must be [B, heads, N, width] without empty extents: [${shape.join(", ")}]. ` +
      "Reshape it, or skip the call when there is nothing to attend to",
  );
}

/** A tensor whose data are shorter than its shape would read as undefined, which a mask takes for "allowed". */
function requireFilled(
  name: string,
  tensor: { readonly data: ArrayLike<number>; readonly shape: readonly number[] } | undefined,
): void {
  if (tensor === undefined || tensor.data.length === sizeOf(tensor.shape)) return;
  throw new ShapeError(
    "tensor-size",
    `Cannot attend as ${name} must hold exactly the numbers of its shape: shape [${tensor.shape.join(", ")}], ` +
      `${tensor.data.length} numbers. Pass a shape whose product is the length`,
  );
}

function requireEqual(what: string, ...extents: readonly number[]): void {
  if (extents.every((extent) => extent === extents[0])) return;
  throw new ShapeError(
    "attention-shape",
    `Cannot attend as ${what} must agree: ${extents.join(", ")}. Pass tensors of one shape family [B, heads, N, width]`,
  );
}

function requirePairShape(name: string, shape: readonly number[], sizes: AttentionSizes): void {
  const wanted = [sizes.batch, sizes.heads, sizes.queries, sizes.keys];
  const fits = wanted.every((extent, axis) => shape[axis] === extent || (axis < 2 && shape[axis] === 1));
  if (shape.length === 4 && fits) return;
  throw new ShapeError(
    "pair-shape",
    `Cannot use ${name} as it must be [B or 1, H or 1, Q, S] = [${wanted.join(", ")}]: [${shape.join(", ")}]. Broadcast it`,
  );
}

function requireLengths(lengths: readonly number[] | undefined, { batch, keys }: AttentionSizes): void {
  if (lengths === undefined) return;
  const legal = (length: number): boolean => Number.isSafeInteger(length) && length >= 0 && length <= keys;
  if (lengths.length === batch && lengths.every(legal)) return;
  throw new DomainError(
    "key-lengths",
    `Cannot limit keys as there must be one length of [0, ${keys}] per batch entry (${batch}): [${lengths.join(", ")}]. ` +
      "Pass a list of that length",
  );
}
