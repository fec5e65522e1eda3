/**
 * @file When few row tiles have many keys, their lists of tiles are cut into parts of a fixed number of keys, so that all
 * threads have work. Where they are cut depends on the sizes of the call alone: any number of threads gives the same bits.
 */
import { partLayout } from "./join-parts.ts";
import { tileKeys } from "./kernel-spec.ts";
import { type KernelCall, type RowTileRecord, type TaskRecord } from "./kernel-call.ts";

/** Tiles of a part: with 64 keys a tile, half a megabyte of keys and values of 64 numbers. */
export const tilesPerPart = 16;
/** From so many tasks on, threads are busy without parts. */
const enoughTasks = 64;
/** So many steps, each a product or about as long, are done before another thread wakes; a score takes about so many. */
const fewSteps = 131_072;
const stepsOfScore = 64;
/** So many numbers in parts are joined faster by one thread than by several. */
const fewNumbers = 32_768;

/** How many parts a task's list of tiles is cut into: 1 when it stays whole. */
export function partsOf(tileCount: number, tasks: number): number {
  return tasks >= enoughTasks ? 1 : Math.max(1, Math.ceil(tileCount / tilesPerPart));
}

/** Runs the forward pass of row tiles, whole or in parts that a second phase joins. */
export function runForward(call: KernelCall, rowTiles: readonly RowTileRecord[]): void {
  const { arena } = call.engine;
  const { spec } = call.kernel;
  const mark = arena.mark;
  const joins: TaskRecord[] = [];
  let numbers = 0;
  const tasks = rowTiles.flatMap((record): readonly TaskRecord[] => {
    const { shared, tiles, tileCount, rows, firstRow } = record;
    const count = partsOf(tileCount, rowTiles.length);
    if (count === 1) return [record];
    const layout = partLayout(spec, rows);
    const first = arena.take(count * layout.bytes);
    numbers += (count * layout.bytes) / 4;
    joins.push({ ...record, part: first, partStride: layout.bytes, count });
    // A task finds its rows from the first row of the head; those of a block begin with its own.
    const before = 4 * firstRow * spec.paddedValueWidth;
    return Array.from({ length: count }, (_, number) => {
      const part = first + number * layout.bytes;
      return {
        shared,
        firstRow,
        rows,
        tiles: tiles + 8 * number * tilesPerPart,
        tileCount: Math.min(tilesPerPart, tileCount - number * tilesPerPart),
        part,
        out: part + layout.out - before,
        winner: part + layout.winner - before,
      };
    });
  });
  const pairs = rowTiles.reduce((sum, { rows, tileCount }) => sum + rows * tileCount * tileKeys, 0);
  const steps = pairs * (spec.rowWidth + spec.paddedValueWidth + stepsOfScore);
  call.run("forward", tasks, steps <= fewSteps);
  if (joins.length > 0) call.run("joinParts", joins, numbers <= fewNumbers);
  arena.giveBack(mark);
}
