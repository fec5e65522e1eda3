/**
 * @file Protocol buffers read from a file without reading their payloads: fields with their places, and of those only what is asked
 * for. Every length is held against the message that it lies in before anything is allocated.
 * Source: the encoding page of protobuf.dev. Wire types: 0 a varint, 1 eight bytes, 2 a length and so many bytes, 5 four bytes.
 */
import { DomainError } from "../base/errors.ts";
import type { FileRanges } from "./file-ranges.node.ts";

/** A part of the file. */
export interface Range {
  readonly begin: number;
  readonly end: number;
}

/** A field: its payload lies from `begin` to `end`. */
export interface ProtobufField extends Range {
  readonly number: number;
  readonly wire: 0 | 1 | 2 | 5;
}

/** Reads messages of a file. */
export interface ProtobufReader {
  /** The fields of a message, in their order; payloads are passed over. */
  fields(message: Range): AsyncGenerator<ProtobufField>;
  /** A string, of at most 1 kB. */
  text(field: ProtobufField): Promise<string>;
  /** A repeated or single int32 or int64, packed or not, of at most `most` numbers. */
  integers(field: ProtobufField, most: number): Promise<bigint[]>;
}

/** Bytes that are read at a time; whole messages of an ordinary graph, and little beside a tensor. */
const windowBytes = 2 ** 16;
const longestVarint = 10;
const longestText = 1024;

/**
 * A reader of the messages of a file. All its methods throw DomainError `onnx-form` for bytes that are no messages, and
 * `onnx-length` for a field that ends beyond its message.
 */
export function protobufReader(ranges: FileRanges): ProtobufReader {
  const { path, sizeBytes } = ranges;
  let window = new Uint8Array(0);
  let windowBegin = 0;

  /** Bytes from `begin` on, as many as are there up to `count`, which is at most a window. */
  async function peek(begin: number, count: number): Promise<Uint8Array> {
    const end = Math.min(begin + count, sizeBytes);
    if (begin < windowBegin || end > windowBegin + window.length) {
      window = await ranges.read(begin, Math.min(begin + windowBytes, sizeBytes));
      windowBegin = begin;
    }
    return window.subarray(begin - windowBegin, end - windowBegin);
  }

  async function varint(begin: number, limit: number): Promise<{ value: bigint; end: number }> {
    const bytes = await peek(begin, Math.min(longestVarint, limit - begin));
    const last = bytes.findIndex((byte) => byte < 0x80);
    if (last === -1) {
      const seen = bytes.length < longestVarint ? "cut off" : `more than ${longestVarint} bytes`;
      throw formError(path, "every number must end within its message", `${seen} at byte ${begin}`);
    }
    let value = 0n;
    for (let place = last; place >= 0; place--) value = (value << 7n) | BigInt(bytes[place] & 0x7f);
    return { value: BigInt.asUintN(64, value), end: begin + last + 1 };
  }

  async function payload(wire: number, begin: number, limit: number): Promise<Range> {
    if (wire === 0) return { begin, end: (await varint(begin, limit)).end };
    if (wire === 1) return { begin, end: begin + 8 };
    if (wire === 5) return { begin, end: begin + 4 };
    if (wire !== 2) {
      throw formError(
        path,
        "its fields must have a wire type of 0, 1, 2 or 5",
        `${wire} before byte ${begin}`,
      );
    }
    const { value, end } = await varint(begin, limit);
    // Beyond 2⁵³ the sum is rounded, and beyond every limit all the same.
    return { begin: end, end: end + Number(value) };
  }

  return {
    async *fields(message) {
      for (let place = message.begin; place < message.end;) {
        const key = await varint(place, message.end);
        const number = Number(key.value >> 3n);
        if (number === 0 || number >= 2 ** 29) {
          throw formError(
            path,
            "its fields must have numbers from 1 to 2²⁹ − 1",
            `${number} at byte ${place}`,
          );
        }
        const wire = Number(key.value & 7n);
        const { begin, end } = await payload(wire, key.end, message.end);
        if (end > message.end) {
          throw new DomainError(
            "onnx-length",
            `Cannot read ${path} as each of its fields must end within its message: ${end - begin} bytes at byte ${begin}, ` +
              `of which ${Math.max(message.end - begin, 0)} are there. Fetch the file again: it is cut short or altered`,
          );
        }
        yield { number, wire: wire as ProtobufField["wire"], begin, end };
        place = end;
      }
    },
    async text(field) {
      const length = field.end - field.begin;
      if (field.wire !== 2 || length > longestText) {
        throw formError(path, `its names must be text of at most ${longestText} bytes`, placeText(field));
      }
      return new TextDecoder().decode(await peek(field.begin, length));
    },
    async integers(field, most) {
      if (field.wire !== 0 && field.wire !== 2) {
        throw formError(path, "its integers must be varints", placeText(field));
      }
      const numbers: bigint[] = [];
      for (let place = field.begin; place < field.end;) {
        if (numbers.length === most) {
          throw formError(path, `a list of its integers must have at most ${most}`, placeText(field));
        }
        const { value, end } = await varint(place, field.end);
        numbers.push(BigInt.asIntN(64, value));
        place = end;
      }
      return numbers;
    },
  };
}

/** The error of a file that is not what it is taken for. */
export function formError(path: string, rule: string, seen: string): DomainError {
  return new DomainError(
    "onnx-form",
    `Cannot read ${path} as ${rule}: ${seen}. Check that it is an ONNX file, and whole`,
  );
}

function placeText({ wire, begin, end }: ProtobufField): string {
  return `${end - begin} bytes of wire type ${wire} at byte ${begin}`;
}
