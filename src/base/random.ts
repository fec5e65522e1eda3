/**
 * @file Seeded random numbers: xoshiro128** (Blackman & Vigna 2018), seeded by splitmix32 over any mix of numbers and
 * words, so that `random(seed, "recall", step)` is the same stream in every process: data need no saved position.
 */

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

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

function seedState(keys: readonly (number | string)[]): [number, number, number, number] {
  let hash = 0x9e3779b9;
  for (const key of keys) {
    for (const character of `${typeof key}:${key};`) {
      hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193);
      hash = (hash ^ (hash >>> 15)) >>> 0;
    }
  }
  const splitmix = (): number => {
    hash = (hash + 0x9e3779b9) | 0;
    let mixed = Math.imul(hash ^ (hash >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return mixed ^ (mixed >>> 15);
  };
  return [splitmix(), splitmix(), splitmix(), splitmix() | 1];
}
