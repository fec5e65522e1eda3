/** @file The buckets of a sequence that grows: per round, the places of every bucket's keys in their order. */
import { type FollowedChoice, type FollowedHeads } from "./selection.ts";

/**
 * Follows keys into their buckets. A query's own chunk, and the one before, begin at a multiple of `chunk` among the keys of its
 * bucket that came before its own place.
 *
 * @param hash - the bucket of every row in every round
 */
export function followBuckets(
  { queryHeads, keyHeads }: FollowedHeads,
  chunk: number,
  hash: (rows: Float32Array) => readonly Int32Array[],
): FollowedChoice {
  /** Of every head, round by round. */
  const buckets = Array.from({ length: keyHeads }, (): Map<number, number[]>[] => []);
  let length = 0;
  let size = 0;

  /** Keys of a bucket that a query at the last place finds. */
  const keysIn = (places: readonly number[]): readonly number[] => {
    const before = places.length - (places.at(-1) === length - 1 ? 1 : 0);
    return places.slice(Math.max(0, before - (before % chunk) - chunk));
  };
  return {
    isOwnLast: true,
    get size() {
      return size;
    },
    append(keys, count) {
      hash(keys).forEach((ofKeys, round) => {
        buckets.forEach((rounds, head) => {
          const ofRound = (rounds[round] ??= new Map());
          for (let index = 0; index < count; index++) {
            const bucket = ofKeys[head * count + index];
            const places = ofRound.get(bucket);
            if (places === undefined) ofRound.set(bucket, [length + index]);
            else places.push(length + index);
          }
        });
        size += keyHeads * count;
      });
      length += count;
    },
    found(queries) {
      const ofQueries = hash(queries);
      return Array.from({ length: queryHeads }, (_, head) => {
        const rounds = buckets[Math.floor((head * keyHeads) / queryHeads)];
        return ascending(rounds.map((ofRound, round) => keysIn(ofRound.get(ofQueries[round][head]) ?? [])));
      });
    },
  };
}

/** Numbers of several lists, each once. */
function ascending(lists: readonly (readonly number[])[]): Int32Array {
  const all = new Int32Array(lists.reduce((sum, { length }) => sum + length, 0));
  let count = 0;
  for (const list of lists) {
    all.set(list, count);
    count += list.length;
  }
  if (lists.length === 1) return all;
  all.sort();
  count = 0;
  for (const place of all) {
    if (count === 0 || place !== all[count - 1]) all[count++] = place;
  }
  return all.subarray(0, count);
}
