/** @file Where things lie in the scratch memory that every thread has for itself. */
import { type KernelSpec, tileKeys, tileRows } from "./kernel-spec.ts";

/** Byte offsets in a thread's scratch memory. */
export interface ScratchLayout {
  /** One tile of inner reductions per segment, [tileRows, tileKeys]; scores and weights replace the first. */
  readonly inner: readonly number[];
  /** The tile of dO·vᵀ, then of weights. */
  readonly weights: number;
  readonly maximum: number;
  readonly sum: number;
  readonly factor: number;
  /** Values per row and per key that scores read. */
  readonly rowValues: number;
  readonly keyValues: number;
  /** Gradients by squared norms, summed per row and per key, one list a segment. */
  readonly rowSums: number;
  readonly keySums: number;
  /** One vector a parameter. */
  readonly parameterSums: number;
  /** Sortable scores of a row tile, for selection; the rest of the scratch memory. */
  readonly sortable: number;
  readonly bytes: number;
}

/** The scratch memory of a kernel whose programs keep at most `mostCrossing` values per row or key. */
export function scratchLayout({ segments, parameterNames }: KernelSpec, mostCrossing: number): ScratchLayout {
  let bytes = 0;
  const take = (size: number): number => {
    const at = bytes;
    bytes += Math.ceil(size / 64) * 64;
    return at;
  };
  const tile = 4 * tileRows * tileKeys;
  return {
    inner: segments.map(() => take(tile)),
    weights: take(tile),
    maximum: take(4 * tileRows),
    sum: take(4 * tileRows),
    factor: take(4 * tileRows),
    rowValues: take(4 * tileRows * mostCrossing),
    keyValues: take(4 * tileKeys * mostCrossing),
    rowSums: take(4 * tileRows * segments.length),
    keySums: take(4 * tileKeys * segments.length),
    parameterSums: take(16 * (parameterNames.length + 1)),
    sortable: take(0),
    bytes,
  };
}
