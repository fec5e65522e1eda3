/** @file Writing and reading back: bit for bit, whatever the names and shapes, and always the same bytes. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeSafetensors } from "./encode.ts";
import type { WritableTensor } from "./encode.ts";
import { longestHeaderBytes, parseSafetensorsHeader } from "./header.ts";
import { caught, layFile } from "./hostile-file.ts";
import { decodeSafetensors, decodeTensor, toFloat32 } from "./safetensors.ts";

const unicode = fc.string({ unit: "binary", maxLength: 12 });
const names = fc.oneof(unicode, fc.constantFrom("__proto__", "constructor", "1", "0", "weights.0"));
const shapes = fc.array(fc.nat(4), { maxLength: 4 });
const makers = {
  F64: (bytes: Uint8Array<ArrayBuffer>) => new Float64Array(bytes.buffer),
  F32: (bytes: Uint8Array<ArrayBuffer>) => new Float32Array(bytes.buffer),
  I32: (bytes: Uint8Array<ArrayBuffer>) => new Int32Array(bytes.buffer),
  I8: (bytes: Uint8Array<ArrayBuffer>) => new Int8Array(bytes.buffer),
  U8: (bytes: Uint8Array<ArrayBuffer>) => bytes,
};
const widths = { F64: 8, F32: 4, I32: 4, I8: 1, U8: 1 };

/** Random bytes rather than random numbers, so that every NaN and both zeros occur. */
const tensors = fc.tuple(shapes, fc.constantFrom("F64", "F32", "I32", "I8", "U8")).chain(([shape, dtype]) => {
  const byteCount = shape.reduce((product, extent) => product * extent, widths[dtype]);
  return fc
    .uint8Array({ minLength: byteCount, maxLength: byteCount })
    .map((bytes): WritableTensor => ({ shape, data: makers[dtype](Uint8Array.from(bytes)) }));
});
const contents = fc
  .uniqueArray(fc.tuple(names, tensors), { selector: ([name]) => name, maxLength: 6 })
  .map((pairs) => new Map(pairs.filter(([name]) => name !== "__metadata__")));
const words = fc
  .uniqueArray(fc.tuple(unicode, unicode), { selector: ([key]) => key, maxLength: 4 })
  .map((pairs) => new Map(pairs));

const bytesOf = ({ data }: { data: ArrayBufferView }): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

describe("what is written is read back", () => {
  test("every tensor keeps its name, type, shape and bits, and metadata their words", () => {
    fc.assert(
      fc.property(contents, words, (written, metadata) => {
        const read = decodeSafetensors(encodeSafetensors(written, metadata));
        expect([...read.tensors.keys()].sort()).toEqual([...written.keys()].sort());
        for (const [name, tensor] of written) {
          const back = read.tensors.get(name)!;
          expect(back.shape).toEqual(tensor.shape);
          expect(back.data.constructor).toBe(tensor.data.constructor);
          expect(bytesOf(back)).toEqual(bytesOf(tensor));
        }
        expect(new Map(read.metadata)).toEqual(metadata);
      }),
    );
  });

  test("the order in which tensors and metadata are given does not change a byte", () => {
    const reversed = <Value>(map: ReadonlyMap<string, Value>): Map<string, Value> =>
      new Map([...map].reverse());
    fc.assert(
      fc.property(contents, words, (written, metadata) => {
        expect(encodeSafetensors(reversed(written), reversed(metadata))).toEqual(
          encodeSafetensors(written, metadata),
        );
      }),
    );
  });

  test("the header ends on a multiple of 8 and every tensor on a multiple of its own width", () => {
    fc.assert(
      fc.property(contents, words, (written, metadata) => {
        const bytes = encodeSafetensors(written, metadata);
        expect(new DataView(bytes.buffer).getBigUint64(0, true) % 8n).toBe(0n);
        for (const { name, begin } of parseSafetensorsHeader(bytes).entries.values()) {
          expect(begin % written.get(name)!.data.BYTES_PER_ELEMENT).toBe(0);
        }
      }),
    );
  });

  test("a part of a larger array is written alone", () => {
    const data = Float32Array.of(1, 2, 3, 4).subarray(1, 3);
    const read = decodeSafetensors(encodeSafetensors({ part: { data, shape: [2] } }));
    expect(read.tensors.get("part")?.data).toEqual(Float32Array.of(2, 3));
  });

  test("bytes may lie anywhere in a larger buffer, and what is read does not alias them", () => {
    const file = encodeSafetensors({ a: { data: Float64Array.of(1, 2), shape: [2] } });
    const pool = Buffer.alloc(file.length + 3);
    pool.set(file, 3);
    const { tensors: read } = decodeSafetensors(pool.subarray(3));
    pool.fill(0);
    expect(read.get("a")?.data).toEqual(Float64Array.of(1, 2));
  });
});

