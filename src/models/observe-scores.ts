/**
 * @file Looking at the scores of a model's attentions on a batch: to calibrate temperatures before training, and to measure
 * the largest score and the entropy of the weights after it.
 */
import { numpy as np } from "@jax-js/jax";
import { calibratedParameters, type Composition, rowSpread, similarityAlone } from "../attention/index.ts";
import { type Tensor, tensor64, type Tensor64 } from "../base/tensor.ts";
import { attentionScores } from "../kernels/jax/index.ts";
import { holdValues } from "../nn/attention-parameters.ts";
import { type AttentionGroup, operationInputs } from "./attention-group.ts";
import { type ModelArrays, type ScoreStatistics } from "./model.ts";
import { routingCollector } from "./routing-statistics.ts";

/**
 * Sees a layer's queries, keys and parameters before it attends; may return other values for some of them, which are the
 * caller's to dispose.
 *
 * @param arrays - what the layer's projection returned; they stay the caller's
 */
export type LayerObserver = (
  groups: readonly AttentionGroup[],
  arrays: ModelArrays,
) => Promise<Record<string, np.Array>>;

/**
 * Turns every temperature that is `auto` until the rows of each head's scores have unit standard deviation. `held` fills
 * with the new values, under their names in the model.
 */
export function calibrationObserver(): {
  readonly observe: LayerObserver;
  readonly held: Record<string, Tensor>;
} {
  const held: Record<string, Tensor> = {};
  const observe: LayerObserver = async (groups, arrays) => {
    const turned: Record<string, np.Array> = {};
    for (const group of groups) {
      const temperatures = group.trained.filter(({ parameter }) => parameter.mode === "auto");
      if (temperatures.length === 0) continue;
      const alone = similarityAlone(group.composition);
      const { scores } = await scoresOf(alone, group, arrays);
      const current: Record<string, Tensor64> = {};
      for (const { parameter, output } of temperatures) {
        current[parameter.name] = tensor64(await arrays[output].ref.data(), arrays[output].shape);
      }
      const calibrated = calibratedParameters(alone, current, rowSpread(scores));
      for (const { parameter, held: name, output } of temperatures) {
        const value = calibrated[parameter.name];
        held[name] = holdValues(parameter, value);
        turned[output] = np.array(Float32Array.from(value.data), { shape: [...value.shape] });
      }
    }
    return turned;
  };
  return { observe, held };
}

/** Collects {@link ScoreStatistics} over all layers, groups and rows; those of routers are of their routing. */
export function statisticsObserver(): {
  readonly observe: LayerObserver;
  readonly statistics: () => ScoreStatistics;
} {
  let largestLogit: number | undefined;
  let entropySum = 0;
  let rows = 0;
  let isDistribution = true;
  const routing = routingCollector();
  const observe: LayerObserver = async (groups, arrays) => {
    for (const group of groups) {
      if (group.routing !== undefined) {
        routing.add(
          (await scoresOf(similarityAlone(group.composition), group, arrays)).scores,
          group.routing,
        );
        continue;
      }
      const { scores, weights } = await scoresOf(group.composition, group, arrays);
      for (const score of scores.data) {
        if (score !== -Infinity) largestLogit = Math.max(largestLogit ?? 0, Math.abs(score));
      }
      isDistribution &&= group.composition.normaliser.nonNegative;
      const entropies = isDistribution ? rowEntropies(weights) : [];
      entropySum += entropies.reduce((sum, entropy) => sum + entropy, 0);
      rows += entropies.length;
    }
    return {};
  };
  return {
    observe,
    statistics: () => ({
      ...(largestLogit === undefined ? {} : { largestLogit }),
      ...(isDistribution && rows > 0 ? { entropy: entropySum / rows } : {}),
      ...routing.statistics(),
    }),
  };
}

/**
 * −Σ p ln p of every row, in nats, with p the row's weights scaled to a sum of 1 (sigmoid weights have any sum); rows
 * without weight have none.
 */
export function rowEntropies({ data, shape }: Tensor): number[] {
  const keys = shape[shape.length - 1];
  const entropies: number[] = [];
  for (let start = 0; start < data.length; start += keys) {
    let mass = 0;
    let sum = 0;
    for (let place = start; place < start + keys; place++) {
      const weight = data[place];
      if (weight === 0) continue;
      mass += weight;
      sum += weight * Math.log(weight);
    }
    if (mass > 0) entropies.push(Math.log(mass) - sum / mass);
  }
  return entropies;
}

async function scoresOf(
  composition: Composition,
  group: AttentionGroup,
  arrays: ModelArrays,
): ReturnType<typeof attentionScores> {
  const constants: np.Array[] = [];
  const inputs = operationInputs(group, arrays, (array) => {
    constants.push(array);
    return array;
  });
  try {
    return await attentionScores(composition, inputs);
  } finally {
    for (const array of constants) array.dispose();
  }
}
