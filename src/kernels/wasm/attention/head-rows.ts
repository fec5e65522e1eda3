/** @file The rows of a call: its extents, its heads and the rows that they share, and blocks of rows as tasks take them. */
import { type AttentionInputs, type AttentionSizes } from "../../../attention/index.ts";
import { type Tensor } from "../../../base/tensor.ts";

/** One query head of one batch entry, and the key rows and value rows that it reads. */
export interface HeadRows {
  readonly batch: number;
  readonly head: number;
  readonly keyHead: number;
  /** Number among query heads of all batch entries. */
  readonly number: number;
  /** Number of its rows among lifted keys, and among lifted values. */
  readonly keyRows: number;
  readonly valueRows: number;
}

/** All query heads of all batch entries. */
export function headRows(
  { batch, heads, keyHeads }: AttentionSizes,
  { ownKeys, ownValues }: { readonly ownKeys: boolean; readonly ownValues: boolean },
): readonly HeadRows[] {
  return Array.from({ length: batch * heads }, (_, number) => {
    const head = number % heads;
    const keyHead = Math.floor((head * keyHeads) / heads);
    const shared = Math.floor(number / heads) * keyHeads + keyHead;
    return {
      batch: Math.floor(number / heads),
      head,
      keyHead,
      number,
      keyRows: ownKeys ? number : shared,
      valueRows: ownValues ? number : shared,
    };
  });
}

/** The extents of inputs that were checked before. */
export function sizesOf({ q, k, v }: AttentionInputs<Tensor>): AttentionSizes {
  const [batch, heads, queries, width] = q.shape;
  const [, keyHeads, keys] = k.shape;
  return { batch, heads, keyHeads, queries, keys, width, valueWidth: v.shape[3] };
}

const mostRowsPerTask = 1024;

/** Blocks of rows for tasks that treat every row alike. */
export function rowBlocks(rows: number): { first: number; rows: number }[] {
  return Array.from({ length: Math.ceil(rows / mostRowsPerTask) }, (_, block) => ({
    first: block * mostRowsPerTask,
    rows: Math.min(mostRowsPerTask, rows - block * mostRowsPerTask),
  }));
}
