/** @file Queries and keys of a choice in the order of their groups, round by round. */
import { type Choice } from "../../../selections/index.ts";
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

/** Rows of some rounds over the same groups, in the order of their codes: where they begin, and how many there are. */
interface RowPart {
  readonly rounds: readonly number[];
  readonly next: Int32Array;
  readonly length: number;
}

/**
 * Rounds over the same groups of keys share their order, and their queries are put in order together. Every order begins
 * with a tile of its own; what fills the tile before are copies that no pair names, each of another row or key.
 *
 * @param causalOffset - the place of the first query, where no row sees a later place; absent where rows do
 */
export function virtualRows(
  { rounds, reach }: Choice,
  queries: number,
  keys: number,
  causalOffset?: number,
): VirtualRows {
  const keyParts: Int32Array[] = [padded(numbers(keys, keys), tileKeys)];
  const firstKeys: number[] = [];
  const groupsOfRound: Groups[] = [];
  const rowParts: RowPart[] = [];
  let ownRound = -1;
  let keyCount = keyParts[0].length;
  let rowCount = roundUp(queries, tileRows);
  for (const keyCodes of new Set(rounds.map((round) => round.keyCodes))) {
    const groups = groupsOf(keyCodes, reach);
    const sorted: number[] = [];
    rounds.forEach(({ queryCodes, keyCodes: own }, round) => {
      if (own !== keyCodes) return;
      groupsOfRound[round] = groups;
      firstKeys[round] = groups.isInOrder ? 0 : keyCount;
      // Rows whose groups ascend already need no copy.
      if (ownRound === -1 && groups.isInOrder && isAscending(queryCodes)) ownRound = round;
      else sorted.push(round);
    });
    if (!groups.isInOrder) {
      keyParts.push(groups.order);
      keyCount += groups.order.length;
    }
    const starts = startsOf(sorted.map((round) => rounds[round].queryCodes));
    const part = alignedStarts(starts, reach);
    rowParts.push({ rounds: sorted, ...part });
    rowCount += roundUp(part.length, tileRows);
  }
  const filled: FilledRows = {
    rows: numbers(rowCount, queries),
    keys: joined(keyParts),
    starts: new Int32Array(rowCount),
    stops: new Int32Array(rowCount),
    rounds: new Int32Array(rowCount).fill(-1),
  };
  const fill = (of: readonly number[], firstRow: number, next?: Int32Array): void => {
    if (of.length === 0) return;
    const [groups, firstKey] = [groupsOfRound[of[0]], firstKeys[of[0]]];
    const codes = of.map((round) => rounds[round].queryCodes);
    fillRows(filled, { rounds: of, codes, groups, firstKey, firstRow, next, causalOffset });
  };
  if (ownRound >= 0) fill([ownRound], 0);
  let firstRow = roundUp(queries, tileRows);
  for (const { rounds: sorted, next, length } of rowParts) {
    fill(sorted, firstRow, next);
    firstRow += roundUp(length, tileRows);
  }
  const keyCounts = groupsOfRound.map(({ order }) => order.length);
  return { ...filled, firstKeys, keyCounts };
}

type FilledRows = Pick<VirtualRows, "rows" | "keys" | "starts" | "stops" | "rounds">;

/** Rounds over the same groups, whose rows {@link fillRows} writes. */
interface RowsOfRounds {
  readonly rounds: readonly number[];
  /** The codes of the queries, of each of these rounds. */
  readonly codes: readonly Int32Array[];
  readonly groups: Groups;
  readonly firstKey: number;
  readonly firstRow: number;
  /** Where the next row of every code lies behind the first one; absent where query i is row i. */
  readonly next: Int32Array | undefined;
  readonly causalOffset: number | undefined;
}

/** No place of a key lies beyond. */
const lastPlace = 2 ** 31 - 2;

/** Writes the rows of some rounds. In one loop without calls, as it runs over all virtual rows. */
function fillRows(
  { rows, keys, starts, stops, rounds: ofRows }: FilledRows,
  { rounds, codes, groups, firstKey, firstRow, next, causalOffset }: RowsOfRounds,
): void {
  const { firsts, lasts, isInOrder } = groups;
  const most = firsts.length - 1;
  /** By group, the virtual key behind those that the last query saw. */
  const seen = new Int32Array(firsts.length);
  const queries = codes[0].length;
  for (let query = 0; query < queries; query++) {
    const place = causalOffset === undefined ? lastPlace : query + causalOffset;
    for (let number = 0; number < codes.length; number++) {
      const code = codes[number][query];
      if (code < 0) continue;
      const at = next === undefined ? query : firstRow + next[code]++;
      const group = code < most ? code : most;
      const start = firstKey + firsts[group];
      let stop = firstKey + lasts[group];
      if (isInOrder) {
        if (stop > place + 1) stop = place + 1;
        if (stop < start) stop = start;
      } else {
        // The keys of a group ascend: a later query sees those of an earlier one, and further ones.
        let last = seen[group];
        if (last < start) last = start;
        while (last < stop && keys[last] <= place) last++;
        seen[group] = stop = last;
      }
      rows[at] = query;
      ofRows[at] = rounds[number];
      starts[at] = start;
      stops[at] = stop;
    }
  }
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
  const order = numbers(roundUp(at, tileKeys), codes.length);
  for (let place = 0; place < codes.length; place++) order[next[codes[place]]++] = place;
  return { order, firsts, lasts, isInOrder };
}

/**
 * Starts of the codes, and where the last one ends. Queries that see keys of one group, or of groups beside each other, begin
 * with a tile of their own where they fill one: none of its rows then sees other keys.
 */
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
  for (const codes of lists) largest = Math.max(largest, largestOf(codes));
  const starts = new Int32Array(largest + 2);
  for (const codes of lists) {
    for (let at = 0; at < codes.length; at++) if (codes[at] >= 0) starts[codes[at] + 1] += 1;
  }
  for (let code = 0; code <= largest; code++) starts[code + 1] += starts[code];
  return starts;
}

function largestOf(codes: Int32Array): number {
  let largest = -1;
  for (let at = 0; at < codes.length; at++) if (codes[at] > largest) largest = codes[at];
  return largest;
}

function isAscending(codes: Int32Array): boolean {
  for (let at = 1; at < codes.length; at++) if (codes[at] < codes[at - 1]) return false;
  return true;
}

/** So many numbers, ascending from 0, and again from 0 after `period` of them. */
function numbers(count: number, period: number): Int32Array {
  const list = new Int32Array(count);
  for (let at = 0, number = 0; at < count; at++, number++) {
    if (number === period) number = 0;
    list[at] = number;
  }
  return list;
}

/** With zeros behind, up to a multiple. */
function padded(list: Int32Array, multiple: number): Int32Array {
  if (list.length % multiple === 0) return list;
  const longer = new Int32Array(roundUp(list.length, multiple));
  longer.set(list);
  return longer;
}

/** Lists one after the other. */
function joined(lists: readonly Int32Array[]): Int32Array {
  const all = new Int32Array(lists.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const list of lists) {
    all.set(list, at);
    at += list.length;
  }
  return all;
}
