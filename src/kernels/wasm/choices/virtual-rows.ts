/** @file Queries and keys of a choice in the order of their groups, round by round. */
import { type Choice, type Round } from "../../../selections/index.ts";
import { roundUp, tileKeys, tileRows } from "../attention/kernel-spec.ts";

/**
 * Virtual rows and keys, of which the first Q and S are themselves. Row v sees keys among [starts[v], stops[v]), which are
 * those of its group, found by round rounds[v]; rows that see none have round −1.
 */
export interface VirtualRows {
  readonly rows: Int32Array;
  readonly keys: Int32Array;
  readonly starts: Int32Array;
  readonly stops: Int32Array;
  readonly rounds: Int32Array;
  /** The virtual keys of every round: the first of them, and how many. */
  readonly firstKeys: readonly number[];
  readonly keyCounts: readonly number[];
}

/** Keys of one order; those that a query of code c sees are order[firsts[c] … lasts[c]), none beyond the last code. */
interface Groups {
  readonly order: Int32Array;
  readonly firsts: Int32Array;
  readonly lasts: Int32Array;
  readonly isInOrder: boolean;
}

/**
 * Rounds over the same groups of keys share their order, and their queries are put in order together. Every order begins
 * with a tile of its own; what fills the tile before is a copy of row or key 0 that no pair names.
 *
 * @param causalOffset - the place of the first query, where no row sees a later place; absent where rows do
 */
export function virtualRows(
  { rounds, reach }: Choice,
  queries: number,
  keys: number,
  causalOffset?: number,
): VirtualRows {
  const rowParts: Int32Array[] = [padded(numbers(queries), tileRows)];
  const keyParts: Int32Array[] = [padded(numbers(keys), tileKeys)];
  const roundParts: Int32Array[] = [new Int32Array(rowParts[0].length).fill(-1)];
  const firstKeys: number[] = [];
  const groupsOfRound: Groups[] = [];
  let keyCount = keyParts[0].length;
  let isOwnTaken = false;
  for (const keyCodes of new Set(rounds.map((round) => round.keyCodes))) {
    const groups = groupsOf(keyCodes, reach);
    const sorted: number[] = [];
    rounds.forEach(({ queryCodes, keyCodes: own }, round) => {
      if (own !== keyCodes) return;
      groupsOfRound[round] = groups;
      firstKeys[round] = groups.isInOrder ? 0 : keyCount;
      // Rows whose groups ascend already need no copy.
      if (!isOwnTaken && groups.isInOrder && isAscending(queryCodes)) {
        isOwnTaken = true;
        roundParts[0].fill(round, 0, queries);
      } else sorted.push(round);
    });
    if (!groups.isInOrder) {
      keyParts.push(groups.order);
      keyCount += groups.order.length;
    }
    const entries = sortedEntries(rounds, sorted, { queries, reach });
    rowParts.push(padded(entries.rows, tileRows));
    roundParts.push(padded(entries.rounds, tileRows, -1));
  }
  const [rows, ofRounds, allKeys] = [rowParts, roundParts, keyParts].map(joined);
  const starts = new Int32Array(rows.length);
  const stops = new Int32Array(rows.length);
  for (let row = 0; row < rows.length; row++) {
    const round = ofRounds[row];
    const code = round < 0 ? -1 : rounds[round].queryCodes[rows[row]];
    if (code < 0) continue;
    const groups = groupsOfRound[round];
    const group = Math.min(code, groups.firsts.length - 1);
    starts[row] = firstKeys[round] + groups.firsts[group];
    stops[row] = firstKeys[round] + groups.lasts[group];
    if (causalOffset === undefined) continue;
    stops[row] = firstAfter(allKeys, starts[row], stops[row], rows[row] + causalOffset);
  }
  const keyCounts = groupsOfRound.map(({ order }) => order.length);
  return { rows, keys: allKeys, starts, stops, rounds: ofRounds, firstKeys, keyCounts };
}

/** The first of the ascending numbers [start, stop) of a list that is larger than `most`; `stop` when none is. */
function firstAfter(list: Int32Array, start: number, stop: number, most: number): number {
  let [low, high] = [start, stop];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] <= most) low = middle + 1;
    else high = middle;
  }
  return high;
}

