/** @file Locality-sensitive hashing: a query sees the keys that fall into its bucket. */
import { ShapeError } from "../base/errors.ts";
import { integerOption, type OptionRule } from "../base/options.ts";
import { definePart, type PartFactory } from "../base/part.ts";
import { random } from "../base/random.ts";
import { type ChoiceArithmetic, choiceArithmetic } from "./choice-arithmetic.ts";
import { followBuckets } from "./lsh-buckets.ts";
import { type HeadVectors, type Round, type Selection } from "./selection.ts";

/** Options of {@link lsh}. */
export interface LshOptions {
  /** 1, or an even number. */
  readonly buckets: number;
  /** Hashes drawn independently of each other (default 4). */
  readonly rounds?: number;
  /** Keys of a bucket that lie side by side (default 64). */
  readonly chunk?: number;
  /** Of the directions (default 0). */
  readonly seed?: number;
}

const defaults = { rounds: 4, chunk: 64, seed: 0 };
const mostBuckets = 65_536;
const mostRounds = 64;

const bucketsRule: OptionRule = {
  allowed: `1 or an even whole number up to ${mostBuckets}`,
  accepts: (value) =>
    typeof value === "number" && (value === 1 || (value >= 2 && value <= mostBuckets && value % 2 === 0)),
  required: true,
};
const roundsRule: OptionRule = {
  allowed: `a whole number of [1, ${mostRounds}]`,
  accepts: (value) => Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= mostRounds,
  required: false,
};

/**
 * Keeps the pairs whose vectors share a bucket, h(q_i) = h(k_j) with h(x) = argmax[xR; −xR], in one of several rounds with
 * R ∈ ℝ^{D×buckets/2} of N(0, 1) each. The keys of a bucket lie in the order of their places in chunks of `chunk`; a query
 * sees the chunk where its own place falls and the one before. A pair found in several rounds counts once: the softmax is
 * that of all pairs found, which is what joining the rounds by log-sum-exp gives. A token attends to its own place only
 * where nothing else is left, as no other vector is nearer to it. The directions are the same for all heads; gradients flow
 * through kept pairs only.
 *
 * The hash sees the length of no vector: the paper's shared form, k_j = q_j/‖q_j‖, is the same tensor for q and k, or k
 * normalised by whoever makes it. Vectors that are not shared are hashed by the same directions. Chunks are counted from
 * the start of a bucket, not of the whole sorted sequence, where a later token of another bucket would move the border of
 * an earlier one's chunk: under a causal pattern no output depends on a later token. The first and the last query must be
 * places of keys, which those of another sequence are not.
 *
 * @param options - `buckets`: 1 or even; `rounds`, `chunk`, `seed`
 * @throws DomainError for options that are not allowed; a call throws ShapeError `lsh-places` when queries are not places
 *   of keys
 * @example
 * ```ts
 * import { attention, causal, dot, lsh } from "qklab";
 * const attend = attention({
 *   similarity: dot(),
 *   pattern: causal(),
 *   selection: lsh({ buckets: 64, rounds: 4, chunk: 32 }),
 * });
 * ```
 */
