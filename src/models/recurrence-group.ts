/**
 * @file Heads of a layer that share a recurrence: its operation, what it reads beside queries, keys and values, and what is done
 * with its outputs. Sums that nothing divides grow with the number of tokens, so each head's output is brought to unit mean square,
 * as in the models of the papers; what comes out of `rwkv4`, which has no queries, is gated by them.
 */
import { type numpy as np } from "@jax-js/jax";
import { recurrenceOperation, stage, type Tape, type Value } from "../autodiff/index.ts";
import { initialValues } from "../attention/parameters.ts";
import { ShapeError } from "../base/errors.ts";
import { tensor } from "../base/tensor.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { heldName, holdValues, valuesOf } from "../nn/attention-parameters.ts";
import { sigmoid } from "../nn/feed-forward.ts";
import { rmsNorm } from "../nn/rms-norm.ts";
import { printRecurrence, type RecurrenceComposition, type RecurrentRule } from "../recurrence/index.ts";
import { type ModelArrays, type ModelParameter } from "./model.ts";
import { type Gate, gatesOf } from "./recurrence-gates.ts";

/** Heads that share a recurrence. */
export interface RecurrentHeads {
  readonly recurrence: RecurrenceComposition;
  readonly heads: number;
  readonly keyValueHeads: number;
}

/** The extents of a group. */
export interface RecurrenceGroupSizes {
  /** Width of the layer's rows. */
  readonly width: number;
  /** D */
  readonly headWidth: number;
  /** E */
  readonly valueWidth: number;
}

/** A group that can run. */
export interface RecurrenceGroup extends RecurrentHeads {
  readonly names: Readonly<Record<"q" | "k" | "v" | "out", string>>;
  readonly parameters: readonly ModelParameter[];
  /** Names of the parameters that `parameterValues` reads, and of those that `gates` reads. */
  readonly held: readonly string[];
  readonly gated: readonly string[];
  /** Inside a stage: what is made of parameters alone. */
  parameterValues(arrays: ModelArrays): Record<string, np.Array>;
  /**
   * Inside a stage: what is made of the layer's rows.
   *
   * @param rows - [B·N, width]; consumed
   */
  gates(rows: np.Array, batch: number, arrays: ModelArrays): Record<string, np.Array>;
  /** The inputs of the rule, by the names of the rule, among the values of the layer. */
  ruleInputs<V>(values: Readonly<Record<string, V>>): Record<string, V>;
  /** On the tape: outputs [B, H, N, E], of all values of the layer. */
  run(tape: Tape, values: Readonly<Record<string, Value>>): Promise<Value>;
  /** On the tape: the group's outputs from those of its rule. */
  finish(tape: Tape, out: Value, values: Readonly<Record<string, Value>>): Promise<Value>;
  dispose(): void;
}

/** Rules whose outputs are divided by the sum of their weights. */
function isNormalised({ name, options }: RecurrentRule): boolean {
  return name === "performer" || name === "rwkv4" || (name === "linear" && options["normaliser"] !== "none");
}

/**
 * Makes group number `index` of a layer.
 *
 * @param prefix - where its parameters are
 * @param engine - computes the recurrence; the f64 reference when absent
 * @throws ShapeError `recurrence-heads` for sizes that the rule does not have
 */
