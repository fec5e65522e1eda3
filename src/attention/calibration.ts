/**
 * @file Calibration of the temperature: score families differ by 25 times in spread at initialisation, which fakes
 * results, so before a comparison the rows of every family's scores are brought to unit standard deviation.
 */
import { DomainError } from "../base/errors.ts";
import { type Tensor64 } from "../base/tensor.ts";
import { nope } from "../positions/index.ts";
import { all } from "../selections/index.ts";
import { type Composition } from "./composition.ts";
import { type AttentionInputs } from "./inputs.ts";
import { type ReferenceOptions, referenceForward } from "./reference.ts";
import { resolveParameters } from "./parameters.ts";

/** Mean over rows of the standard deviation of a row's scores, per head; excluded pairs (−∞) do not count. */
export function rowSpread({
  data,
  shape,
}: {
  readonly data: ArrayLike<number>;
  readonly shape: readonly number[];
}): Float64Array {
  const [batch, heads, queries, keys] = shape;
  const sums = new Float64Array(heads);
  const counts = new Float64Array(heads);
  for (let row = 0; row < batch * heads * queries; row++) {
    const scores: number[] = [];
    for (let key = 0; key < keys; key++) {
      const score = data[row * keys + key];
      if (score !== -Infinity) scores.push(score);
    }
    if (scores.length < 2) continue;
    const mean = scores.reduce((a, b) => a + b) / scores.length;
    const variance = scores.reduce((sum, score) => sum + (score - mean) ** 2, 0) / scores.length;
    const head = Math.floor(row / queries) % heads;
    sums[head] += Math.sqrt(variance);
    counts[head] += 1;
  }
  return sums.map((sum, head) => (counts[head] === 0 ? 0 : sum / counts[head]));
}

/**
 * The temperature's parameters, turned so that rows of scores have unit standard deviation on average, per head. The
 * score must be proportional to parameter^power, which all built-in similarities are.
 *
 * @param spread - the row spread of the scores with the `current` values, per head
 * @throws DomainError `calibration` when the similarity declares no temperature, or a head's scores do not vary
 */
export function calibratedParameters(
  { similarity }: Composition,
  current: Readonly<Record<string, Tensor64>>,
  spread: Float64Array,
): Record<string, Tensor64> {
  const { temperature } = similarity;
  if (temperature === undefined) {
    throw new DomainError(
      "calibration",
      `Cannot calibrate '${similarity.name}' as it declares no temperature. Name the parameter that multiplies its score`,
    );
  }
  const flatHead = spread.findIndex((value) => !(value > 0));
  if (flatHead !== -1) {
    throw new DomainError(
      "calibration",
      `Cannot calibrate '${similarity.name}' as the scores of a row must vary: spread ${spread[flatHead]} in head ${flatHead}. ` +
        "Pass a batch with more than one distinct key",
    );
  }
  return Object.fromEntries(
    temperature.parameters.map((name) => {
      const { data, shape } = current[name];
      return [
        name,
        { shape, data: data.map((value, head) => value * spread[head] ** (-1 / temperature.power)) },
      ];
    }),
  );
}

/** The composition whose scores are the similarity's own: no position bias on them, no pair selected away. */
export function similarityAlone(composition: Composition): Composition {
  const position = composition.position.place === "bias" ? nope() : composition.position;
  return { ...composition, position, selection: all() };
}

/** Calibrates on one call's inputs with the reference's scores: all parameters, the temperature's turned. */
export function calibrate(
  composition: Composition,
  inputs: AttentionInputs,
  options: ReferenceOptions = {},
): Record<string, Tensor64> {
  const { bias: _, ...unbiased } = inputs;
  const { scores } = referenceForward(similarityAlone(composition), unbiased, options);
  const [heads, width] = [inputs.q.shape[1], inputs.q.shape[3]];
  const current = resolveParameters(composition, { heads, width }, inputs.parameters);
  return { ...current, ...calibratedParameters(composition, current, rowSpread(scores)) };
}
