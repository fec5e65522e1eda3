/**
 * @file Between rows of sequences [B, N, width] and rows of heads [B, heads, N, D]: the blocks that a task goes through, as
 * code and as records. N is padded to a multiple of 4, both widths to multiples of 8.
 */
import { type FunctionBuilder, i32, type Integer, type Local } from "../assembler/assembler.ts";
import { blockRows, type DenseField, denseFields, type FieldReader, fieldReader } from "./dense-code.ts";
import { roundUp } from "../attention/kernel-spec.ts";

const ownFields = [
  /** Sequences, each with `rows` rows, that a task goes through. */
  "sequences",
  "input",
  "inputGradient",
  /** From one sequence of rows to the next, and of heads; from one head to the next. */
  "inputStride",
  "headsStride",
  "headStride",
  /** The first head's first row. */
  "heads",
  "headGradients",
  "weight",
  "packed",
  "weightGradient",
  "gain",
  "shift",
  "gainGradient",
  "shiftGradient",
  "out",
  "outGradient",
] as const;
export type HeadBlockField = DenseField | (typeof ownFields)[number];
/** Fields of the records of such a task. */
export const headBlockFields: readonly ("task" | HeadBlockField)[] = [...denseFields, ...ownFields];
export const headBlockField: FieldReader<HeadBlockField> = fieldReader(headBlockFields);

/** What a kernel knows of both layouts; `heads` are all that it reads or writes. */
export interface HeadLayout {
  readonly width: number;
  readonly heads: number;
  readonly headWidth: number;
}

/** A block of rows: how many, and where it lies behind the first row of the sequences and of the first head, in bytes. */
interface RowBlock {
  readonly rows: Local;
  readonly rowOffset: Local;
  readonly headOffset: Local;
}

/** Goes through all blocks of rows of a task. */
export function forRowBlocks(
  b: FunctionBuilder,
  record: Local,
  { width, headWidth }: Omit<HeadLayout, "heads">,
  body: (block: RowBlock) => void,
): void {
  const [sequence, first] = ["sequence", "first"].map((name) => b.local("i32", name));
  const total = b.let("total", headBlockField(record, "rows"));
  const sequences = b.let("sequences", headBlockField(record, "sequences"));
  b.for(sequence, 0, sequences, 1, () => {
    const rowStart = b.let("rowStart", i32.mul(sequence, headBlockField(record, "inputStride")));
    const headStart = b.let("headStart", i32.mul(sequence, headBlockField(record, "headsStride")));
    b.for(first, 0, total, blockRows, () => {
      body({
        rows: b.let("rows", i32.min(i32.sub(total, first), blockRows)),
        rowOffset: b.let("rowOffset", i32.add(rowStart, i32.mul(first, 4 * roundUp(width, 8)))),
        headOffset: b.let("headOffset", i32.add(headStart, i32.mul(first, 4 * roundUp(headWidth, 8)))),
      });
    });
  });
}

/** Goes through all heads: `places` are moved on by their strides, in bytes. */
export function forHeads(
  b: FunctionBuilder,
  { heads }: { readonly heads: Integer },
  places: readonly { readonly place: Local; readonly stride: Local | number }[],
  body: () => void,
): void {
  const head = b.local("i32", "head");
  b.for(head, 0, heads, 1, () => {
    body();
    for (const { place, stride } of places) b.set(place, i32.add(place, stride));
  });
}

/** A run of rows within one sequence, or of whole sequences: the share of one task. */
export interface RowShare {
  readonly sequence: number;
  readonly sequences: number;
  readonly first: number;
  readonly rows: number;
}

/** Blocks, each of one sequence. */
export function rowShares(batch: number, rows: number, size: number = blockRows): RowShare[] {
  return Array.from({ length: batch }, (_, sequence) =>
    Array.from({ length: Math.ceil(rows / size) }, (__, block) => ({
      sequence,
      sequences: 1,
      first: block * size,
      rows: Math.min(size, rows - block * size),
    })),
  ).flat();
}

/** So many shares at most, of about equal size: several sequences each, or sequences in pieces where there are few. */
export function largeRowShares(batch: number, rows: number, most: number): RowShare[] {
  if (batch >= most) {
    const size = Math.ceil(batch / most);
    return Array.from({ length: Math.ceil(batch / size) }, (_, share) => ({
      sequence: share * size,
      sequences: Math.min(size, batch - share * size),
      first: 0,
      rows,
    }));
  }
  const pieces = Math.floor(most / batch);
  return rowShares(batch, rows, Math.max(blockRows, roundUp(Math.ceil(rows / pieces), blockRows)));
}
