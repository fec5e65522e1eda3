/** @file Interleaved rounds: every contestant once a round, so that what slows the machine down slows all of them down. */

/** One thing to be timed; it measures itself. */
export interface Entrant {
  readonly name: string;
  /** Runs once and says how many milliseconds that took. */
  readonly timeMs: () => Promise<number>;
}

/** Times of an entrant over all rounds, in milliseconds. */
export interface Times {
  readonly medianMs: number;
  /** First and third quartile. */
  readonly quartilesMs: readonly [number, number];
}

/** Threads of other libraries spin for some milliseconds after their work; the next entrant waits for them. */
const settleMs = 40;
/** Engines compile what runs often once more, in the background. */
const warmUpMs = 300;
/** One measurement is the mean of as many runs as take this long. */
const measureMs = 20;

/** How the rounds are run. */
export interface RoundOptions {
  readonly rounds: number;
  /** Whether entrants run for a while before they are measured; without, once. */
  readonly warmUp: boolean;
  /** Is told who failed and why; whoever fails takes no further part. */
  readonly failed: (name: string, error: Error) => void;
}

/** Times of every entrant by name. */
export async function interleaved(
  entrants: readonly Entrant[],
  { rounds, warmUp, failed }: RoundOptions,
): Promise<ReadonlyMap<string, Times>> {
  const lists = new Map(entrants.map(({ name }) => [name, [] as number[]]));
  const runs = new Map<string, number>();
  const meanOf = async ({ timeMs }: Entrant, count: number): Promise<number> => {
    let sum = 0;
    for (let run = 0; run < count; run++) sum += await timeMs();
    return sum / count;
  };
  for (let round = -1; round < rounds; round++) {
    for (const entrant of entrants) {
      const list = lists.get(entrant.name);
      if (list === undefined) continue;
      try {
        await new Promise((resolve) => setTimeout(resolve, settleMs));
        if (round >= 0) {
          list.push(await meanOf(entrant, runs.get(entrant.name)!));
        } else {
          const last = await warm(entrant, warmUp ? warmUpMs : 0);
          runs.set(entrant.name, Math.max(1, Math.floor(measureMs / last)));
        }
      } catch (error) {
        lists.delete(entrant.name);
        failed(entrant.name, error as Error);
      }
    }
  }
  return new Map([...lists].map(([name, list]) => [name, timesOf(list)]));
}

/** Runs for so long, at least once; the last time. */
async function warm({ timeMs }: Entrant, wantedMs: number): Promise<number> {
  let [last, sum] = [0, 0];
  do {
    last = await timeMs();
    sum += last;
  } while (sum < wantedMs);
  return last;
}

/** Median and quartiles of a list that is not empty. */
export function timesOf(list: readonly number[]): Times {
  return {
    medianMs: quantile(list, 0.5),
    quartilesMs: [quantile(list, 0.25), quantile(list, 0.75)],
  };
}

/** Linear between the two nearest of the sorted numbers. */
export function quantile(list: readonly number[], share: number): number {
  const sorted = [...list].sort((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(place)], sorted[Math.ceil(place)]];
  return low + (high - low) * (place - Math.floor(place));
}
