/** @file The fields of a task's record as the fused attention reads them; the records of other modules are as long. */
import { i32, type Local, type Value } from "../assembler/assembler.ts";

/** Fields of a record, each an i32: pointers in bytes, counts in rows. A task leaves those that it does not read at 0. */
export const recordFields = [
  "task",
  "query",
  "packedKey",
  "key",
  "value",
  "packedValue",
  "out",
  "outGradient",
  "logSumExp",
  "fullLogSumExp",
  "delta",
  "queryNorm",
  "queryNormStride",
  "keyNorm",
  "keyNormStride",
  "head",
  "firstRow",
  "rows",
  "limit",
  "tiles",
  "tileCount",
  "masks",
  "bias",
  "biasStride",
  "mask",
  "maskStride",
  "table",
  "threshold",
  "tie",
  "keep",
  "scores",
  "scoresStride",
  "queryGradient",
  "keyGradient",
  "valueGradient",
  "parameterGradient",
  "tableGradient",
  "biasGradient",
  "biasGradientStride",
  "winner",
  "count",
  "turned",
  "turns",
  "turnSign",
  "part",
  "partStride",
] as const;
export type RecordField = (typeof recordFields)[number];

export const recordBytes: number = 4 * recordFields.length;

/** The field of a record, read. */
export function field(record: Local, name: RecordField): Value {
  return i32.load(record, 4 * recordFields.indexOf(name));
}
