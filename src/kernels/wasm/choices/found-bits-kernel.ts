/** @file The code that finds which pairs of a row tile are those of its round: in the row's range, not its own place, not found before. */
import {
  defineFunction,
  f32x4,
  i32,
  i32x4,
  type Local,
  type Value,
  type WasmModule,
} from "../assembler/assembler.ts";
import { mostPages } from "../engine/tasks.ts";
import { tileKeys, tileRows } from "../attention/kernel-spec.ts";

/** Fields of a task's record, each an i32: addresses of int32 lists, and numbers. */
export const foundFields = [
  "task",
  /** Rows of the tile, and the first of them. */
  "rows",
  "firstRow",
  /** The query of every virtual row, and the keys that it sees at most. */
  "order",
  "starts",
  "stops",
  /** The key of every virtual key. */
  "keys",
  "offset",
  /** Codes of the earlier rounds: of queries, and of the round's keys in their order from the virtual key `firstKey` on. */
  "count",
  "queryCodes",
  "queryStride",
  "keyCodes",
  "keyStride",
  "firstKey",
  "reach",
  /** The first key tile of the row tile, and where the bits of its tiles begin, which are zeros before. */
  "firstTile",
  "bits",
  /** Whether a virtual row has a key. */
  "found",
] as const;
export type FoundField = (typeof foundFields)[number];

const field = (record: Local, name: FoundField): Value => i32.load(record, 4 * foundFields.indexOf(name));

/** Bytes of one tile's bits: two words a row. */
export const tileBitsBytes: number = 8 * tileRows;

/** The module: task `foundBits`. */
export function foundModule(shared: boolean): WasmModule {
  const found = defineFunction(
    "foundBits",
    "bits of pairs that this round finds first",
    ["record", "scratch"],
    false,
    (b, record) => {
      const [row, at, round] = ["row", "at", "round"].map((name) => b.local("i32", name));
      const [queryAt, keyAt, any] = ["queryAt", "keyAt", "any"].map((name) => b.local("i32", name));
      const allowed = b.local("v128", "allowed");
      const firstRow = b.let("firstRow", field(record, "firstRow"));
      const firstKey = b.let("firstKey", field(record, "firstKey"));
      const origin = b.let("origin", i32.mul(field(record, "firstTile"), tileKeys));
      const beyond = b.let("beyond", f32x4.splatInteger(i32.sub(-1, field(record, "reach"))));
      b.for(row, 0, field(record, "rows"), 1, () => {
        const line = b.let("line", i32.mul(i32.add(firstRow, row), 4));
        const query = b.let("query", i32.load(i32.add(field(record, "order"), line)));
        const own = b.let("own", f32x4.splatInteger(i32.add(query, field(record, "offset"))));
        const start = b.let("start", i32.load(i32.add(field(record, "starts"), line)));
        const stop = b.let("stop", i32.load(i32.add(field(record, "stops"), line)));
        const before = b.let("before", f32x4.splatInteger(i32.sub(start, 1)));
        const after = b.let("after", f32x4.splatInteger(stop));
        b.set(any, 0);
        b.for(at, i32.and(start, -4), stop, 4, () => {
          const places = b.let("places", i32x4.add(f32x4.splatInteger(at), f32x4.lanes([0, 1, 2, 3])));
          const keys = f32x4.load(i32.add(field(record, "keys"), i32.mul(at, 4)));
          b.set(allowed, f32x4.and(i32x4.greater(places, before), i32x4.less(places, after)));
          b.set(allowed, f32x4.andNot(allowed, i32x4.equal(keys, own)));
          b.set(queryAt, i32.add(field(record, "queryCodes"), i32.mul(query, 4)));
          b.set(keyAt, i32.add(field(record, "keyCodes"), i32.mul(i32.sub(at, firstKey), 4)));
          b.for(round, 0, field(record, "count"), 1, () => {
            const distance = i32x4.sub(f32x4.splatInteger(i32.load(queryAt)), f32x4.load(keyAt));
            // 0 and 1 have no bit beyond the lowest, numbers below 0 have.
            const isFound = i32x4.equal(f32x4.and(distance, beyond), f32x4.bits(0));
            b.set(allowed, f32x4.andNot(allowed, isFound));
            b.set(queryAt, i32.add(queryAt, field(record, "queryStride")));
            b.set(keyAt, i32.add(keyAt, field(record, "keyStride")));
          });
          const four = b.let("four", i32x4.bitmask(allowed));
          const place = b.let("place", i32.sub(at, origin));
          const word = i32.and(i32.shiftRight(place, 3), 4);
          const tile = i32.mul(i32.shiftRight(place, Math.log2(tileKeys)), tileBitsBytes);
          const address = i32.add(i32.add(field(record, "bits"), tile), i32.add(i32.mul(row, 8), word));
          const to = b.let("to", address);
          b.store(to, i32.or(i32.load(to), i32.shiftLeft(four, i32.and(place, 31))));
          b.set(any, i32.or(any, four));
        });
        b.store(i32.add(field(record, "found"), line), any);
      });
    },
  );
  return {
    header: ["qklab pairs that rounds find"],
    functions: [found],
    exports: ["foundBits"],
    memory: { minimum: 1, maximum: mostPages, shared },
  };
}