export function recurrenceGroup(
  group: RecurrentHeads,
  index: number,
  prefix: string,
  { width, headWidth, valueWidth }: RecurrenceGroupSizes,
  engine: WasmEngine | undefined,
): RecurrenceGroup {
  const { recurrence, heads, keyValueHeads } = group;
  const { rule } = recurrence;
  const hasQueries = rule.inputs.some(({ name }) => name === "q");
  if (!hasQueries) requireOneShape(recurrence, group, headWidth, valueWidth);
  const names = { q: `q.${index}`, k: `k.${index}`, v: `v.${index}`, out: `out.${index}` };
  const output = (name: string): string => `${name}.${index}`;
  const gates = gatesOf(rule, { heads, keyHeads: keyValueHeads, headWidth, width });
  const sizes = { heads, width: headWidth };
  const own = rule.parameters.map((parameter) => ({
    parameter,
    name: `${prefix}.${heldName(parameter)}`,
    shape: parameter.shape(sizes),
    decays: false,
    initial: (seed: number) =>
      holdValues(
        parameter,
        initialValues(rule.parameters, sizes, `${seed}/${prefix}.${heldName(parameter)}`)[parameter.name],
      ),
  }));
  const gain = isNormalised(rule) ? undefined : `${prefix}.head_norm.weight`;
  const gainParameter: readonly ModelParameter[] =
    gain === undefined
      ? []
      : [
          {
            name: gain,
            shape: [valueWidth],
            decays: false,
            initial: () => tensor(new Float32Array(valueWidth).fill(1), [valueWidth]),
          },
        ];
  const fullName = (name: string): string => `${prefix}.${name}`;
  const parametersOf = (isFromRows: boolean): readonly ModelParameter[] =>
    gates
      .filter(({ readsRows }) => readsRows === isFromRows)
      .flatMap(({ parameters }) =>
        parameters.map(({ name, shape, decays, initial }) => ({
          name: fullName(name),
          shape,
          decays,
          initial: (seed: number) => initial(seed, fullName(name)),
        })),
      );
  const held = [
    ...own.map(({ name, shape, decays, initial }) => ({ name, shape, decays, initial })),
    ...parametersOf(false),
    ...gainParameter,
  ];
  const gated = parametersOf(true);
  const arraysOf = ({ parameters }: Gate, arrays: ModelArrays): ModelArrays =>
    Object.fromEntries(parameters.map(({ name }) => [name, arrays[fullName(name)]]));
  const operation = recurrenceOperation(recurrence, { engine });
  const finishing = finishOf(hasQueries, gain);
  const inputNames = [
    ...(hasQueries ? (["q", "k", "v"] as const) : (["k", "v"] as const)),
    ...gates.map(({ input }) => input),
    ...own.map(({ parameter }) => parameter.name),
  ];
  const ruleInputs = <V>(values: Readonly<Record<string, V>>): Record<string, V> =>
    Object.fromEntries(inputNames.map((name) => [name, values[output(name)]]));
  const finish = async (tape: Tape, out: Value, values: Readonly<Record<string, Value>>): Promise<Value> => {
    if (finishing === undefined) return out;
    const by = hasQueries ? { gain: values[output("gain")] } : { q: values[names.q] };
    const { finished } = await tape.run(finishing, { out, ...by });
    tape.release(out);
    return finished;
  };

  return {
    ...group,
    names,
    parameters: [...held, ...gated],
    held: held.map(({ name }) => name),
    gated: gated.map(({ name }) => name),
    parameterValues: (arrays) => ({
      ...Object.fromEntries(
        own.map(({ parameter, name }) => [output(parameter.name), valuesOf(parameter, arrays[name])]),
      ),
      ...Object.fromEntries(
        gates.flatMap((gate) =>
          gate.readsRows ? [] : [[output(gate.input), gate.value(arraysOf(gate, arrays))]],
        ),
      ),
      ...(gain === undefined ? {} : { [output("gain")]: arrays[gain] }),
    }),
    gates(rows, batch, arrays) {
      const values = gates.flatMap((gate) =>
        gate.readsRows
          ? [[output(gate.input), gate.value(arraysOf(gate, arrays), rows.ref, batch)] as const]
          : [],
      );
      rows.dispose();
      return Object.fromEntries(values);
    },
    ruleInputs,
    async run(tape, values) {
      const { out, state } = await tape.run(operation, ruleInputs(values));
      tape.release(state);
      return finish(tape, out, values);
    },
    finish,
    dispose: () => [operation, finishing].forEach((owned) => owned?.dispose()),
  };
}

/** What is done with the outputs of a rule, as a stage. */
function finishOf(hasQueries: boolean, gain: string | undefined) {
  if (!hasQueries) {
    return stage("receptance", ({ out, q }: ModelArrays) => ({ finished: out.mul(sigmoid(q)) }));
  }
  if (gain === undefined) return undefined;
  return stage("head norm", ({ out, gain: scale }: ModelArrays) => ({ finished: rmsNorm(out, scale) }));
}

function requireOneShape(
  recurrence: RecurrenceComposition,
  { heads, keyValueHeads }: RecurrentHeads,
  headWidth: number,
  valueWidth: number,
): void {
  if (heads === keyValueHeads && headWidth === valueWidth) return;
  throw new ShapeError(
    "recurrence-heads",
    `Cannot mix with '${printRecurrence(recurrence)}' as its channels have one key and one value each: ${heads} heads with ` +
      `${keyValueHeads} key/value heads, keys of ${headWidth} and values of ${valueWidth}. Make them equal`,
  );
}
