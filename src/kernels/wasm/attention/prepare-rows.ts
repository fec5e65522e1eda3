/**
 * @file What comes before all passes: queries, keys and values on their way into the memory, each lifted once and turned by
 * its place, the copies of a rearrangement, packed keys, and the squared norms that scores read.
 */
import { type CopiedArray } from "./copied-arrays.ts";
import { type HeadRows, rowBlocks } from "./head-rows.ts";
import { fewRows, type KernelCall } from "./kernel-call.ts";
import { liftRows } from "./lift-rows.ts";
import { liftValues } from "./value-rows.ts";

/** Writes the rows of a call, as its passes read them. */
export function prepareRows(call: KernelCall): void {
  const { kernel, heads, query, key, paddedQueries, paddedKeys } = call;
  const { rowWidth } = kernel.spec;
  liftQueries(call);
  if (!call.isStored) liftKeys(call);
  call.turn("forth", [
    ...heads.map(({ number }) => ["query", query + 4 * number * paddedQueries * rowWidth] as const),
    ...keyRowsOf(call).map((row) => ["key", key + 4 * row * paddedKeys * rowWidth] as const),
  ]);
  copyRearranged(call);
  packKeys(call);
  if (kernel.readsNorms.queries) queryNorms(call);
}

/** Numbers of the key heads that a call brings. */
const keyRowsOf = ({ isStored, heads }: KernelCall): number[] =>
  isStored ? [] : [...new Set(heads.map(({ keyRows }) => keyRows))];

/** Rows of one head, zeros behind the last; copies are written later. */
function rowsAt(
  call: KernelCall,
  base: number,
  index: number,
  side: "queries" | "keys",
  width: number,
): Float32Array {
  const count = side === "queries" ? call.paddedQueries : call.paddedKeys;
  const [own, all] = [call.sizes[side], call.virtual[side]];
  const rows = call.view(base + 4 * index * count * width, count * width);
  if (own === all) return rows;
  rows.fill(0, all * width);
  return rows.subarray(0, own * width);
}

const part = (data: Float32Array, index: number, count: number): Float32Array =>
  data.subarray(index * count, (index + 1) * count);

function liftQueries(call: KernelCall): void {
  const { inputs, sizes, heads, lifts } = call;
  const { queries, width } = sizes;
  for (const { head, number } of heads) {
    const target = rowsAt(call, call.query, number, "queries", call.kernel.spec.rowWidth);
    const source = part(inputs.q.data, number, queries * width);
    liftRows(lifts.query, source, target, queries, call.rootMetric(head));
  }
}

function liftKeys(call: KernelCall): void {
  const { inputs, sizes, heads, lifts } = call;
  const { keys, width, valueWidth } = sizes;
  const { rowWidth, paddedValueWidth } = call.kernel.spec;
  const shared = ({ batch, keyHead }: HeadRows): number => batch * sizes.keyHeads + keyHead;
  for (const [keyRows, rows] of new Map(heads.map((of) => [of.keyRows, of]))) {
    const target = rowsAt(call, call.key, keyRows, "keys", rowWidth);
    const source = part(inputs.k.data, shared(rows), keys * width);
    liftRows(lifts.key, source, target, keys, call.rootMetric(rows.head));
  }
  for (const [valueRows, rows] of new Map(heads.map((of) => [of.valueRows, of]))) {
    const target = rowsAt(call, call.value, valueRows, "keys", paddedValueWidth);
    liftValues(part(inputs.v.data, shared(rows), keys * valueWidth), target, call.valueLayout(rows.head));
  }
}

function copyRearranged(call: KernelCall): void {
  const { heads, query, key, value, paddedQueries, paddedKeys } = call;
  const { rowWidth, paddedValueWidth } = call.kernel.spec;
  const arrays = heads.map(({ number }): CopiedArray => ({
    side: "rows",
    number,
    data: query + 4 * number * paddedQueries * rowWidth,
    width: rowWidth,
  }));
  const ofKeys = (base: number, row: number, number: number, width: number): CopiedArray => ({
    side: "keys",
    number,
    data: base + 4 * row * paddedKeys * width,
    width,
  });
  if (!call.isStored) {
    for (const [row, { number }] of new Map(heads.map((of) => [of.keyRows, of]))) {
      arrays.push(ofKeys(key, row, number, rowWidth));
    }
    for (const [row, { number }] of new Map(heads.map((of) => [of.valueRows, of]))) {
      arrays.push(ofKeys(value, row, number, paddedValueWidth));
    }
  }
  call.copies.move("copyRows", arrays);
}

function packKeys(call: KernelCall): void {
  if (call.isStored) return;
  const { kernel, paddedKeys } = call;
  const { rowWidth, segments } = kernel.spec;
  const blocks = keyRowsOf(call).flatMap((keyRows) =>
    rowBlocks(paddedKeys).map(({ first, rows }) => {
      const row = keyRows * paddedKeys + first;
      return {
        key: call.key + 4 * row * rowWidth,
        packedKey: call.packedKey + 4 * row * rowWidth,
        keyNorm: call.keyNorm + 4 * (keyRows * paddedKeys * segments.length + first),
        keyNormStride: 4 * paddedKeys,
        rows,
      };
    }),
  );
  const isSmall = blocks.reduce((sum, { rows }) => sum + rows, 0) <= fewRows;
  call.run("packKeys", blocks, isSmall);
  if (kernel.readsNorms.keys) call.run("keyNorms", blocks, isSmall);
}

function queryNorms(call: KernelCall): void {
  const { kernel, heads, paddedQueries } = call;
  const { rowWidth, segments } = kernel.spec;
  const records = heads.map(({ number }) => ({
    query: call.query + 4 * number * paddedQueries * rowWidth,
    queryNorm: call.queryNorm + 4 * number * paddedQueries * segments.length,
    queryNormStride: 4 * paddedQueries,
    rows: paddedQueries,
  }));
  call.run("queryNorms", records, paddedQueries * heads.length <= fewRows);
}
