/**
 * @file Sparse patterns as dense tiles: copies of rows and keys in an order in which the pairs of a pattern lie side by
 * side. The first virtual rows are the rows themselves, and the first virtual keys the keys; copies follow. Every allowed
 * pair is a pair of one virtual row and one virtual key, and no other pair is.
 */
import { type Pattern } from "../../../patterns/index.ts";

/** Virtual rows and keys. */
export interface Rearrangement {
  /** The row that each virtual row is a copy of; the first Q are themselves. */
  readonly rows: Int32Array;
  /** The key that each virtual key is a copy of; the first S are themselves. */
  readonly keys: Int32Array;
}

/** A pattern over virtual rows and keys, of which every virtual row sees two ranges at most. */
export interface RearrangedPattern extends Rearrangement {
  /** Virtual keys of virtual row v: [ranges[4v], ranges[4v+1]) and [ranges[4v+2], ranges[4v+3]). */
  readonly ranges: Int32Array;
}

/**
 * The rearrangement of a pattern for Q queries from place `offset` and S keys; undefined for patterns that have none.
 *
 * `fixed`: the summary columns of all blocks are copied to the end, where a row sees those of the blocks before its own.
 * `strided`: rows and keys are copied in the order of their residue by the stride, where a row sees the places of its own
 * residue beyond the local window.
 */
export function rearrange(
  { name, options }: Pick<Pattern, "name" | "options">,
  queries: number,
  keys: number,
  offset: number,
): RearrangedPattern | undefined {
  const sizes = { queries, keys, offset };
  if (name === "fixed") return fixedRows(options, sizes);
  if (name === "strided") return stridedRows(options["stride"] as number, options["local"] as number, sizes);
  return undefined;
}

interface Sizes {
  readonly queries: number;
  readonly keys: number;
  readonly offset: number;
}

function fixedRows(options: Pattern["options"], { queries, keys, offset }: Sizes): RearrangedPattern {
  const [block, columns] = [options["block"] as number, options["columns"] as number];
  const hasOwn = options["part"] !== "columns";
  const summaries: number[] = [];
  for (let start = block - columns; start < keys; start += block) {
    for (let key = start; key < Math.min(start + columns, keys); key++) summaries.push(key);
  }
  const ranges = new Int32Array(4 * queries);
  for (let row = 0; row < queries; row++) {
    const place = row + offset;
    const own = clipped(block * Math.floor(place / block), keys);
    const copies = keys + summariesBefore(own, block, columns);
    ranges.set([own, hasOwn ? clipped(place + 1, keys) : own, keys, copies], 4 * row);
  }
  return { rows: numbers(queries), keys: Int32Array.from([...numbers(keys), ...summaries]), ranges };
}

/** How many summary columns lie before a place ≥ 0. */
export function summariesBefore(place: number, block: number, columns: number): number {
  return Math.floor(place / block) * columns + Math.max(0, (place % block) - (block - columns));
}

function stridedRows(stride: number, local: number, { queries, keys, offset }: Sizes): RearrangedPattern {
  const rows = byResidue(queries, stride);
  const ranges = new Int32Array(4 * rows.length);
  for (let row = 0; row < queries; row++) {
    const place = row + offset;
    ranges.set([clipped(place - local + 1, keys), clipped(place + 1, keys)], 4 * row);
  }
  for (let virtual = queries; virtual < rows.length; virtual++) {
    const place = rows[virtual] + offset;
    const residue = place - stride * Math.floor(place / stride);
    const last = Math.min(place - local, keys - 1);
    if (last < residue) continue;
    const first = keys + residuesBefore(residue, keys, stride);
    ranges.set([first, first + Math.floor((last - residue) / stride) + 1], 4 * virtual);
  }
  return { rows, keys: byResidue(keys, stride), ranges };
}

/** 0 … count − 1, and once more with those of one residue by the stride side by side. */
function byResidue(count: number, stride: number): Int32Array {
  const order = new Int32Array(2 * count);
  order.set(numbers(count));
  let at = count;
  for (let first = 0; first < Math.min(stride, count); first++) {
    for (let number = first; number < count; number += stride) order[at++] = number;
  }
  return order;
}

/** How many of 0 … count − 1 have a smaller residue. */
function residuesBefore(residue: number, count: number, stride: number): number {
  return residue * Math.floor(count / stride) + Math.min(residue, count % stride);
}

const numbers = (count: number): Int32Array => Int32Array.from({ length: count }, (_, number) => number);

const clipped = (place: number, keys: number): number => Math.min(Math.max(place, 0), keys);
