/**
 * @file One attention layer between a model's stages: the projections into queries, keys and values of each head group, the
 * groups' operations on the tape, and the projection of their outputs.
 */
import { numpy as np } from "@jax-js/jax";
import { type Tape, type Value } from "../autodiff/index.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { valuesOf } from "../nn/attention-parameters.ts";
import { mergeHeads, splitHeads } from "../nn/heads.ts";
import { normalWeights } from "../nn/initialisation.ts";
import { linear } from "../nn/linear.ts";
import { rmsNorm } from "../nn/rms-norm.ts";
import { unitLength } from "../nn/unit-length.ts";
import {
  type AttentionGroup,
  attentionGroup,
  heldParameters,
  type LayerGroup,
  operationInputs,
} from "./attention-group.ts";
import { filled } from "./decoder-blocks.ts";
import { type ConvolvedHeads, convolvedHeads } from "./convolved-heads.ts";
import { groupPrefix } from "./group-prefix.ts";
import { type ModelArrays, type ModelParameter } from "./model.ts";
import { type LayerObserver } from "./observe-scores.ts";
import { type RecurrenceGroup, recurrenceGroup, type RecurrentHeads } from "./recurrence-group.ts";

/** What makes an attention layer. */
export interface AttentionLayerOptions {
  /** Where its parameters are, such as `model.layers.0.self_attn`. */
  readonly prefix: string;
  readonly groups: readonly (LayerGroup | RecurrentHeads)[];
  /** Width of the rows that queries and keys are made of. */
  readonly width: number;
  /** D */
  readonly headWidth: number;
  /** E (default D) */
  readonly valueWidth?: number;
  /** Tokens that heads see before they are compared, their own among them (default 1: no convolution). */
  readonly convolution?: number;
  /** Whether keys are the queries at unit length, k = q/‖q‖ (default false); then there are as many key heads. */
  readonly sharedQueryKey?: boolean;
  /** Whether queries, keys and values have biases, and whether the rows that come out have one (default false). */
  readonly projectionBias?: boolean;
  readonly outputBias?: boolean;
  /** ε of an RMSNorm of every head's queries and keys, with one weight for all heads; no norm when absent. */
  readonly headNorm?: number;
  /** Width of the rows that come out (default `width`). */
  readonly outWidth?: number;
  /** Computes the attention; jax-js when absent. */
  readonly engine: WasmEngine | undefined;
  /** Deviations of the initial weights into the heads and out of them. */
  readonly deviations: { readonly into: number; readonly out: number };
}

/** Values of a layer on the tape, by name. */
export type LayerValues = Readonly<Record<string, Value>>;

/** Heads of a layer that share an attention or a recurrence. */
export type MixingGroup = AttentionGroup | RecurrenceGroup;

/** One attention layer. */
export interface AttentionLayer {
  readonly groups: readonly MixingGroup[];
  readonly parameters: readonly ModelParameter[];
  /** Names of the parameters that {@link AttentionLayer.project} and {@link AttentionLayer.merge} read. */
  readonly projected: readonly string[];
  readonly merged: readonly string[];
  /** Names of the weights by their role, for those who project and merge on an engine. */
  readonly weights: Readonly<Record<"q" | "v" | "o", string>> & { readonly k?: string };
  /** Names of the biases by their role; none where they have none. */
  readonly biases: Readonly<Partial<Record<"q" | "k" | "v" | "o", string>>>;
  /** Names of the weights of the heads' norms, and their ε. */
  readonly headNorm: { readonly q: string; readonly k: string; readonly epsilon: number } | undefined;
  /** Names of the groups' own parameters that training moves, but for those of {@link AttentionLayer.gated}. */
  readonly held: readonly string[];
  /** Names of the parameters that {@link AttentionLayer.gates} reads; none where no recurrence reads the rows themselves. */
  readonly gated: readonly string[];
  /**
   * Inside a stage: rows to the queries, keys and values of each group, and the values of its trained parameters.
   *
   * @param rows - [B·N, width]; consumed
   * @param arrays - the parameters that `projected` names; consumed
   */
  project(rows: np.Array, batch: number, arrays: ModelArrays): Record<string, np.Array>;
  /**
   * Inside a stage: what recurrences read of the rows beside queries, keys and values, which is among what is projected.
   *
   * @param rows - [B·N, width]; consumed
   * @param arrays - the parameters that `gated` names; consumed
   */
  gates(rows: np.Array, batch: number, arrays: ModelArrays): Record<string, np.Array>;
  /**
   * Inside a stage: the keys of each group from its queries, where the layer has no weight of keys.
   *
   * @param queries - by their names; consumed
   */
  keysOf(queries: ModelArrays): Record<string, np.Array>;
  /**
   * Inside a stage: the values of the groups' trained parameters, which are among what is projected.
   *
   * @param arrays - the parameters that `held` names; consumed
   */
  parameterValues(arrays: ModelArrays): Record<string, np.Array>;
  /** What lets heads see the tokens before their own. */
  readonly convolution: ConvolvedHeads | undefined;
  /**
   * On the tape: the outputs of all groups. What was projected is released.
   *
   * @param observe - sees the layer first, and may turn parameters
   */
  attend(tape: Tape, projected: LayerValues, observe?: LayerObserver): Promise<Record<string, Value>>;
  /**
   * Inside a stage: the outputs of all groups to rows [B·N, outWidth].
   *
   * @param arrays - the outputs, and the parameters that `merged` names; consumed
   */
  merge(arrays: ModelArrays): np.Array;
  dispose(): void;
}

