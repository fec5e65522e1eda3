/** @file Bits of the pairs that rounds find first, for all row tiles of a head, on an engine. */
import { type Choice } from "../../../selections/index.ts";
import { type KernelCode, type WasmEngine } from "../engine/engine.ts";
import { foundFields, foundModule, tileBitsBytes } from "./found-bits-kernel.ts";
import { runTasks } from "../engine/task-records.ts";
import { type KeyTiles } from "./tile-writer.ts";
import { joined, type VirtualRows } from "./virtual-rows.ts";

/** A row tile, whose rows belong to one round, and its key tiles. */
export interface RowTile extends KeyTiles {
  readonly firstRow: number;
  readonly rows: number;
}

/** Bits of the key tiles of every row tile, one after the other, and whether a virtual row has a key. */
export interface FoundBits {
  readonly words: readonly Int32Array[];
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
    const queryCodes = write(joined(rounds.map((round) => round.queryCodes)));
    const keyCodes = rounds.map((_, round) => earlierCodes(rounds, round, virtual)).map(write);
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
    const counts = tiles.map(({ tileCount }) => tileCount);
    const all = counts.reduce((sum, count) => sum + count, 0);
    const bits = arena.take(Math.max(1, all) * tileBitsBytes);
    arena.integers.fill(0, bits / 4, bits / 4 + all * tileWords);
    let end = bits;
    const records = tiles.flatMap(({ firstRow, rows, firstTile, tileCount }) => {
      const start = end;
      end += tileCount * tileBitsBytes;
      const round = virtual.rounds[firstRow];
      if (round < 0 || tileCount === 0) return [];
      return [{ shared: ofRounds[round], rows, firstRow, firstTile, bits: start }];
    });
    const kernel = codes.get(engine) ?? engine.compile(foundModule(engine.shared));
    codes.set(engine, kernel);
    runTasks(engine, "foundBits", foundFields, records, { kernel, scratch: 0, scratchBytes: 0 });
    const read = (address: number, count: number): Int32Array =>
      new Int32Array(arena.integers.subarray(address / 4, address / 4 + count));
    const words = read(bits, all * tileWords);
    const found = read(ofAll.found, virtual.rows.length);
    let start = 0;
    const ofTiles = counts.map((count) => words.subarray(start, (start += count * tileWords)));
    return { words: ofTiles, found };
  } finally {
    arena.giveBack(mark);
  }
}

const codes = new WeakMap<WasmEngine, KernelCode>();

/** Codes of the keys of a round in its order, of every earlier round. */
function earlierCodes(
  rounds: Choice["rounds"],
  round: number,
  { keys, firstKeys, keyCounts }: VirtualRows,
): Int32Array {
  const [first, count] = [firstKeys[round], keyCounts[round]];
  const sorted = new Int32Array(round * count);
  for (let earlier = 0; earlier < round; earlier++) {
    const { keyCodes } = rounds[earlier];
    for (let at = 0; at < count; at++) sorted[earlier * count + at] = keyCodes[keys[first + at]];
  }
  return sorted;
}
