/** @file Queries and keys of a choice in the order of their groups, round by round. */
import { type Choice } from "../../selections/index.ts";
import { roundUp, tileKeys, tileRows } from "./kernel-spec.ts";

/**
 * Virtual rows and keys, of which the first Q and S are themselves. Row v sees keys among [starts[v], stops[v]), which are
 * those of its group, found by round rounds[v].
 */
export interface VirtualRows {
  readonly rows: Int32Array;
  readonly keys: Int32Array;
  readonly starts: Int32Array;
  readonly stops: Int32Array;
  readonly rounds: Int32Array;
}

/**
 * Rounds over the same groups of keys share their order, and their queries are put in order together. Every order begins
 * with a tile of its own; what fills the tile before is a copy of row or key 0 that no pair names.
 */
export function virtualRows({ rounds, reach }: Choice, queries: number, keys: number): VirtualRows {
  const rowLists: Int32Array[] = [padded(numbers(queries), tileRows)];
  const keyLists: Int32Array[] = [padded(numbers(keys), tileKeys)];
  const [starts, stops, ofRounds] = [0, 1, 2].map(() => [new Int32Array(rowLists[0].length)]);
  let keyCount = keyLists[0].length;
  let isOwnTaken = false;
  for (const keyCodes of new Set(rounds.map((round) => round.keyCodes))) {
    const own = rounds.flatMap((round, number) => (round.keyCodes === keyCodes ? [number] : []));
    const groups = groupsOf(keyCodes);
    const firstKey = groups.isInOrder ? 0 : keyCount;
    if (!groups.isInOrder) {
      keyLists.push(padded(groups.order, tileKeys));
      keyCount += roundUp(keyCodes.length, tileKeys);
    }
    const range = (code: number, write: (start: number, stop: number) => void): void => {
      const last = groups.starts.length - 2;
      const [low, high] = [Math.min(code - reach, last + 1), Math.min(code, last)];
      if (high < 0) write(0, 0);
      else write(firstKey + groups.starts[Math.max(0, low)], firstKey + groups.starts[high + 1]);
    };
    const sorted: number[] = [];
    for (const number of own) {
      const { queryCodes } = rounds[number];
      // Rows whose groups ascend already need no copy.
      if (isOwnTaken || !groups.isInOrder || !isAscending(queryCodes)) sorted.push(number);
      else {
        isOwnTaken = true;
        for (let row = 0; row < queries; row++) {
          range(queryCodes[row], (start, stop) => {
            starts[0][row] = start;
            stops[0][row] = stop;
          });
          ofRounds[0][row] = number;
        }
      }
    }
    const entries = sortedEntries(
      sorted.map((number) => rounds[number].queryCodes),
      queries,
    );
    const rows = padded(
      entries.map((entry) => entry % queries),
      tileRows,
    );
    rowLists.push(rows);
    const [start, stop, round] = [0, 1, 2].map(() => new Int32Array(rows.length));
    entries.forEach((entry, at) => {
      const number = sorted[Math.floor(entry / queries)];
      range(rounds[number].queryCodes[entry % queries], (from, to) => {
        start[at] = from;
        stop[at] = to;
      });
      round[at] = number;
    });
    starts.push(start);
    stops.push(stop);
    ofRounds.push(round);
  }
  return {
    rows: joined(rowLists),
    keys: joined(keyLists),
    starts: joined(starts),
    stops: joined(stops),
    rounds: joined(ofRounds),
  };
}

/** Places in the order of their codes, and where each code starts, one more at the end. */
function groupsOf(codes: Int32Array): {
  readonly order: Int32Array;
  readonly starts: Int32Array;
  readonly isInOrder: boolean;
} {
  const starts = startsOf([codes]);
  const next = starts.slice();
  const order = new Int32Array(codes.length);
  for (let place = 0; place < codes.length; place++) order[next[codes[place]]++] = place;
  return { order, starts, isInOrder: isAscending(codes) };
}

/** Entries (list·queries + query) of several lists in the order of their codes, then of their queries; negative codes are left out. */
function sortedEntries(lists: readonly Int32Array[], queries: number): Int32Array {
  const next = startsOf(lists);
  const entries = new Int32Array(next.at(-1) ?? 0);
  for (let query = 0; query < queries; query++) {
    for (let list = 0; list < lists.length; list++) {
      const code = lists[list][query];
      if (code >= 0) entries[next[code]++] = list * queries + query;
    }
  }
  return entries;
}

/** Where each code starts when all of them are sorted, one more at the end. */
function startsOf(lists: readonly Int32Array[]): Int32Array {
  let largest = -1;
  for (const codes of lists) for (const code of codes) largest = Math.max(largest, code);
  const starts = new Int32Array(largest + 2);
  for (const codes of lists) for (const code of codes) if (code >= 0) starts[code + 1] += 1;
  for (let code = 0; code <= largest; code++) starts[code + 1] += starts[code];
  return starts;
}

function isAscending(codes: Int32Array): boolean {
  return codes.every((code, at) => at === 0 || code >= codes[at - 1]);
}

const numbers = (count: number): Int32Array => Int32Array.from({ length: count }, (_, number) => number);

/** With zeros behind, up to a multiple. */
function padded(list: Int32Array, multiple: number): Int32Array {
  const longer = new Int32Array(roundUp(list.length, multiple));
  longer.set(list);
  return longer;
}

function joined(lists: readonly Int32Array[]): Int32Array {
  const all = new Int32Array(lists.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const list of lists) {
    all.set(list, at);
    at += list.length;
  }
  return all;
}