/**
 * Places in the order of their codes. Keys of codes that follow each other begin with a tile of their own: where tiles divide
 * them depends on no other keys, so that under a causal pattern no sum is taken in another order because of later tokens.
 */
function groupsOf(codes: Int32Array, reach: number): Groups {
  const isInOrder = isAscending(codes);
  const sorted = startsOf([codes]);
  const count = sorted.length - 1;
  const next = new Int32Array(count);
  // A query may be one code behind the keys that it sees, and one more stands for all that see none.
  const [firsts, lasts] = [new Int32Array(count + 2), new Int32Array(count + 2)];
  let at = 0;
  for (let code = 0; code <= count; code++) {
    const size = code < count ? sorted[code + 1] - sorted[code] : 0;
    const before = code > 0 ? sorted[code] - sorted[code - 1] : 0;
    if (size > 0 && before === 0 && !isInOrder) at = roundUp(at, tileKeys);
    if (code < count) next[code] = at;
    firsts[code] = at - before * reach;
    at += size;
    lasts[code] = at;
  }
  const order = new Int32Array(roundUp(at, tileKeys));
  for (let place = 0; place < codes.length; place++) order[next[codes[place]]++] = place;
  return { order, firsts, lasts, isInOrder };
}

/**
 * Queries of some rounds in the order of their codes, then of their places; negative codes are left out. Queries that see
 * keys of one group, or of groups beside each other, begin with a tile of their own where they fill one: none of its rows
 * then sees other keys.
 */
function sortedEntries(
  rounds: readonly Round[],
  chosen: readonly number[],
  { queries, reach }: { readonly queries: number; readonly reach: number },
): { readonly rows: Int32Array; readonly rounds: Int32Array } {
  const lists = chosen.map((round) => rounds[round].queryCodes);
  const { next, length } = alignedStarts(startsOf(lists), reach);
  const rows = new Int32Array(length);
  const ofRounds = new Int32Array(length).fill(-1);
  for (let query = 0; query < queries; query++) {
    for (let list = 0; list < lists.length; list++) {
      const code = lists[list][query];
      if (code < 0) continue;
      const at = next[code]++;
      rows[at] = query;
      ofRounds[at] = chosen[list];
    }
  }
  return { rows, rounds: ofRounds };
}

/** Starts of the codes, and where the last one ends, with room before every code, or run of codes, that fills a tile. */
function alignedStarts(
  starts: Int32Array,
  reach: number,
): { readonly next: Int32Array; readonly length: number } {
  const codes = starts.length - 1;
  const sizeOf = (code: number): number => starts[code + 1] - starts[code];
  const isBeside = (code: number): boolean => reach > 0 && sizeOf(code) > 0;
  const next = new Int32Array(codes);
  let at = 0;
  for (let code = 0; code < codes;) {
    let end = code + 1;
    while (end < codes && sizeOf(code) > 0 && isBeside(end)) end++;
    if (starts[end] - starts[code] >= tileRows) at = roundUp(at, tileRows);
    for (; code < end; code++) {
      next[code] = at;
      at += sizeOf(code);
    }
  }
  return { next, length: at };
}

/** Where each code starts when all of them are sorted, one more at the end. */
function startsOf(lists: readonly Int32Array[]): Int32Array {
  let largest = -1;
  for (const codes of lists) for (const code of codes) if (code > largest) largest = code;
  const starts = new Int32Array(largest + 2);
  for (const codes of lists) for (const code of codes) if (code >= 0) starts[code + 1] += 1;
  for (let code = 0; code <= largest; code++) starts[code + 1] += starts[code];
  return starts;
}

function isAscending(codes: Int32Array): boolean {
  for (let at = 1; at < codes.length; at++) if (codes[at] < codes[at - 1]) return false;
  return true;
}

function numbers(count: number): Int32Array {
  const list = new Int32Array(count);
  for (let number = 0; number < count; number++) list[number] = number;
  return list;
}

/** With a number behind, up to a multiple. */
function padded(list: Int32Array, multiple: number, by = 0): Int32Array {
  const longer = new Int32Array(roundUp(list.length, multiple)).fill(by, list.length);
  longer.set(list);
  return longer;
}

/** Lists one after the other. */
export function joined(lists: readonly Int32Array[]): Int32Array {
  const all = new Int32Array(lists.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const list of lists) {
    all.set(list, at);
    at += list.length;
  }
  return all;
}
