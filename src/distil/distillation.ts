/**
 * @file A distillation as the training loop drives it: first each swapped layer learns from the teacher's, then, where asked for, the
 * whole model is tuned by changes of low rank. Batches come from (seed, step), so a run that was stopped goes on with the same numbers.
 */
import { type numpy as np } from "@jax-js/jax";
import { Tape, type Value } from "../autodiff/index.ts";
import { type Tensor } from "../base/tensor.ts";
import { type WeightSource } from "../checkpoints/index.ts";
import { arraysOf } from "../kernels/jax/tensors.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { type Adapter, factorNames, isAdaptable, mergedWeight } from "../language/adapter-format.ts";
import { tokenWindows, windowNats } from "../language/evaluate-text.ts";
import { loadDecoder, type ModelLayout } from "../language/index.ts";
import {
  decoder,
  type Decoder,
  type DecoderConfig,
  type LayerAttentions,
  type ModelArrays,
  type ModelParameter,
} from "../models/index.ts";
import { normalWeights } from "../nn/initialisation.ts";
import {
  adamW,
  learningRateAt,
  type Metrics,
  type Optimiser,
  type StepReport,
  type Trainable,
} from "../train/index.ts";
import { calibrateSwap, hasOpenTemperatures } from "../swap/calibrate-swap.ts";
import { endToEnd } from "./end-to-end.ts";
import { layerDistillation, type LayerLoss } from "./layer-distillation.ts";
import { type LowRank } from "./mixing-layer.ts";
import { taughtLayers } from "./taught-layers.ts";
import { splitText, windowsAt } from "./text-batches.ts";

/** What is distilled, and how. */
export interface DistillationOptions {
  readonly source: WeightSource;
  readonly layout: ModelLayout<DecoderConfig>;
  /** Of every layer, after the swap; temperatures that are `auto` begin turned to the teacher's own scores, as in a swap. */
  readonly attention: LayerAttentions;
  /** The layers that learn, in rising order. */
  readonly layers: readonly number[];
  readonly loss: LayerLoss;
  readonly lowRank: LowRank;
  /** The text. */
  readonly tokens: Int32Array;
  /** The mark that begins a text, with which every window begins; none where the tokenizer has none. */
  readonly begin: number | undefined;
  /** B windows of N tokens a step. */
  readonly batch: number;
  readonly length: number;
  /** Steps of all layers, and of the whole model after them. */
  readonly steps: number;
  readonly tuneSteps: number;
  /** The peaks of their schedules. */
  readonly learningRate: number;
  readonly tuneRate: number;
  readonly seed: number;
  readonly engine: WasmEngine | undefined;
}

/** A distillation under way. */
export interface Distillation extends Trainable {
  /** What has been learned so far. */
  adapter(training: Adapter["training"]): Promise<Adapter>;
}

/** A twentieth of a phase warms up. */
const warmUpShare = 0.05;

/**
 * Makes it; the teacher's weights are read here.
 *
 * @throws DomainError `distil-data`, UnsupportedError `distil-model` and `distil-loss`, and what `loadDecoder` throws
 */