/** Makes a layer. */
export function attentionLayer(options: AttentionLayerOptions): AttentionLayer {
  const { prefix, width, headWidth, valueWidth = headWidth, outWidth = width, deviations } = options;
  const { sharedQueryKey = false } = options;
  const groups = options.groups.map((group, index): MixingGroup => {
    const at = groupPrefix(prefix, options.groups.length, index);
    return "recurrence" in group
      ? recurrenceGroup(group, index, at, { width, headWidth, valueWidth }, options.engine)
      : attentionGroup(group, index, at, headWidth, options.engine);
  });
  const recurrent = groups.filter((group): group is RecurrenceGroup => "recurrence" in group);
  const scored = groups.filter((group): group is AttentionGroup => !("recurrence" in group));
  const heads = groups.reduce((sum, group) => sum + group.heads, 0);
  const keyValueHeads = groups.reduce((sum, group) => sum + group.keyValueHeads, 0);
  const weight = (part: string, shape: readonly [number, number], deviation: number): ModelParameter => {
    const name = `${prefix}.${part}_proj.weight`;
    return { name, shape, decays: true, initial: (seed) => normalWeights(seed, name, shape, deviation) };
  };
  const into = {
    q: weight("q", [heads * headWidth, width], deviations.into),
    ...(sharedQueryKey ? {} : { k: weight("k", [keyValueHeads * headWidth, width], deviations.into) }),
    v: weight("v", [keyValueHeads * valueWidth, width], deviations.into),
  };
  const out = weight("o", [outWidth, heads * valueWidth], deviations.out);
  const bias = (part: string, extent: number): ModelParameter =>
    filled(`${prefix}.${part}_proj.bias`, extent, 0);
  const intoBiases: Partial<Record<"q" | "k" | "v", ModelParameter>> =
    options.projectionBias === true
      ? Object.fromEntries(Object.entries(into).map(([part, { shape }]) => [part, bias(part, shape[0])]))
      : {};
  const outBias = options.outputBias === true ? bias("o", outWidth) : undefined;
  const headNorm =
    options.headNorm === undefined
      ? undefined
      : {
          q: filled(`${prefix}.q_norm.weight`, headWidth, 1),
          k: filled(`${prefix}.k_norm.weight`, headWidth, 1),
          epsilon: options.headNorm,
        };
  const projecting = [
    ...Object.values(into),
    ...Object.values(intoBiases),
    ...(headNorm === undefined ? [] : [headNorm.q, headNorm.k]),
  ];
  const merging = outBias === undefined ? [out] : [out, outBias];
  const { convolution: taps = 1 } = options;
  const convolution =
    taps === 1
      ? undefined
      : convolvedHeads(
          groups.map((group, index) => ({
            ...group,
            prefix: groupPrefix(prefix, options.groups.length, index),
          })),
          taps,
          { headWidth, valueWidth },
        );
  const own = [
    ...groups.flatMap((group) =>
      "recurrence" in group ? group.parameters : heldParameters(group, headWidth),
    ),
    ...(convolution?.parameters ?? []),
  ];
  const gated = recurrent.flatMap((group) => group.gated);
  const held = own.map(({ name }) => name).filter((name) => !gated.includes(name));

  const parameterValues = (arrays: ModelArrays): Record<string, np.Array> =>
    Object.assign(
      { ...convolution?.weights(arrays) },
      ...groups.map((group) =>
        "recurrence" in group
          ? group.parameterValues(arrays)
          : Object.fromEntries(
              group.trained.map(({ parameter, held: name, output }) => [
                output,
                valuesOf(parameter, arrays[name]),
              ]),
            ),
      ),
    ) as Record<string, np.Array>;
  const gates = (rows: np.Array, batch: number, arrays: ModelArrays): Record<string, np.Array> => {
    const made = recurrent.map((group) => group.gates(rows.ref, batch, arrays));
    rows.dispose();
    return Object.assign({}, ...made) as Record<string, np.Array>;
  };

  return {
    groups,
    parameters: [...projecting, ...merging, ...own],
    projected: [...projecting, ...own].map(({ name }) => name),
    merged: merging.map(({ name }) => name),
    weights: {
      q: into.q.name,
      ...(into.k === undefined ? {} : { k: into.k.name }),
      v: into.v.name,
      o: out.name,
    },
    biases: Object.fromEntries(
      Object.entries({ ...intoBiases, o: outBias }).flatMap(([role, parameter]) =>
        parameter === undefined ? [] : [[role, parameter.name]],
      ),
    ),
    headNorm: headNorm && { q: headNorm.q.name, k: headNorm.k.name, epsilon: headNorm.epsilon },
    held,
    gated,
    gates,
    parameterValues,
    keysOf: (queries) =>
      Object.fromEntries(groups.map(({ names }) => [names.k, unitLength(queries[names.q])])),
    project(rows, batch, arrays) {
      const gateValues = gated.length === 0 ? {} : gates(rows.ref, batch, arrays);
      const headsOf = (side: "q" | "k" | "v", { name }: ModelParameter, count: number): np.Array => {
        const own = intoBiases[side];
        const row = linear(rows.ref, arrays[name], own === undefined ? undefined : arrays[own.name]);
        const all = splitHeads(row, batch, count);
        if (headNorm === undefined || side === "v") return all;
        return rmsNorm(all, arrays[headNorm[side].name], headNorm.epsilon);
      };
      const q = headsOf("q", into.q, heads);
      const k = into.k === undefined ? unitLength(q.ref) : headsOf("k", into.k, keyValueHeads);
      const v = headsOf("v", into.v, keyValueHeads);
      rows.dispose();
      const sides = [
        { part: "q", all: q, own: (group: MixingGroup) => group.heads },
        { part: "k", all: k, own: (group: MixingGroup) => group.keyValueHeads },
        { part: "v", all: v, own: (group: MixingGroup) => group.keyValueHeads },
      ] as const;
      const outputs: Record<string, np.Array> = {};
      for (const { part, all, own } of sides) {
        let start = 0;
        for (const group of groups) {
          const stop = start + own(group);
          outputs[group.names[part]] = all.ref.slice([], [start, stop]);
          start = stop;
        }
        all.dispose();
      }
      return { ...outputs, ...gateValues, ...parameterValues(arrays) };
    },
    convolution,
    async attend(tape, given, observe) {
      const projected = convolution === undefined ? given : await convolution.run(tape, given);
      const turned = observe === undefined ? {} : await observe(scored, arraysOf(projected));
      const values: LayerValues = {
        ...projected,
        ...Object.fromEntries(Object.entries(turned).map(([name, array]) => [name, tape.constant(array)])),
      };
      const outputs: Record<string, Value> = {};
      for (const group of groups) {
        if ("recurrence" in group) {
          outputs[group.names.out] = await group.run(tape, values);
          continue;
        }
        const inputs = operationInputs(group, values, (array) => tape.constant(array));
        const { out } = await tape.run(group.operation, inputs);
        outputs[group.names.out] = out;
      }
      tape.release(...Object.values(values));
      return outputs;
    },
    merge(arrays) {
      const outputs = groups.map(({ names }) => arrays[names.out]);
      const all = outputs.length === 1 ? outputs[0] : np.concatenate(outputs, 1);
      return linear(
        mergeHeads(all),
        arrays[out.name],
        outBias === undefined ? undefined : arrays[outBias.name],
      );
    },
    dispose() {
      convolution?.dispose();
      for (const group of groups) ("recurrence" in group ? group : group.operation).dispose();
    },
  };
}

function arraysOf(values: LayerValues): ModelArrays {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value.array]));
}
