/**
 * @file One layer's attention learns to do as another's does: the teacher's rows, queries, keys and values go in, and the loss is how
 * far the outputs, or the weights, are from the teacher's. As in Zhang et al. 2024, The Hedgehog and the Porcupine (weights), and
 * Zhang et al. 2024, LoLCATs (outputs).
 */
import { numpy as np } from "@jax-js/jax";
import { lossStage, type Tape, type Value } from "../autodiff/index.ts";
import { UnsupportedError } from "../base/errors.ts";
import { type Tensor } from "../base/tensor.ts";
import { arrayOf } from "../kernels/jax/tensors.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import {
  type ComposedGroup,
  type ModelArrays,
  type ModelParameter,
  type ResolvedDecoderConfig,
} from "../models/index.ts";
import { type LowRank, type MixingLayer, mixingLayer } from "./mixing-layer.ts";

/** What is compared with the teacher's. */
export type LayerLoss = "outputs" | "weights";

/** What a layer of the teacher did, all heads together. */
export interface TaughtLayer {
  /** The residual stream before it, [B, N, width]. */
  readonly x: Tensor;
  /** [B, H, N, D], [B, G, N, D], [B, G, N, E], [B, H, N, E] */
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly out: Tensor;
}

/** What makes the distillation of a layer. */
export interface LayerDistillationOptions {
  readonly teacher: ResolvedDecoderConfig;
  readonly student: ResolvedDecoderConfig;
  readonly layer: number;
  readonly loss: LayerLoss;
  readonly lowRank: LowRank;
  readonly engine: WasmEngine | undefined;
}

/** The distillation of one layer. */
export interface LayerDistillation {
  /** The attention's own parameters, and the weights whose changes are learned. */
  readonly own: readonly ModelParameter[];
  readonly changed: readonly ModelParameter[];
  /**
   * On the tape. Of outputs Σ(o − o*)²/Σo*², which is 0 for the teacher itself and 1 for nothing at all; of weights the mean over rows
   * of Σ t·ln(t/w) over the weights t that are taught, in nats.
   *
   * @param trained - arrays of `own` and of the factors of `changed`
   * @param frozen - the teacher's arrays
   */
  loss(tape: Tape, taught: TaughtLayer, trained: ModelArrays, frozen: ModelArrays): Promise<Value>;
  dispose(): void;
}

/** Keeps logarithms of weights finite. */
const smallest = 1e-9;

/**
 * Makes it.
 *
 * @throws UnsupportedError `distil-loss` for weights of what has none, `distil-model` as {@link mixingLayer}
 */
export function layerDistillation(options: LayerDistillationOptions): LayerDistillation {
  const { teacher, student, layer, loss, lowRank, engine } = options;
  const learner = mixingLayer({
    config: student,
    layer,
    engine,
    lowRank,
    // Weights say nothing of values.
    sides: loss === "weights" ? ["q", "k"] : ["q", "k", "v"],
  });
  if (loss === "weights") [...teacher.groups[layer], ...student.groups[layer]].forEach(requireWeights);
  const weigher: MixingLayer | undefined =
    loss === "weights"
      ? mixingLayer({ config: teacher, layer, engine, lowRank: { rank: 0, alpha: 0 }, sides: [] })
      : undefined;
  const measure = loss === "weights" ? divergence() : relativeError();

  return {
    own: learner.own,
    changed: learner.changed,
    async loss(tape, taught, trained, frozen) {
      const constant = (tensor: Tensor): Value => tape.constant(arrayOf(tensor));
      const values = (own: ModelArrays, names: readonly string[]): Record<string, Value> => ({
        ...Object.fromEntries(
          Object.entries(own).map(([name, array]) => [name, tape.parameter(name, array)]),
        ),
        ...Object.fromEntries(names.map((name) => [name, tape.constant(frozen[name].ref)])),
      });
      const given = (): Record<"x" | "q" | "k" | "v", Value> => ({
        x: constant(taught.x),
        q: constant(taught.q),
        k: constant(taught.k),
        v: constant(weigher === undefined ? taught.v : placesAsValues(taught.k.shape)),
      });
      const target =
        weigher === undefined
          ? [constant(taught.out)]
          : await weigher.run(
              tape,
              given(),
              values({}, [...weigher.frozen, ...weigher.own.map(({ name }) => name)]),
            );
      const outputs = await learner.run(tape, given(), values(trained, learner.frozen));
      const named = (prefix: string, list: readonly Value[]): [string, Value][] =>
        list.map((value, index) => [`${prefix}.${index}`, value]);
      const inputs = Object.fromEntries([...named("out", outputs), ...named("target", target)]);
      return (await tape.run(measure, inputs)).loss;
    },
    dispose: () => [learner, weigher, measure].forEach((owned) => owned?.dispose()),
  };
}

/** Values that are one at their own place and zero elsewhere: outputs are the weights. */
function placesAsValues([batch, heads, length]: readonly number[]): Tensor {
  const data = new Float32Array(batch * heads * length * length);
  for (let row = 0; row < batch * heads * length; row++) data[row * length + (row % length)] = 1;
  return { data, shape: [batch, heads, length, length] };
}

const headsOf = (arrays: ModelArrays, prefix: string): np.Array => {
  const own = Object.keys(arrays)
    .filter((name) => name.startsWith(`${prefix}.`))
    .map((name) => arrays[name]);
  return own.length === 1 ? own[0] : np.concatenate(own, 1);
};

const relativeError = () =>
  lossStage<string>("relative error", (arrays: ModelArrays) => {
    const [out, target] = [headsOf(arrays, "out"), headsOf(arrays, "target")];
    const difference = np.sum(np.square(out.sub(target.ref)));
    return { loss: difference.div(np.sum(np.square(target))) };
  });

const divergence = () =>
  lossStage<string>("divergence of weights", (arrays: ModelArrays) => {
    const [out, target] = [headsOf(arrays, "out"), headsOf(arrays, "target")];
    const [batch, heads, length] = target.shape;
    const farther = np.log(target.ref.add(smallest)).sub(np.log(out.add(smallest)));
    return { loss: np.sum(target.mul(farther)).mul(1 / (batch * heads * length)) };
  });

/** Whether outputs are sums of values by weights that are not negative and have sum 1. */
function requireWeights(group: ComposedGroup): void {
  if ("composition" in group) {
    const { normaliser, aggregation } = group.composition;
    if (aggregation.name === "mean" && normaliser.name === "softmax") return;
  } else {
    const { name, options } = group.recurrence.rule;
    const isPositive = options["map"] !== "identity" && options["normaliser"] !== "none";
    if (name === "performer" || (name === "linear" && isPositive)) return;
  }
  throw new UnsupportedError(
    "distil-loss",
    `Cannot compare weights as both attentions must have them, positive and with sum 1: '${group.selector}' has none. Compare outputs`,
  );
}