export async function distillation(options: DistillationOptions): Promise<Distillation> {
  const { source, layout, attention, layers, loss, lowRank, batch, length, begin, seed, engine } = options;
  const { steps: layerSteps, tuneSteps } = options;
  const { training, held } = splitText(options.tokens, length);
  const { model: teacher, tensors } = await loadDecoder(source, layout, { engine });
  const student = decoder({ ...layout.config, attention }, { engine });
  const made = layers.map((layer) =>
    layerDistillation({ teacher: teacher.config, student: student.config, layer, loss, lowRank, engine }),
  );
  const frozen = arraysOf(tensors);
  const ofLayers = layers.map((layer) => `model.layers.${layer}.`);
  const adaptable = student.parameters.filter(
    (parameter) =>
      lowRank.rank > 0 &&
      isAdaptable(parameter) &&
      ofLayers.some((prefix) => parameter.name.startsWith(prefix)),
  );
  const own = student.parameters.filter(({ name }) => !(name in tensors));
  const batchAt = (step: number) => windowsAt(training, { batch, length, seed, step, begin });
  const turned = await turnedTemperatures();
  const undecayed: readonly ModelParameter[] = [
    ...own.map((parameter) => ({
      ...parameter,
      decays: false,
      initial: (ofSeed: number) => turned[parameter.name] ?? parameter.initial(ofSeed),
    })),
    ...adaptable.flatMap((weight) => factorsOf(weight, lowRank.rank)),
  ];
  const byName = new Map(undecayed.map((parameter) => [parameter.name, parameter]));
  const learnedBy = made.map(({ own: ofLayer, changed }) =>
    [
      ...ofLayer.map(({ name }) => name),
      ...changed.flatMap(({ name }) => Object.values(factorNames(name))),
    ].filter((name) => byName.has(name)),
  );
  const constants = { weightDecay: 0 };
  const optimisers = learnedBy.map((names) =>
    adamW(
      names.map((name) => byName.get(name)!),
      constants,
    ),
  );
  const tuner = tuneSteps > 0 && undecayed.length > 0 ? adamW(undecayed, constants) : undefined;
  const tuning = endToEnd(student, adaptable, lowRank);
  let arrays = arraysOf(Object.fromEntries(undecayed.map(({ name, initial }) => [name, initial(seed)])));
  let taken = 0;
  /** The held tokens' loss between the two phases. */
  let imitatedNats: number | undefined;

  const pick = (names: readonly string[]): Record<string, np.Array> =>
    Object.fromEntries(names.map((name) => [name, arrays[name]]));

  /** The temperatures that are `auto`, by the first batch. */
  async function turnedTemperatures(): Promise<Readonly<Record<string, Tensor>>> {
    if (!hasOpenTemperatures(student)) return {};
    const { tokens } = batchAt(0);
    const activations = await teacher.activations(frozen, tokens, batch);
    const first = arraysOf(Object.fromEntries(own.map(({ name, initial }) => [name, initial(seed)])));
    const base = { model: teacher, arrays: frozen, config: layout.config, engine };
    const swapped = { model: student, arrays: { ...frozen, ...first } };
    const found = await calibrateSwap(base, swapped, activations);
    disposeAll(first);
    return found;
  }

  /** One descent of some parameters. */
  async function descend(
    optimiser: Optimiser,
    names: readonly string[],
    rate: number,
    lossOn: (tape: Tape, trained: ModelArrays) => Promise<Value>,
  ): Promise<{ loss: number; gradientNorm: number }> {
    const tape = new Tape({ gradient: names.length > 0 });
    try {
      const value = await lossOn(tape, pick(names));
      const [number] = await value.read();
      if (names.length === 0) return { loss: number, gradientNorm: 0 };
      const gradients = await tape.backward(value);
      const next = await optimiser.step(pick(names), gradients, rate);
      arrays = { ...arrays, ...next.parameters };
      return { loss: number, gradientNorm: next.gradientNorm };
    } finally {
      tape.dispose();
    }
  }

  async function layerStep(step: number): Promise<StepReport> {
    const { learningRate: peak } = options;
    const given = batchAt(step);
    const rate = learningRateAt(
      { peak, steps: layerSteps, warmUp: Math.ceil(layerSteps * warmUpShare) },
      step,
    );
    const taught = await taughtLayers(teacher, frozen, given, layers);
    const results: { loss: number; gradientNorm: number }[] = [];
    for (const [index, layer] of made.entries()) {
      results.push(
        await descend(optimisers[index], learnedBy[index], rate, (tape, trained) =>
          layer.loss(tape, taught[index], trained, frozen),
        ),
      );
    }
    const mean = results.reduce((sum, result) => sum + result.loss, 0) / results.length;
    const gradientNorm = Math.hypot(...results.map((result) => result.gradientNorm));
    return { loss: mean, learningRate: rate, gradientNorm, items: given.targets.length };
  }

  async function tuneStep(step: number): Promise<StepReport> {
    const { tuneRate: peak } = options;
    const given = batchAt(layerSteps + step);
    const rate = learningRateAt({ peak, steps: tuneSteps, warmUp: Math.ceil(tuneSteps * warmUpShare) }, step);
    const names = [...byName.keys()];
    const result = await descend(tuner!, names, rate, (tape, trained) =>
      tuning.loss(tape, trained, frozen, given),
    );
    return { ...result, learningRate: rate, items: given.targets.length };
  }

  async function learned(): Promise<Record<string, Tensor>> {
    const read: Record<string, Tensor> = {};
    for (const { name, shape } of undecayed) {
      read[name] = { data: (await arrays[name].ref.data()) as Float32Array, shape };
    }
    return read;
  }

  const measured = tokenWindows(held, length, begin);
  /** Mean −ln p of the held tokens. */
  const nats = async (model: Decoder, given: ModelArrays): Promise<number> => {
    const sums = await windowNats({ model, arrays: given }, measured);
    return sums.reduce((sum, own) => sum + own, 0) / measured.counts.reduce((sum, own) => sum + own, 0);
  };

  async function studentNats(now: Readonly<Record<string, Tensor>>): Promise<number> {
    const merged: Record<string, Tensor> = {};
    for (const { name } of own) merged[name] = now[name];
    for (const { name } of adaptable) {
      const names = factorNames(name);
      const factors = { a: now[names.a], b: now[names.b] };
      merged[name] = mergedWeight(tensors[name], factors, lowRank.alpha / lowRank.rank);
    }
    const changed = arraysOf(merged);
    const all = { ...frozen, ...changed };
    const result = await nats(student, pickOf(all, student.parameters));
    disposeAll(changed);
    return result;
  }

  const initial = (): Record<string, Tensor> =>
    Object.fromEntries(undecayed.map((parameter) => [parameter.name, parameter.initial(seed)]));

  return {
    steps: layerSteps + tuneSteps,
    async step(step) {
      const report = step < layerSteps ? await layerStep(step) : await tuneStep(step - layerSteps);
      taken = step + 1;
      if (taken === layerSteps && tuneSteps > 0) imitatedNats = await studentNats(await learned());
      return report;
    },
    validate: async () => ({ nats: await studentNats(await learned()) }),
    async test(): Promise<Metrics> {
      const base = await nats(teacher, frozen);
      const swapped = await studentNats(initial());
      const distilled = await studentNats(await learned());
      const imitated = imitatedNats ?? distilled;
      return {
        baseNats: base,
        swappedNats: swapped,
        imitatedNats: imitated,
        distilledNats: distilled,
        basePerplexity: Math.exp(base),
        swappedPerplexity: Math.exp(swapped),
        imitatedPerplexity: Math.exp(imitated),
        distilledPerplexity: Math.exp(distilled),
        ...(swapped <= base
          ? {}
          : {
              imitationRecovered: (swapped - imitated) / (swapped - base),
              recovered: (swapped - distilled) / (swapped - base),
              recoveredPerplexity:
                (Math.exp(swapped) - Math.exp(distilled)) / (Math.exp(swapped) - Math.exp(base)),
            }),
      };
    },
    async snapshot() {
      const moments = await Promise.all(
        optimisers.map(async (optimiser, index) => prefixed(`${index}/`, await optimiser.snapshot())),
      );
      const tuned = tuner === undefined ? {} : prefixed("tune/", await tuner.snapshot());
      return {
        model: await learned(),
        optimiser: Object.assign({}, ...moments, tuned) as Record<string, Tensor>,
        state: { stepsTaken: taken, ...(imitatedNats === undefined ? {} : { imitatedNats }) },
      };
    },
    restore({ model, optimiser, state }) {
      taken = Number(state["stepsTaken"]);
      imitatedNats = state["imitatedNats"] === undefined ? undefined : Number(state["imitatedNats"]);
      const moments = optimiser as Readonly<Record<string, Tensor>>;
      optimisers.forEach((one, index) =>
        one.restore(unprefixed(`${index}/`, moments), Math.min(taken, layerSteps)),
      );
      tuner?.restore(unprefixed("tune/", moments), Math.max(0, taken - layerSteps));
      const stored = undecayed.map(({ name, shape }) => [
        name,
        { data: Float32Array.from(model[name].data), shape },
      ]);
      disposeAll(arrays);
      arrays = arraysOf(Object.fromEntries(stored) as Record<string, Tensor>);
      return Promise.resolve();
    },
    async adapter(record) {
      const { rank, alpha } = adaptable.length === 0 ? { rank: 0, alpha: 0 } : lowRank;
      return { attention, rank, alpha, tensors: await learned(), training: record };
    },
    dispose() {
      disposeAll(arrays);
      disposeAll(frozen);
      [...optimisers, tuner, tuning, ...made, teacher, student].forEach((owned) => owned?.dispose());
    },
  };
}