describe("the bytes of the format, laid by hand", () => {
  test("one tensor and one word of metadata", () => {
    const header =
      '{"__metadata__":{"format":"pt"},"attn.0":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}    ';
    const expected = layFile(header, 8);
    expected.set(Uint8Array.of(0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0), 8 + header.length);
    const data = Float32Array.of(1, -2.5);
    expect(encodeSafetensors({ "attn.0": { data, shape: [1, 2] } }, { format: "pt" })).toEqual(expected);
  });

  test("nothing at all", () => {
    expect(encodeSafetensors({})).toEqual(layFile("{}      ", 0));
  });

  test("wide elements first, then names in order, integer-like ones included", () => {
    const { entries } = parseSafetensorsHeader(
      encodeSafetensors({
        b: { data: Float32Array.of(1), shape: [] },
        z: { data: Float64Array.of(1), shape: [1] },
        10: { data: Float32Array.of(1), shape: [] },
        a: { data: Uint8Array.of(1), shape: [] },
        i: { data: Int32Array.of(1), shape: [] },
      }),
    );
    expect([...entries.keys()]).toEqual(["z", "10", "b", "i", "a"]);
  });
});

describe("what cannot be written", () => {
  const data = Float32Array.of(1, 2);

  test.each([[3], [-1, -2], [0.5, 4], [Number.NaN], [2, Infinity], [2 ** 53, 0], []])(
    "shape [%s, %s] for two numbers",
    (...shape) => {
      const error = caught(() =>
        encodeSafetensors({ a: { data, shape: shape.filter((x) => x !== undefined) } }),
      );
      expect(error).toMatchObject({ name: "ShapeError", code: "safetensors-shape" });
    },
  );

  test.each(["__metadata__", "\ud800", "a\udc00"])("a tensor named %j", (name) => {
    expect(caught(() => encodeSafetensors({ [name]: { data, shape: [2] } }))).toMatchObject({
      name: "DomainError",
      code: "safetensors-name",
    });
  });

  test("an array of another type", () => {
    const unsigned = Uint16Array.of(1, 2) as unknown as Uint8Array;
    expect(caught(() => encodeSafetensors({ a: { data: unsigned, shape: [2] } }))).toMatchObject({
      code: "safetensors-dtype",
      message: expect.stringContaining("Uint16Array"),
    });
  });

  test.each([5, undefined, null, {}, "\ud800"])("metadata of %j", (value) => {
    expect(caught(() => encodeSafetensors({}, { k: value as string }))).toMatchObject({
      name: "DomainError",
      code: "safetensors-metadata",
    });
  });

  test("a header beyond the limit, which no reader would take", () => {
    const bytesPerEscape = 6;
    const k = "\0".repeat(longestHeaderBytes / bytesPerEscape);
    expect(caught(() => encodeSafetensors({}, { k }))).toMatchObject({ code: "safetensors-length" });
  });
});

describe("decoding one tensor", () => {
  const bytes = encodeSafetensors({ a: { data: Int32Array.of(7, 8), shape: [2] } });
  const entry = parseSafetensorsHeader(bytes).entries.get("a")!;

  test("its own bytes are enough", () => {
    expect(decodeTensor(entry, bytes.subarray(entry.begin, entry.end))).toEqual({
      dtype: "I32",
      shape: [2],
      data: Int32Array.of(7, 8),
    });
  });

  test("more or fewer bytes are refused", () => {
    expect(caught(() => decodeTensor(entry, bytes))).toMatchObject({
      name: "ShapeError",
      code: "safetensors-span",
    });
  });
});

describe("narrowing to float32", () => {
  test("numbers of every type keep their shape and are rounded once", () => {
    const shape = [2];
    expect(toFloat32({ dtype: "F64", shape, data: Float64Array.of(0.1, -Infinity) })).toEqual({
      shape,
      data: Float32Array.of(0.1, -Infinity),
    });
    expect(toFloat32({ dtype: "I64", shape, data: BigInt64Array.of(-3n, 2n ** 62n) }).data).toEqual(
      Float32Array.of(-3, 2 ** 62),
    );
    expect(toFloat32({ dtype: "BOOL", shape, data: Uint8Array.of(0, 1) }).data).toEqual(
      Float32Array.of(0, 1),
    );
  });

  test("a float32 tensor is passed on without a copy", () => {
    const data = Float32Array.of(1);
    expect(toFloat32({ dtype: "F32", shape: [1], data }).data).toBe(data);
  });

  test("a finite number that would become infinite is refused", () => {
    const data = Float64Array.of(1, -1e39);
    expect(caught(() => toFloat32({ dtype: "F64", shape: [2], data }))).toMatchObject({
      name: "NumbersError",
      code: "float32-overflow",
      message: expect.stringContaining("-1e+39 at element 1"),
    });
  });
});
