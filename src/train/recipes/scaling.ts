/**
 * @file Scaling: what one forward and backward pass costs in time and memory as the length N doubles, and the exponents p
 * of cost ∝ N^p. Nothing is trained; a step measures one length.
 */
import * as v from "valibot";
import {
  type AttentionInputs,
  compose,
  completeSelector,
  parametersOf,
  parseSelector,
  resolveParameters,
} from "../../attention/index.ts";
import { NumbersError } from "../../base/errors.ts";
import { narrow, type Tensor } from "../../base/tensor.ts";
import { jaxBackend } from "../../kernels/jax/index.ts";
import { wasmBackend } from "../../kernels/wasm/index.ts";
import { causal } from "../../patterns/index.ts";
import { fitExponent, type ScalingCase, scalingCases, type ScalingPoint } from "../../tasks/index.ts";
import { median } from "../metrics.ts";
import { whole } from "../setting-schemas.ts";
import { readSettings } from "../settings.ts";
import { type Metrics, type Recipe, type Snapshot, type Trainable } from "../trainable.ts";

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

const metric = { name: "timeExponent", unit: "p of time ∝ N^p", better: "lower" } as const;

/** One step measures one length, forward and backward. */
export const scalingRecipe: Recipe<ScalingSettings> = {
  task: "scaling",
  metric,
  comparesPairs: true,
  unit: "pairs",
  settings: (overrides) => readSettings("scaling", schema, overrides),
  learningRates: () => [0],
  create({ selector, seed, settings, data, engine }): Promise<Trainable> {
    const composition = compose(completeSelector(parseSelector(selector), { patterns: [causal()] }));
    const cases = [...scalingCases(settings, seed)];
    const backend = engine === undefined ? jaxBackend : wasmBackend(engine);
    let timesMs: number[] = [];
    let bytes: number[] = [];
    const residentBefore = data.residentBytes?.();

    const measure = async ({ q, k, v: values }: ScalingCase): Promise<number> => {
      const sizes = { heads: settings.heads, width: settings.headWidth };
      const parameters = Object.fromEntries(
        Object.entries(resolveParameters(composition, sizes)).map(([name, value]) => [name, narrow(value)]),
      );
      const inputs: AttentionInputs<Tensor> = { q, k, v: values, parameters };
      const rounds: number[] = [];
      for (let round = -1; round < settings.rounds; round++) {
        const start = performance.now();
        const result = await backend.forward(composition, inputs, []);
        await backend.backward(composition, inputs, result, result.out);
        if (round >= 0) rounds.push(performance.now() - start);
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
        parameters: parametersOf(composition).length,
      };
    };

    return Promise.resolve({
      steps: cases.length,
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
