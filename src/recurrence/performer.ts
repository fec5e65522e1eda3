/** @file Performer: softmax attention estimated without bias by positive orthogonal random features (FAVOR+). */
import { integerOption } from "../base/options.ts";
import { type PartFactory } from "../base/part.ts";
import { random } from "../base/random.ts";
import { type FeatureMap, product } from "./feature-map.ts";
import { liftLogs, logState, logStateInput } from "./log-features.ts";
import { keyInputs, queryInput } from "./rule-inputs.ts";
import { type ChunkOption, defineLifted, type RecurrentRule } from "./rule.ts";

/** What `performer` takes. */
export interface PerformerOptions extends ChunkOption {
  /** m (default ⌊D·ln D⌋, at least 1). */
  readonly features?: number;
  /** Of the drawn directions (default 0); another seed draws again. */
  readonly seed?: number;
}

/**
 * Linear attention with φ(x) = e^{ω·x' − ‖x'‖²/2}/√m, x' = x·D^{−¼}, whose kernel has the mean e^{q·k/√D}, the
 * weight of softmax attention. The rows ω are orthogonal in blocks of D, with the lengths of gaussian vectors. Features are
 * carried in logarithms, each with its largest key so far: no key of the future changes a bit of the past.
 *
 * @param options - `features` m, `seed`, and `chunk`: tokens of a chunk, which must divide N
 * @example
 * ```ts
 * import { performer, recurrence, tensor } from "qklab";
 * const attend = recurrence({ rule: performer({ features: 64, seed: 3 }) });
 * const q = tensor([1, 0, 0, 1], [1, 1, 2, 2]);
 * const { out } = await attend({ q, k: q, v: q });
 * ```
 */
export const performer: PartFactory<RecurrentRule, PerformerOptions> = defineLifted<PerformerOptions>(
  {
    selector: "performer",
    formula: "as linear with φ(x) = exp(ω·x' − ‖x'‖²/2)/√m, x' = x/D^¼, ω orthogonal in blocks, without 1e-6",
    source: "Choromanski et al. 2021, Rethinking Attention with Performers, lemma 1 and section 2.4",
    rules: { features: integerOption(1), seed: integerOption(0) },
  },
  ({ features, seed = 0 }) => {
    const map = randomLogFeatures(features, seed);
    return {
      inputs: [queryInput, ...keyInputs, logStateInput(map.features)],
      hasWhole: true,
      stateShape: logState(map.features),
      hasLogScales: true,
      lift: (call) => liftLogs(map, call),
    };
  },
);

/** log φ without the −½·log m that the division cancels: ω·x' − ‖x'‖²/2. */
export function randomLogFeatures(features: number | undefined, seed: number): FeatureMap {
  const drawn = new Map<number, Float64Array>();
  const countOf = (width: number): number => features ?? Math.max(1, Math.floor(width * Math.log(width)));
  const directions = (width: number): Float64Array => {
    const known = drawn.get(width) ?? orthogonalDirections(countOf(width), width, seed);
    drawn.set(width, known);
    return known;
  };
  const scaled = (x: Float64Array): Float64Array => x.map((value) => value * x.length ** -0.25);
  return {
    features: countOf,
    forward: (x, out) => {
      const short = scaled(x);
      const half = short.reduce((sum, value) => sum + value * value, 0) / 2;
      out.set(product(directions(x.length), short).map((log) => log - half));
    },
    backward: (x, dOut, dx) => {
      const width = x.length;
      const omega = directions(width);
      const sum = dOut.reduce((total, gradient) => total + gradient, 0);
      const short = scaled(x);
      for (let d = 0; d < width; d++) {
        let gradient = -sum * short[d];
        for (let r = 0; r < dOut.length; r++) gradient += dOut[r] * omega[r * width + d];
        dx[d] += gradient * width ** -0.25;
      }
    },
  };
}

/**
 * Rows that are orthogonal within blocks of D and each gaussian on its own: directions of gaussian matrices made
 * orthogonal, times lengths of other gaussian vectors.
 *
 * @returns [count, width]
 */
function orthogonalDirections(count: number, width: number, seed: number): Float64Array {
  const stream = random(seed, "performer", width);
  const rows = new Float64Array(count * width);
  let block: Float64Array[] = [];
  for (let row = 0; row < count; row++) {
    if (block.length === width) block = [];
    const direction = Float64Array.from(stream.normals(width));
    // Twice, as one subtraction leaves what it rounds off.
    for (let pass = 0; pass < 2; pass++) {
      for (const other of block) {
        const along = direction.reduce((sum, value, d) => sum + value * other[d], 0);
        direction.forEach((_, d) => (direction[d] -= along * other[d]));
      }
    }
    const length = Math.hypot(...direction);
    direction.forEach((_, d) => (direction[d] /= length));
    block.push(direction);
    const drawnLength = Math.hypot(...stream.normals(width));
    rows.set(
      direction.map((value) => value * drawnLength),
      row * width,
    );
  }
  return rows;
}
