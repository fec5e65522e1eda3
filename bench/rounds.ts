/** @file Interleaved rounds: every contestant once a round, so that what slows the machine down slows all of them down. */

/** One thing to be timed. */
export interface Contestant {
  readonly name: string;
  readonly run: () => void | Promise<void>;
}

/** Median time of each contestant in milliseconds, after one round that does not count. */
export async function interleaved(
  contestants: readonly Contestant[],
  rounds: number,
): Promise<Map<string, number>> {
  const times = new Map(contestants.map(({ name }) => [name, [] as number[]]));
  for (let round = -1; round < rounds; round++) {
    for (const { name, run } of contestants) {
      const start = performance.now();
      await run();
      if (round >= 0) times.get(name)!.push(performance.now() - start);
    }
  }
  return new Map([...times].map(([name, list]) => [name, median(list)]));
}

export function median(list: readonly number[]): number {
  const sorted = list.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
