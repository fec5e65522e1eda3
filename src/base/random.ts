/**
 * @file Seeded random numbers: xoshiro128** (Blackman & Vigna 2018), seeded by any mix of numbers and words, so that
 * `random(seed, "recall", step)` is the same stream in every process: data need no saved position.
 */
import { DomainError } from "./errors.ts";

/** A stream of random numbers with the draws that the project needs. */
export interface Random {
  /** Uniform in [0, 1), 32 bits. */
  uniform(): number;
  /** Uniform integer in [0, bound), without modulo bias. */
  integer(bound: number): number;
  /** Standard normal (Box–Muller). */
  normal(): number;
  /** `count` distinct integers of [0, bound), in random order. */
  distinct(count: number, bound: number): Int32Array;
  /** A Float32Array of `length` draws of N(0, deviation²). */
  normals(length: number, deviation?: number): Float32Array;
}

/**
 * A random stream determined by its keys.
 *
 * @param keys - numbers and words; two streams with different keys are independent
 * @example
 * ```ts
 * import { random } from "qklab";
 * random(1, "init").uniform() === random(1, "init").uniform(); // true
 * ```
 */
export function random(...keys: readonly (number | string)[]): Random {
  let [a, b, c, d] = seedState(keys);
  let spare: number | undefined;

  function next(): number {
    const scrambled = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotateLeft(d, 11);
    return scrambled;
  }

  const uniform = (): number => next() / 2 ** 32;

  function integer(bound: number): number {
    requireBound("draw an integer", bound, 1, 2 ** 32);
    const limit = Math.floor(2 ** 32 / bound) * bound;
    let draw = next();
    while (draw >= limit) draw = next();
    return draw % bound;
  }

  function normal(): number {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angleRad = 2 * Math.PI * uniform();
    spare = radius * Math.sin(angleRad);
    return radius * Math.cos(angleRad);
  }

  /** Floyd's algorithm would need a shuffle as well; a sparse Fisher–Yates does both in O(count). */
  function distinct(count: number, bound: number): Int32Array {
    requireBound(`draw distinct integers below ${bound}`, count, 0, bound);
    const moved = new Map<number, number>();
    return Int32Array.from({ length: count }, (_, place) => {
      const other = place + integer(bound - place);
      const chosen = moved.get(other) ?? other;
      moved.set(other, moved.get(place) ?? place);
      return chosen;
    });
  }

  return {
    uniform,
    integer,
    normal,
    distinct,
    normals: (length, deviation = 1) => Float32Array.from({ length }, () => deviation * normal()),
  };
}

function requireBound(act: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new DomainError(
    "random-bound",
    `Cannot ${act} as the number must be whole and of [${least}, ${most}]: ${value}. Pass one that is`,
  );
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

/** Four words from the keys: cyrb128 (bryc 2018), whose 128 bits keep streams of different keys apart. */
function seedState(keys: readonly (number | string)[]): [number, number, number, number] {
  let [a, b, c, d] = [1779033703, 3144134277, 1013904242, 2773480762];
  for (const character of keys.map((key) => `${typeof key}:${key};`).join("")) {
    const code = character.codePointAt(0) ?? 0;
    // One after the other: with the old `a` in the last line the lowest bits would cancel within four characters, and
    // everything within 128, so that streams differing in an early key only would be one stream.
    a = b ^ Math.imul(a ^ code, 597399067);
    b = c ^ Math.imul(b ^ code, 2869860233);
    c = d ^ Math.imul(c ^ code, 951274213);
    d = a ^ Math.imul(d ^ code, 2716044179);
  }
  a = Math.imul(c ^ (a >>> 18), 597399067);
  b = Math.imul(d ^ (b >>> 22), 2869860233);
  c = Math.imul(a ^ (c >>> 17), 951274213);
  d = Math.imul(b ^ (d >>> 19), 2716044179);
  const mixed = a ^ b ^ c ^ d;
  return [mixed, b ^ mixed, c ^ mixed, d ^ mixed || 1];
}
