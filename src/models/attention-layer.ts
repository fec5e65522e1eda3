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
import {
  type AttentionGroup,
  attentionGroup,
  heldParameters,
  type LayerGroup,
  operationInputs,
} from "./attention-group.ts";
import { type ConvolvedHeads, convolvedHeads } from "./convolved-heads.ts";
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
  readonly weights: Readonly<Record<"q" | "k" | "v" | "o", string>>;
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
  const prefixOf = (index: number): string =>
    options.groups.length === 1 ? prefix : `${prefix}.groups.${index}`;
  const groups = options.groups.map((group, index): MixingGroup => {
    const at = prefixOf(index);
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
  const into = [
    weight("q", [heads * headWidth, width], deviations.into),
    weight("k", [keyValueHeads * headWidth, width], deviations.into),
    weight("v", [keyValueHeads * valueWidth, width], deviations.into),
  ] as const;
  const out = weight("o", [outWidth, heads * valueWidth], deviations.out);
  const { convolution: taps = 1 } = options;
  const convolution =
    taps === 1
      ? undefined
      : convolvedHeads(
          groups.map((group, index) => ({ ...group, prefix: prefixOf(index) })),
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
    parameters: [...into, out, ...own],
    projected: [...into, ...own].map(({ name }) => name),
    merged: [out.name],
    weights: { q: into[0].name, k: into[1].name, v: into[2].name, o: out.name },
    held,
    gated,
    gates,
    parameterValues,
    project(rows, batch, arrays) {
      const gateValues = gated.length === 0 ? {} : gates(rows.ref, batch, arrays);
      const [q, k, v] = into.map(({ name }, index) =>
        splitHeads(
          linear(index === 2 ? rows : rows.ref, arrays[name]),
          batch,
          index === 0 ? heads : keyValueHeads,
        ),
      );
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
      return linear(mergeHeads(all), arrays[out.name]);
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
