/** @file Bits of the pairs that rounds find first, for all row tiles of a head, on an engine. */
import { type Choice } from "../../../selections/index.ts";
import { type KernelCode, type WasmEngine } from "../engine/engine.ts";
import { foundFields, foundModule, tileBitsBytes } from "./found-bits-kernel.ts";
import { runTasks } from "../engine/task-records.ts";
import { type KeyTiles } from "./tile-writer.ts";
import { type VirtualRows } from "./virtual-rows.ts";

/** A row tile, whose rows belong to one round, and its key tiles. */
export interface RowTile extends KeyTiles {
  readonly firstRow: number;
  readonly rows: number;
}

/** Bits of tiles, and whether a virtual row has a key. */
export interface FoundBits {
  /** Those of a whole tile, and of the key tiles of every row tile, one after the other. */
  readonly words: Int32Array;
  /** By row tile, the number of its first key tile's bits. */
  readonly numbers: readonly number[];
  readonly found: Int32Array;
}

/**
 * The pairs of row tiles that are in the range of their row, at another place than its own, and found by no earlier round.
 *
 * @param offset - the place of the first query
 */
export function foundBits(
  engine: WasmEngine,
  { rounds, reach }: Choice,
  virtual: VirtualRows,
  tiles: readonly RowTile[],
  offset: number,
): FoundBits {
  const { arena } = engine;
  const { mark } = arena;
  const write = (numbers: Int32Array): number => {
    const address = arena.take(4 * Math.max(1, numbers.length));
    arena.integers.set(numbers, address / 4);
    return address;
  };
  try {
    const queries = rounds[0].queryCodes.length;
    const queryCodes = arena.take(4 * rounds.length * queries);
    rounds.forEach((of, round) => arena.integers.set(of.queryCodes, queryCodes / 4 + round * queries));
    const keyCodes = rounds.map((_, round) => {
      const address = arena.take(4 * Math.max(1, round * virtual.keyCounts[round]));
      writeEarlierCodes(arena.integers, address / 4, rounds, round, virtual);
      return address;
    });
    const ofAll = {
      order: write(virtual.rows),
      starts: write(virtual.starts),
      stops: write(virtual.stops),
      keys: write(virtual.keys),
      offset,
      queryCodes,
      queryStride: 4 * queries,
      reach,
      found: arena.take(4 * virtual.rows.length),
    };
    const ofRounds = rounds.map((_, round) => ({
      ...ofAll,
      count: round,
      keyCodes: keyCodes[round],
      keyStride: 4 * virtual.keyCounts[round],
      firstKey: virtual.firstKeys[round],
    }));
    const tileWords = tileBitsBytes / 4;
    let count = 1;
    const numbers = tiles.map(({ tileCount }) => {
      const number = count;
      count += tileCount;
      return number;
    });
    const bits = arena.take(count * tileBitsBytes);
    const start = bits / 4;
    arena.integers.fill(-1, start, start + tileWords).fill(0, start + tileWords, start + count * tileWords);
    const records = tiles.flatMap(({ firstRow, rows, firstTile, tileCount }, tile) => {
      const round = virtual.rounds[firstRow];
      if (round < 0 || tileCount === 0) return [];
      return [
        { shared: ofRounds[round], rows, firstRow, firstTile, bits: bits + numbers[tile] * tileBitsBytes },
      ];
    });
    const kernel = codes.get(engine) ?? engine.compile(foundModule(engine.shared));
    codes.set(engine, kernel);
    runTasks(engine, "foundBits", foundFields, records, { kernel, scratch: 0, scratchBytes: 0 });
    const read = (address: number, length: number): Int32Array =>
      new Int32Array(arena.integers.subarray(address / 4, address / 4 + length));
    return { words: read(bits, count * tileWords), numbers, found: read(ofAll.found, virtual.rows.length) };
  } finally {
    arena.giveBack(mark);
  }
}

const codes = new WeakMap<WasmEngine, KernelCode>();

/** Writes the codes of the keys of a round in its order, of every earlier round. */
function writeEarlierCodes(
  target: Int32Array,
  at: number,
  rounds: Choice["rounds"],
  round: number,
  { keys, firstKeys, keyCounts }: VirtualRows,
): void {
  const [first, count] = [firstKeys[round], keyCounts[round]];
  for (let earlier = 0; earlier < round; earlier++) {
    const { keyCodes } = rounds[earlier];
    const to = at + earlier * count;
    for (let key = 0; key < count; key++) target[to + key] = keyCodes[keys[first + key]];
  }
}
