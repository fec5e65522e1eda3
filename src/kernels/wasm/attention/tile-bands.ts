/**
 * @file A tile of which only some pairs are allowed, in bands of rows: each meets the columns between its first and its last
 * allowed pair, and a band without allowed pairs is left out. What is left out has weights of 0, so that no sum changes.
 */
import {
  f32x4,
  type FunctionBuilder,
  i32,
  i32x4,
  type Integer,
  type Local,
  type Value,
} from "../assembler/assembler.ts";
import { type KernelSpec } from "./kernel-spec.ts";

/** Rows of a band: fewer would read the columns of a product too often. */
const bandRows = 16;

/** Rows [from, stop) of a tile and its columns [firstColumn, columns), these multiples of 8. */
export interface Band {
  readonly from: Integer;
  readonly stop: Local;
  readonly firstColumn: Integer;
  readonly columns: Local;
}

/** Parameters of functions that know a band beside `rows` and `columns`, where the band ends. */
export const bandParameters = ["from", "firstColumn"] as const;

/** Whether tiles are computed in bands; max-plus looks at whole tiles. */
export const hasBands = ({ weighing }: KernelSpec): boolean => weighing !== "maxplus";

/**
 * Runs over the bands of a tile; all its rows and columns are one band where `isPartial` is 0.
 *
 * @param bits - of the tile's pairs, eight bytes a row
 */
export function forBands(
  b: FunctionBuilder,
  tile: { readonly isPartial: Value; readonly bits: Local; readonly rows: Local; readonly columns: Local },
  body: (band: Band) => void,
): void {
  const { bits, rows, columns } = tile;
  const isPartial = b.let("isPartial", tile.isPartial);
  const [from, stop, firstColumn, lastColumn] = ["from", "stop", "firstColumn", "lastColumn"].map((name) =>
    b.local("i32", name),
  );
  b.for(from, 0, rows, bandRows, () => {
    b.set(stop, rows);
    b.set(firstColumn, 0);
    b.set(lastColumn, columns);
    b.if(isPartial, () => {
      b.set(stop, i32.min(i32.add(from, bandRows), rows));
      const words = b.let("words", i32.add(bits, i32.mul(from, 8)));
      const two = Array.from({ length: bandRows / 2 }, (_, pair) => f32x4.load(words, 16 * pair));
      const any = b.let(
        "any",
        two.reduce((all, pair) => f32x4.or(all, pair)),
      );
      const half = (word: number): Value => i32.or(i32x4.lane(any, word), i32x4.lane(any, word + 2));
      const [low, high] = [b.let("low", half(0)), b.let("high", half(1))];
      b.set(firstColumn, firstByte(low));
      b.if(i32.equal(low, 0), () => b.set(firstColumn, i32.add(firstByte(high), 32)));
      b.set(lastColumn, i32.add(endOfBytes(high), 32));
      b.if(i32.equal(high, 0), () => b.set(lastColumn, endOfBytes(low)));
      b.if(i32.equal(i32.or(low, high), 0), () => b.set(lastColumn, 0));
      b.set(lastColumn, i32.min(lastColumn, columns));
    });
    b.if(i32.less(firstColumn, lastColumn), () => body({ from, stop, firstColumn, columns: lastColumn }));
    b.if(i32.equal(isPartial, 0), () => b.set(from, rows));
  });
}

const sum = (values: readonly Value[]): Value => values.reduce((total, value) => i32.add(total, value));

/** Eight times the number of the lowest byte of a word that is not 0. */
const firstByte = (word: Local): Value =>
  i32.mul(sum([0xff, 0xffff, 0xffffff].map((bytes) => i32.equal(i32.and(word, bytes), 0))), 8);

/** Eight times the number of bytes up to the highest that is not 0. */
const endOfBytes = (word: Local): Value =>
  i32.sub(32, i32.mul(sum([2 ** 8, 2 ** 16, 2 ** 24].map((least) => i32.below(word, least))), 8));