export const lsh: PartFactory<Selection, LshOptions> = definePart<Selection, LshOptions>(
  {
    kind: "selection",
    selector: "lsh",
    formula:
      "h(q_i) = h(k_j), h(x) = argmax[xR; −xR], own chunk of the bucket and the one before, in any round",
    source: "Kitaev, Kaiser & Levskaya 2020, Reformer, section 2",
    rules: { buckets: bucketsRule, rounds: roundsRule, chunk: integerOption(1), seed: integerOption(0) },
  },
  ({ buckets, rounds = defaults.rounds, chunk = defaults.chunk, seed = defaults.seed }) => {
    const known = new Map<number, readonly Float32Array[]>();
    const directionsOf = (width: number): readonly Float32Array[] => {
      const found = known.get(width) ?? drawDirections(seed, rounds, buckets, width);
      known.set(width, found);
      return found;
    };
    return {
      keep: (scores) => [...scores.keys()],
      limit: undefined,
      choose(head, arithmetic = choiceArithmetic) {
        requirePlaces(head);
        const { queries, keys, width } = head;
        const directions = directionsOf(width);
        const ofKeys = bucketsOf(keys, directions, width, arithmetic);
        const ofQueries = queries === keys ? ofKeys : bucketsOf(queries, directions, width, arithmetic);
        return {
          rounds: ofKeys.map((keyBuckets, round) =>
            roundOf({ queryBuckets: ofQueries[round], keyBuckets, buckets }, head.offset, chunk),
          ),
          reach: 1,
          isDisjoint: false,
          isOwnLast: true,
        };
      },
      follow(heads, arithmetic = choiceArithmetic) {
        const directions = directionsOf(heads.width);
        const hash = (rows: Float32Array): readonly Int32Array[] =>
          bucketsOf(rows, directions, heads.width, arithmetic);
        return followBuckets(heads, chunk, hash);
      },
      followedNumbers: (length) => rounds * length,
    };
  },
);

/** [buckets/2, D] for every round; a round is the same whatever the number of rounds. */
function drawDirections(seed: number, rounds: number, buckets: number, width: number): Float32Array[] {
  return Array.from({ length: rounds }, (_, round) =>
    random(seed, "lsh", round, width).normals(Math.floor(buckets / 2) * width),
  );
}

function requirePlaces({ queries, width, offset, places }: HeadVectors): void {
  const count = queries.length / width;
  if (offset >= 0 && offset + count <= places) return;
  throw new ShapeError(
    "lsh-places",
    `Cannot select by 'lsh' as queries must be places of the same sequence as keys: ${count} queries from place ${offset}, ` +
      `${places} keys. Use topk for another sequence's keys`,
  );
}

/** The bucket of every row in every round; without directions there is one bucket. */
function bucketsOf(
  rows: Float32Array,
  directions: readonly Float32Array[],
  width: number,
  arithmetic: ChoiceArithmetic,
): readonly Int32Array[] {
  if (directions[0].length > 0) return arithmetic.nearest(rows, directions, width);
  return directions.map(() => new Int32Array(rows.length / width));
}

/** Codes number the chunks of all buckets. */
function roundOf(
  of: { readonly queryBuckets: Int32Array; readonly keyBuckets: Int32Array; readonly buckets: number },
  offset: number,
  chunk: number,
): Round {
  const { queryBuckets, keyBuckets, buckets } = of;
  const sizes = new Int32Array(buckets);
  for (let key = 0; key < keyBuckets.length; key++) sizes[keyBuckets[key]] += 1;
  // Numbers of chunks of two buckets are never neighbours; a query may fall behind the last key of its bucket.
  /** The present chunk of every bucket, at first the first one, and how many keys it still takes. */
  const codes = new Int32Array(buckets);
  for (let bucket = 1; bucket < buckets; bucket++) {
    codes[bucket] = codes[bucket - 1] + Math.floor(sizes[bucket - 1] / chunk) + 2;
  }
  const most = Math.min(chunk, keyBuckets.length + 1);
  const room = new Int32Array(buckets).fill(most);
  const keyCodes = new Int32Array(keyBuckets.length);
  const queryCodes = new Int32Array(queryBuckets.length);
  let query = 0;
  for (let key = 0; key < keyCodes.length; key++) {
    if (key === offset + query && query < queryCodes.length) {
      queryCodes[query] = codes[queryBuckets[query]];
      query++;
    }
    const bucket = keyBuckets[key];
    keyCodes[key] = codes[bucket];
    room[bucket] -= 1;
    if (room[bucket] > 0) continue;
    room[bucket] = most;
    codes[bucket] += 1;
  }
  for (; query < queryCodes.length; query++) queryCodes[query] = codes[queryBuckets[query]];
  return { queryCodes, keyCodes };
}
