/**
 * @file The one JSON form that a safetensors header may have, read strictly: an object of
 * `"name": {"dtype": word, "shape": [integers], "data_offsets": [begin, end]}` and an optional
 * `"__metadata__": {word: word}`. JSON.parse would not do: it keeps the last of duplicate keys, rounds integers
 * beyond 2⁵³ and builds any nesting before it can be refused.
 */
import { DomainError, ShapeError } from "../base/errors.ts";

/** What the header says of one tensor, its words and numbers not yet held against the file. */
export interface HeaderRecord {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly offsets: readonly number[];
}

/** A header as it is written. */
export interface HeaderText {
  readonly metadata: ReadonlyMap<string, string>;
  readonly records: readonly HeaderRecord[];
}

/** The key under which a header keeps words instead of a tensor. */
export const metadataKey = "__metadata__";

const longestQuote = 60;
const quotationMark = 0x22;
const backslash = 0x5c;

function isWhiteSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

/** A word of the file, fit for a message: short, and without control characters for the terminal. */
export function quoted(word: string): string {
  const start = word.length > longestQuote ? `${word.slice(0, longestQuote)}…` : word;
  return JSON.stringify(start).replaceAll(/\p{C}/gu, (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`);
}

/** Whether `word` has a form in UTF-8: no half of a surrogate pair stands alone. */
export function isWellFormed(word: string): boolean {
  return !/\p{Surrogate}/u.test(word);
}

/**
 * Reads the text of a header.
 *
 * @param text - the JSON, possibly padded at the end
 * @param source - what is being read, for messages
 * @throws DomainError `safetensors-json` where the text is not JSON of this form, `safetensors-duplicate` for a name
 * or a key given twice
 * @throws ShapeError `safetensors-shape` for an extent or an offset that is not a non-negative safe integer
 */
export function readHeaderText(text: string, source: string): HeaderText {
  let place = 0;
  const numberLike = /[-+.\w]+/y;

  function refuse(rule: string): never {
    const seen = place < text.length ? quoted(text.slice(place, place + 20)) : "its end";
    throw new DomainError(
      "safetensors-json",
      `Cannot read ${source} as its header must have ${rule}: ${seen} at character ${place}. ` +
        "Save the file again with a safetensors writer",
    );
  }

  function peek(): string | undefined {
    while (isWhiteSpace(text.charCodeAt(place))) place++;
    return text[place];
  }

  function accept(mark: string): boolean {
    if (peek() !== mark) return false;
    place++;
    return true;
  }

  function expect(mark: string): void {
    if (!accept(mark)) refuse(`${mark} here`);
  }

  function word(): string {
    if (peek() !== '"') refuse("a string here");
    const start = place++;
    while (place < text.length && text.charCodeAt(place) !== quotationMark) {
      place += text.charCodeAt(place) === backslash ? 2 : 1;
    }
    const literal = text.slice(start, ++place);
    try {
      const value = JSON.parse(literal) as string;
      if (isWellFormed(value)) return value;
    } catch {
      // Refused below, together with strings that are JSON and not Unicode.
    }
    place = start;
    return refuse("well-formed strings");
  }

  function integer(name: string, field: string): number {
    peek();
    numberLike.lastIndex = place;
    const literal = numberLike.exec(text)?.[0] ?? refuse("a number here");
    place = numberLike.lastIndex;
    const value = /^(?:0|[1-9]\d{0,15})$/.test(literal) ? Number(literal) : Number.NaN;
    if (Number.isSafeInteger(value)) return value;
    throw new ShapeError(
      "safetensors-shape",
      `Cannot read tensor ${quoted(name)} of ${source} as ${field} must hold integers from 0 to 2⁵³ − 1: ` +
        `${quoted(literal)}. Save the file again with a safetensors writer`,
    );
  }

  function integers(name: string, field: string): number[] {
    const values: number[] = [];
    expect("[");
    if (accept("]")) return values;
    do values.push(integer(name, field));
    while (accept(","));
    expect("]");
    return values;
  }

  function members<Value>(readValue: (key: string) => Value): Map<string, Value> {
    const found = new Map<string, Value>();
    expect("{");
    if (accept("}")) return found;
    do {
      const key = word();
      if (found.has(key)) {
        throw new DomainError(
          "safetensors-duplicate",
          `Cannot read ${source} as every key of its header must be unique: ${quoted(key)} twice. ` +
            "Save the file again with unique names",
        );
      }
      expect(":");
      found.set(key, readValue(key));
    } while (accept(","));
    expect("}");
    return found;
  }

  function record(name: string): HeaderRecord {
    let dtype: string | undefined;
    let shape: number[] | undefined;
    let offsets: number[] | undefined;
    members((field) => {
      if (field === "dtype") dtype = word();
      else if (field === "shape") shape = integers(name, field);
      else if (field === "data_offsets") offsets = integers(name, field);
      else refuse(`only dtype, shape and data_offsets in tensor ${quoted(name)}, not ${quoted(field)}`);
    });
    if (dtype === undefined || shape === undefined || offsets === undefined) {
      return refuse(`dtype, shape and data_offsets for tensor ${quoted(name)}`);
    }
    return { name, dtype, shape, offsets };
  }

  let metadata = new Map<string, string>();
  const records: HeaderRecord[] = [];
  if (!text.startsWith("{")) refuse("{ as its first character");
  members((name) => {
    if (name === metadataKey) metadata = members(word);
    else records.push(record(name));
  });
  if (peek() !== undefined) refuse("nothing but padding after its closing }");
  return { metadata, records };
}
