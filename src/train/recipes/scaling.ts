/**
 * @file Scaling: what one forward and backward pass of an attention or a recurrence costs in time and memory as the length N
 * doubles, and the exponents p of cost ∝ N^p. Nothing is trained; a step measures one length.
 */
import * as v from "valibot";
import { NumbersError } from "../../base/errors.ts";
import { fitExponent, type ScalingCase, scalingCases, type ScalingPoint } from "../../tasks/index.ts";
import { median } from "../metrics.ts";
import { whole } from "../setting-schemas.ts";
import { readSettings } from "../settings.ts";
import { type Metrics, type Recipe, type Snapshot } from "../trainable.ts";
import { type AnnotatedTrainable } from "../loop.ts";
import { computationNotes } from "../training-selector.ts";
import { measuredMixer } from "./scaling-pass.ts";

/** Settings of the scaling recipe. */
export interface ScalingSettings {
  /** Lengths are 2^from … 2^to. */
  readonly from: number;
  readonly to: number;
  readonly batch: number;
  readonly heads: number;
  readonly headWidth: number;
  /** Passes per length, of which the median counts. */
  readonly rounds: number;
}

const schema = v.strictObject({
  from: v.optional(whole(4), 6),
  to: v.optional(whole(6), 10),
  batch: v.optional(whole(1), 1),
  heads: v.optional(whole(1), 4),
  headWidth: v.optional(whole(1), 32),
  rounds: v.optional(whole(1), 5),
});

/** Passes before those that count: JavaScript runs slowly until it is compiled, which would make short lengths look dear. */
const WARM_UP_MS = 50;

const metric = { name: "timeExponent", unit: "p of time ∝ N^p", better: "lower" } as const;

/** One step measures one length, forward and backward. */
export const scalingRecipe: Recipe<ScalingSettings> = {
  task: "scaling",
  metric,
  unit: "pairs",
  settings: (overrides) => readSettings("scaling", schema, overrides),
  learningRates: () => [0],
  create({ selector, seed, settings, data, engine }): Promise<AnnotatedTrainable> {
    const mixer = measuredMixer(selector, engine);
    const cases = [...scalingCases(settings, seed)];
    const notes = computationNotes(selector, engine !== undefined);
    let timesMs: number[] = [];
    let bytes: number[] = [];
    const residentBefore = data.residentBytes?.();

    const measure = async (inputs: ScalingCase): Promise<number> => {
      const pass = mixer.prepare(inputs, seed);
      const begin = performance.now();
      do await pass();
      while (performance.now() - begin < WARM_UP_MS);
      const rounds: number[] = [];
      for (let round = 0; round < settings.rounds; round++) {
        const start = performance.now();
        await pass();
        rounds.push(performance.now() - start);
      }
      return median(rounds);
    };

    const points = (costs: readonly number[]): ScalingPoint[] =>
      costs.map((cost, index) => ({ length: cases[index].length, cost })).filter(({ cost }) => cost > 0);

    const results = (): Metrics => {
      if (timesMs.length < 3) {
        throw new NumbersError(
          "scaling-points",
          `Cannot fit an exponent as three lengths must be measured: ${timesMs.length}. Let the run finish, or set a longer range`,
        );
      }
      const time = fitExponent(points(timesMs));
      const memory = points(bytes);
      return {
        timeExponent: time.exponent,
        timeExponentError: time.standardError,
        ...(memory.length < 3 ? {} : { memoryExponent: fitExponent(memory).exponent }),
        ...Object.fromEntries(timesMs.map((timeMs, index) => [`timeMsAt${cases[index].length}`, timeMs])),
        ...Object.fromEntries(bytes.map((count, index) => [`bytesAt${cases[index].length}`, count])),
        parameters: mixer.parameters,
      };
    };

    return Promise.resolve({
      steps: cases.length,
      ...(notes.length === 0 ? {} : { notes }),
      async step(step) {
        timesMs[step] = await measure(cases[step]);
        if (residentBefore !== undefined && data.residentBytes !== undefined) {
          bytes[step] = data.residentBytes() - residentBefore;
        }
        return { items: cases[step].length ** 2 };
      },
      validate: async () => results(),
      test: async () => results(),
      snapshot: (): Promise<Snapshot> =>
        Promise.resolve({ model: {}, optimiser: {}, state: { timesMs: [...timesMs], bytes: [...bytes] } }),
      restore({ state }) {
        timesMs = [...(state["timesMs"] as readonly number[])];
        bytes = [...(state["bytes"] as readonly number[])];
        return Promise.resolve();
      },
      dispose: () => undefined,
    });
  },
};