/** A of small draws and B of zeros, so that nothing is changed at first. */
function factorsOf({ name, shape: [out, width] }: ModelParameter, rank: number): readonly ModelParameter[] {
  const { a, b } = factorNames(name);
  return [
    {
      name: a,
      shape: [rank, width],
      decays: false,
      initial: (seed) => normalWeights(seed, a, [rank, width], width ** -0.5),
    },
    {
      name: b,
      shape: [out, rank],
      decays: false,
      initial: () => ({ data: new Float32Array(out * rank), shape: [out, rank] }),
    },
  ];
}

function pickOf(arrays: ModelArrays, parameters: readonly ModelParameter[]): ModelArrays {
  return Object.fromEntries(parameters.map(({ name }) => [name, arrays[name]]));
}

function disposeAll(arrays: ModelArrays): void {
  for (const array of Object.values(arrays)) array.dispose();
}

function prefixed<Content>(
  prefix: string,
  record: Readonly<Record<string, Content>>,
): Record<string, Content> {
  return Object.fromEntries(Object.entries(record).map(([name, content]) => [`${prefix}${name}`, content]));
}

function unprefixed<Content>(
  prefix: string,
  record: Readonly<Record<string, Content>>,
): Record<string, Content> {
  return Object.fromEntries(
    Object.entries(record).flatMap(([name, content]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), content]] : [],
    ),
  );
}
