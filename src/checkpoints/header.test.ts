/** @file Headers from outside: what the format allows is read, and everything else is one error with a stable code. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DomainError, ShapeError } from "../base/errors.ts";
import { encodeSafetensors } from "./encode.ts";
import { findEntry, parseSafetensorsHeader, safetensorsHeaderLength } from "./header.ts";
import { caught, layFile, wordingRule } from "./hostile-file.ts";
import { decodeSafetensors } from "./safetensors.ts";

const u8 = (name: string, begin: number, end: number): string =>
  `${JSON.stringify(name)}:{"dtype":"U8","shape":[${end - begin}],"data_offsets":[${begin},${end}]}`;
const one = (fields: string): string => `{"a":{${fields}}}`;

function isFormatError(error: unknown): boolean {
  return (
    (error instanceof DomainError || error instanceof ShapeError) &&
    error.code.startsWith("safetensors-") &&
    wordingRule.test(error.message)
  );
}

interface Refusal {
  readonly what: string;
  readonly header: string;
  readonly dataBytes?: number;
  readonly code: string;
}

const refusals: readonly Refusal[] = [
  { what: "a gap at the start", header: `{${u8("a", 1, 4)}}`, code: "offsets" },
  { what: "a gap between tensors", header: `{${u8("a", 0, 1)},${u8("b", 2, 4)}}`, code: "offsets" },
  { what: "bytes after the last tensor", header: `{${u8("a", 0, 3)}}`, code: "offsets" },
  { what: "data that no tensor claims", header: "{}", code: "offsets" },
  { what: "overlapping tensors", header: `{${u8("a", 0, 3)},${u8("b", 2, 4)}}`, code: "offsets" },
  { what: "two tensors on the same bytes", header: `{${u8("a", 0, 4)},${u8("b", 0, 4)}}`, code: "offsets" },
  { what: "a tensor inside another", header: `{${u8("a", 0, 4)},${u8("b", 1, 2)}}`, code: "offsets" },
  { what: "an empty tensor inside another", header: `{${u8("a", 0, 4)},${u8("b", 2, 2)}}`, code: "offsets" },
  { what: "a range beyond the file", header: `{${u8("a", 0, 5)}}`, code: "offsets" },
  { what: "a range far beyond the file", header: `{${u8("a", 0, 2 ** 52)}}`, code: "offsets" },
  {
    what: "an offset beyond the safe integers once it is counted from the file's start",
    header: one(`"dtype":"U8","shape":[0],"data_offsets":[9007199254740991,9007199254740991]`),
    code: "offsets",
  },
  {
    what: "a range that ends before it begins",
    header: one(`"dtype":"U8","shape":[0],"data_offsets":[4,0]`),
    code: "offsets",
  },
  { what: "one offset", header: one(`"dtype":"U8","shape":[4],"data_offsets":[4]`), code: "offsets" },
  { what: "three offsets", header: one(`"dtype":"U8","shape":[4],"data_offsets":[0,4,4]`), code: "offsets" },
  {
    what: "a range wider than the shape",
    header: one(`"dtype":"U8","shape":[3],"data_offsets":[0,4]`),
    code: "span",
  },
  {
    what: "a shape wider than the range",
    header: one(`"dtype":"F32","shape":[4],"data_offsets":[0,4]`),
    code: "span",
  },
  {
    what: "a scalar of no bytes",
    header: one(`"dtype":"F32","shape":[],"data_offsets":[0,0]`),
    code: "span",
  },
  { what: "a negative extent", header: one(`"dtype":"U8","shape":[-4],"data_offsets":[0,4]`), code: "shape" },
  {
    what: "two negative extents",
    header: one(`"dtype":"U8","shape":[-2,-2],"data_offsets":[0,4]`),
    code: "shape",
  },
  { what: "a negative zero", header: one(`"dtype":"U8","shape":[-0],"data_offsets":[0,4]`), code: "shape" },
  {
    what: "a fractional extent",
    header: one(`"dtype":"U8","shape":[0.5,8],"data_offsets":[0,4]`),
    code: "shape",
  },
  {
    what: "an extent written as a float",
    header: one(`"dtype":"U8","shape":[4.0],"data_offsets":[0,4]`),
    code: "shape",
  },
  { what: "an exponent", header: one(`"dtype":"U8","shape":[4e0],"data_offsets":[0,4]`), code: "shape" },
  {
    what: "an octal-looking extent",
    header: one(`"dtype":"U8","shape":[04],"data_offsets":[0,4]`),
    code: "shape",
  },
  { what: "NaN as an extent", header: one(`"dtype":"U8","shape":[NaN],"data_offsets":[0,4]`), code: "shape" },
  {
    what: "Infinity as an extent",
    header: one(`"dtype":"U8","shape":[Infinity],"data_offsets":[0,4]`),
    code: "shape",
  },
  {
    what: "null as an extent",
    header: one(`"dtype":"U8","shape":[null],"data_offsets":[0,4]`),
    code: "shape",
  },
  {
    what: "an integer that a double rounds",
    header: one(`"dtype":"U8","shape":[9007199254740993],"data_offsets":[0,4]`),
    code: "shape",
  },
  {
    what: "an extent of 2⁶⁴",
    header: one(`"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,4]`),
    code: "shape",
  },
  {
    what: "an endless number",
    header: one(`"dtype":"U8","shape":[${"1".repeat(100_000)}],"data_offsets":[0,4]`),
    code: "shape",
  },
  { what: "a negative offset", header: one(`"dtype":"U8","shape":[4],"data_offsets":[-4,0]`), code: "shape" },
  {
    what: "a product beyond 2⁵³",
    header: one(`"dtype":"U8","shape":[94906267,94906267],"data_offsets":[0,4]`),
    code: "shape",
  },
  {
    what: "a product that wraps 2⁶⁴ to the right size",
    header: one(`"dtype":"U8","shape":[4294967296,4294967296,4],"data_offsets":[0,4]`),
    code: "shape",
  },
  {
    what: "a huge product times zero",
    header: one(`"dtype":"U8","shape":[94906267,94906267,0],"data_offsets":[0,0]`),
    dataBytes: 0,
    code: "shape",
  },
  {
    what: "an unknown dtype",
    header: one(`"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]`),
    code: "dtype",
  },
  {
    what: "a dtype in lower case",
    header: one(`"dtype":"u8","shape":[4],"data_offsets":[0,4]`),
    code: "dtype",
  },
  {
    what: "a dtype that objects inherit",
    header: one(`"dtype":"constructor","shape":[4],"data_offsets":[0,4]`),
    code: "dtype",
  },
  { what: "a name given twice", header: `{${u8("a", 0, 2)},${u8("a", 2, 4)}}`, code: "duplicate" },
  {
    what: "a name given twice, once escaped",
    header: `{${u8("a", 0, 2)},${u8("a", 2, 4).replace('"a"', '"\\u0061"')}}`,
    code: "duplicate",
  },
  {
    what: "a field given twice",
    header: one(`"dtype":"F32","dtype":"U8","shape":[4],"data_offsets":[0,4]`),
    code: "duplicate",
  },
  {
    what: "metadata given twice",
    header: `{"__metadata__":{},"__metadata__":{},${u8("a", 0, 4)}}`,
    code: "duplicate",
  },
  {
    what: "a metadata key given twice",
    header: `{"__metadata__":{"k":"1","k":"2"},${u8("a", 0, 4)}}`,
    code: "duplicate",
  },
  { what: "metadata of numbers", header: `{"__metadata__":{"step":5},${u8("a", 0, 4)}}`, code: "json" },
  { what: "nested metadata", header: `{"__metadata__":{"k":{}},${u8("a", 0, 4)}}`, code: "json" },
  { what: "metadata that is null", header: `{"__metadata__":null,${u8("a", 0, 4)}}`, code: "json" },
  { what: "a tensor that is null", header: `{"a":null}`, code: "json" },
  { what: "a tensor that is a list", header: `{"a":[]}`, code: "json" },
  { what: "no dtype", header: one(`"shape":[4],"data_offsets":[0,4]`), code: "json" },
  { what: "no shape", header: one(`"dtype":"U8","data_offsets":[0,4]`), code: "json" },
  { what: "no offsets", header: one(`"dtype":"U8","shape":[4]`), code: "json" },
  {
    what: "a field of no meaning",
    header: one(`"dtype":"U8","shape":[4],"data_offsets":[0,4],"strides":[1]`),
    code: "json",
  },
  {
    what: "a dtype that is a number",
    header: one(`"dtype":8,"shape":[4],"data_offsets":[0,4]`),
    code: "json",
  },
  {
    what: "a shape that is a number",
    header: one(`"dtype":"U8","shape":4,"data_offsets":[0,4]`),
    code: "json",
  },
  {
    what: "a shape of strings",
    header: one(`"dtype":"U8","shape":["4"],"data_offsets":[0,4]`),
    code: "json",
  },
  { what: "a nested shape", header: one(`"dtype":"U8","shape":[[4]],"data_offsets":[0,4]`), code: "json" },
  { what: "an object 100,000 deep", header: '{"a":'.repeat(100_000), code: "json" },
  { what: "a list 100,000 deep", header: one(`"dtype":"U8","shape":${"[".repeat(100_000)}`), code: "json" },
  { what: "an empty header", header: "", code: "json" },
  { what: "only a brace", header: "{", code: "json" },
  { what: "a list", header: "[]", code: "json" },
  { what: "a space before the brace", header: ` {${u8("a", 0, 4)}}`, code: "json" },
  { what: "a byte order mark", header: `\ufeff{${u8("a", 0, 4)}}`, code: "json" },
  { what: "a second object", header: `{${u8("a", 0, 4)}}{}`, code: "json" },
  { what: "zero bytes as padding", header: `{${u8("a", 0, 4)}}\0\0`, code: "json" },
  { what: "a comma at the end", header: `{${u8("a", 0, 4)},}`, code: "json" },
  {
    what: "a comma at the end of a list",
    header: one(`"dtype":"U8","shape":[4,],"data_offsets":[0,4]`),
    code: "json",
  },
  { what: "no colon", header: `{"a"}`, code: "json" },
  { what: "single quotes", header: `{'a':{}}`, code: "json" },
  { what: "a comment", header: `{/**/${u8("a", 0, 4)}}`, code: "json" },
  { what: "a string that never ends", header: `{"a`, code: "json" },
  { what: "a string that ends in an escape", header: `{"a\\`, code: "json" },
  { what: "an unknown escape", header: `{"\\x41":{}}`, code: "json" },
  { what: "a raw line end in a string", header: `{"a\n":{}}`, code: "json" },
  { what: "half a surrogate pair", header: `{${u8("\ud800", 0, 4)}}`, code: "json" },
];

