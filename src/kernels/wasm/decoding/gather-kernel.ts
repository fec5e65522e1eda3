/** @file The code that copies keys and values of a list of places side by side: keys from panels of eight into panels of eight. */
import {
  defineFunction,
  f32x4,
  i32,
  type Local,
  type Value,
  type WasmModule,
} from "../assembler/assembler.ts";
import { mostPages } from "../attention/emit-kernel.ts";

/** Fields of a task's record, each an i32: addresses of one head's rows, and numbers. */
export const gatherFields = [
  "task",
  /** The list of places, and how many. */
  "places",
  "count",
  /** Keys of a multiple of eight numbers, by panels. */
  "keys",
  "keysTo",
  "keyNumbers",
  /** Rows of values, whose bytes are a multiple of 16. */
  "values",
  "valuesTo",
  "valueBytes",
  /** Norms of keys, segment by segment. */
  "norms",
  "normsTo",
  "segments",
  "normStride",
  "normStrideTo",
] as const;
export type GatherField = (typeof gatherFields)[number];

const field = (record: Local, name: GatherField): Value => i32.load(record, 4 * gatherFields.indexOf(name));

const panelKeys = 8;

/** The module: task `gather`. */
export function gatherModule(shared: boolean): WasmModule {
  const gather = defineFunction(
    "gather",
    "keys, values and norms of a list of places",
    ["record", "scratch"],
    false,
    (b, record) => {
      const [index, at] = ["index", "at"].map((name) => b.local("i32", name));
      const places = b.let("places", field(record, "places"));
      const keyNumbers = b.let("keyNumbers", field(record, "keyNumbers"));
      const valueBytes = b.let("valueBytes", field(record, "valueBytes"));
      const columnOf = (base: GatherField, row: Local): Value => {
        const panel = i32.mul(i32.and(row, -panelKeys), i32.mul(keyNumbers, 4));
        return i32.add(field(record, base), i32.add(panel, i32.mul(i32.and(row, panelKeys - 1), 4)));
      };
      const rowOf = (base: GatherField, row: Local): Value =>
        i32.add(field(record, base), i32.mul(row, valueBytes));
      const placeOf = (): Value => i32.load(i32.add(places, i32.mul(index, 4)));
      b.for(index, 0, field(record, "count"), 1, () => {
        const place = b.let("place", placeOf());
        const [from, to] = [b.let("from", columnOf("keys", place)), b.let("to", columnOf("keysTo", index))];
        const stride = 4 * panelKeys;
        // A float is copied as the integer of its bits.
        b.for(at, 0, i32.mul(keyNumbers, stride), stride, () =>
          b.store(i32.add(to, at), i32.load(i32.add(from, at))),
        );
        const [row, rowTo] = [b.let("row", rowOf("values", place)), b.let("rowTo", rowOf("valuesTo", index))];
        b.for(at, 0, valueBytes, 16, () => b.store(i32.add(rowTo, at), f32x4.load(i32.add(row, at))));
        const [norm, normTo] = [
          b.let("norm", i32.add(field(record, "norms"), i32.mul(place, 4))),
          b.let("normTo", i32.add(field(record, "normsTo"), i32.mul(index, 4))),
        ];
        b.for(at, 0, field(record, "segments"), 1, () => {
          b.store(normTo, i32.load(norm));
          b.set(norm, i32.add(norm, field(record, "normStride")));
          b.set(normTo, i32.add(normTo, field(record, "normStrideTo")));
        });
      });
    },
  );
  return {
    header: ["qklab keys and values that a query keeps"],
    functions: [gather],
    exports: ["gather"],
    memory: { minimum: 1, maximum: mostPages, shared },
  };
}