describe("hostile headers", () => {
  test.each(refusals)("$what is refused", ({ header, dataBytes = 4, code }) => {
    const error = caught(() => parseSafetensorsHeader(layFile(header, dataBytes)));
    expect(error).toMatchObject({
      name: code === "shape" || code === "span" ? "ShapeError" : "DomainError",
      code: `safetensors-${code}`,
      message: expect.stringMatching(wordingRule),
    });
  });

  test("bytes that are not UTF-8 are refused", () => {
    const bytes = layFile(`{${u8("a", 0, 4)}}`, 4);
    bytes[10] = 0xff;
    expect(caught(() => parseSafetensorsHeader(bytes))).toMatchObject({ code: "safetensors-json" });
  });

  test("a file cut at any byte, or with one byte more, is refused", () => {
    const whole = layFile(`{${u8("a", 0, 2)},${u8("b", 2, 4)}}  `, 4);
    parseSafetensorsHeader(whole);
    for (let length = 0; length < whole.length; length++) {
      const error = caught(() => parseSafetensorsHeader(whole.subarray(0, length)));
      expect(error, `${length} bytes`).toMatchObject({ code: expect.stringMatching(/^safetensors-/) });
    }
    const longer = new Uint8Array(whole.length + 1);
    longer.set(whole);
    expect(caught(() => parseSafetensorsHeader(longer))).toMatchObject({ code: "safetensors-offsets" });
  });

  test.each([1n << 30n, 100_000_001n, 1n << 32n, (1n << 53n) + 1n, 1n << 63n, (1n << 64n) - 1n])(
    "a header that claims %d bytes is refused from its first eight bytes",
    (claim) => {
      const prefix = layFile("", 0, claim);
      const roomyFile = Number.MAX_SAFE_INTEGER;
      expect(caught(() => safetensorsHeaderLength(prefix, roomyFile))).toMatchObject({
        name: "DomainError",
        code: "safetensors-length",
        message: expect.stringContaining(`${claim} bytes`),
      });
    },
  );

  test("a header of one byte more than the file holds is refused", () => {
    const header = `{${u8("a", 0, 0)}}`;
    const claim = BigInt(header.length + 1);
    expect(caught(() => parseSafetensorsHeader(layFile(header, 0, claim)))).toMatchObject({
      code: "safetensors-length",
    });
  });

  test("a header shorter than its JSON is refused", () => {
    const header = `{${u8("a", 0, 4)}}`;
    expect(caught(() => parseSafetensorsHeader(layFile(header, 4, 10n)))).toMatchObject({
      code: "safetensors-json",
    });
  });

  test("bytes that stop before the header does are refused, whatever size the file has", () => {
    const start = layFile(`{${u8("a", 0, 4)}}`, 0).subarray(0, 20);
    expect(caught(() => parseSafetensorsHeader(start, 1000))).toMatchObject({ code: "safetensors-length" });
  });

  test("a name of a million characters makes a short message without control characters", () => {
    const name = `\u001b[2J\u009b\u202e${"x".repeat(1_000_000)}`;
    const error = caught(() => parseSafetensorsHeader(layFile(`{${u8(name, 0, 5)}}`, 4))) as Error;
    expect(error.message.length).toBeLessThan(400);
    expect(error.message).not.toMatch(/\p{C}/u);
  });

  test("any byte altered anywhere gives the tensors or an error of the format, never another", () => {
    const whole = encodeSafetensors(
      { a: { data: Float32Array.of(1, 2), shape: [2] }, b: { data: Uint8Array.of(1), shape: [] } },
      { k: "v" },
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 }),
        (alterations) => {
          const altered = whole.slice();
          for (const [place, byte] of alterations) altered[place] = byte;
          const error = caught(() => decodeSafetensors(altered));
          expect(error === undefined || isFormatError(error)).toBe(true);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe("headers within the format", () => {
  test("entries come in the order of the data, with offsets counted from the file's start", () => {
    const header = `{${u8("late", 3, 4)},${u8("early", 0, 3)}}`;
    const { entries } = parseSafetensorsHeader(layFile(header, 4));
    const dataStart = 8 + header.length;
    expect([...entries.values()]).toEqual([
      { name: "early", dtype: "U8", shape: [3], begin: dataStart, end: dataStart + 3 },
      { name: "late", dtype: "U8", shape: [1], begin: dataStart + 3, end: dataStart + 4 },
    ]);
  });

  test("white space and padding of every kind that JSON has are allowed", () => {
    const header = `{ "a" :\t{ "dtype":"U8",\r\n"shape" : [ 2 , 2 ] , "data_offsets":[ 0 , 4 ] } } \n\t\r`;
    expect(parseSafetensorsHeader(layFile(header, 4)).entries.get("a")?.shape).toEqual([2, 2]);
  });

  test("empty tensors may share a place with each other and with the start of a full one", () => {
    const header = `{${u8("x", 0, 4)},${u8("e", 0, 0)},${u8("f", 0, 0)},${u8("g", 4, 4)}}`;
    const { entries } = parseSafetensorsHeader(layFile(header, 4));
    expect([...entries.keys()].sort()).toEqual(["e", "f", "g", "x"]);
  });

  test("names that objects treat specially are ordinary names", () => {
    const names = ["__proto__", "constructor", "hasOwnProperty", "0", "", "\\", '"', "\u0000", "é🦉"];
    const header = `{${names.map((name, place) => u8(name, place, place + 1)).join(",")}}`;
    const { entries } = parseSafetensorsHeader(layFile(header, names.length));
    expect([...entries.keys()]).toEqual(names);
    expect(({} as Record<string, unknown>)["dtype"]).toBeUndefined();
  });

  test("metadata are words under any key", () => {
    const header = `{"__metadata__":{"__proto__":"p","format":"pt"}}`;
    const { metadata } = parseSafetensorsHeader(layFile(header, 0));
    expect([...metadata]).toEqual([
      ["__proto__", "p"],
      ["format", "pt"],
    ]);
  });
});

describe("asking for a tensor by name", () => {
  const header = parseSafetensorsHeader(
    layFile(`{${u8("wq", 0, 1)},${u8("wk", 1, 2)},${u8("x".repeat(1_000_000), 2, 3)}}`, 3),
  );

  test("a known name gives its entry", () => {
    expect(findEntry(header, "wk")).toMatchObject({ name: "wk", shape: [1] });
  });

  test("an unknown name gives the nearest ones", () => {
    expect(caught(() => findEntry(header, "wkk", "model.safetensors"))).toMatchObject({
      name: "MissingError",
      code: "safetensors-name",
      message:
        'Cannot read tensor "wkk" as model.safetensors must hold it: 3 tensors, none of that name. ' +
        'Ask for one of its names; the nearest are "wk", "wq"',
    });
  });

  test("in a file without tensors there is nothing near", () => {
    const empty = parseSafetensorsHeader(layFile("{}", 0));
    expect(caught(() => findEntry(empty, "q"))).toMatchObject({
      message: expect.stringMatching(/0 tensors.*Pass a file that holds it$/),
    });
  });
});
