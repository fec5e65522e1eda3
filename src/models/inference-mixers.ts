/**
 * @file The mixers of a layer in inference: rows of queries, keys and values go to the head groups, each of which keeps what it keeps
 * in every decoding, and their outputs come back as rows. What recurrences make of the layer's rows are stages of jax-js.
 */
import { type Operation, stage } from "../autodiff/index.ts";
import { narrow, type Tensor } from "../base/tensor.ts";
import { arrayOf } from "../kernels/jax/tensors.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { heldValues } from "../nn/attention-parameters.ts";
import { pick, withoutGradient } from "./assemble-model.ts";
import { type AttentionLayer, type MixingGroup } from "./attention-layer.ts";
import { stateOf } from "./decoding.ts";
import { type GroupState, type TokenTensors } from "./decoding-group.ts";
import { type InferenceWeights, vectorOf } from "./inference-weights.ts";
import { type ModelArrays } from "./model.ts";
import { type RecurrenceGroup } from "./recurrence-group.ts";

/** What a layer's mixers read: rows of all heads, and the rows that they were made of where a recurrence reads those. */
export interface HeadRows {
  /** [B·N, H·D] */
  readonly q: Float32Array;
  /** [B·N, G·D] */
  readonly k: Float32Array;
  readonly v: Float32Array;
  /** [B·N, width]; absent where nothing reads them. */
  readonly rows?: Float32Array;
}

/** The mixers of a layer, which decodings share. */
export interface LayerMixers {
  /** Whether a recurrence reads {@link HeadRows.rows}. */
  readonly readsRows: boolean;
  start(): readonly GroupState[];
  /**
   * Takes N tokens of B sequences.
   *
   * @returns [B·N, H·E]
   */
  take(states: readonly GroupState[], given: HeadRows, batch: number): Promise<Float32Array>;
  dispose(): void;
}

/** A group's outputs [B, H, N, E] from its queries, keys and values and from the layer's rows [B, N, width]. */
type Mix = (state: GroupState, heads: TokenTensors, rows: () => Tensor) => Tensor | Promise<Tensor>;

/** Makes the mixers of a layer. */
export function layerMixers(
  { groups }: Pick<AttentionLayer, "groups">,
  headWidth: number,
  weights: InferenceWeights,
  engine: WasmEngine,
): LayerMixers {
  const made = groups.map((group): { readonly mix: Mix; readonly dispose: () => void } =>
    "recurrence" in group
      ? recurrenceMix(group, weights)
      : { mix: attentionMix(group, weights), dispose() {} },
  );
  const total = groups.reduce((sum, { heads }) => sum + heads, 0);
  const keyTotal = groups.reduce((sum, { keyValueHeads }) => sum + keyValueHeads, 0);
  return {
    readsRows: groups.some((group) => "recurrence" in group),
    start: () => groups.map((group) => stateOf(group, engine)),
    async take(states, { q, k, v, rows }, batch) {
      const count = q.length / (batch * total * headWidth);
      const split = (data: Float32Array, all: number, first: number, heads: number): Tensor =>
        headsOf(data, { batch, count, all, first, heads, width: headWidth });
      const out = new Float32Array(q.length);
      let [first, firstKey] = [0, 0];
      for (const [index, { heads, keyValueHeads }] of groups.entries()) {
        const own = {
          q: split(q, total, first, heads),
          k: split(k, keyTotal, firstKey, keyValueHeads),
          v: split(v, keyTotal, firstKey, keyValueHeads),
        };
        const mixed = made[index].mix(states[index], own, () => ({
          data: rows!,
          shape: [batch, count, rows!.length / (batch * count)],
        }));
        const { data } = mixed instanceof Promise ? await mixed : mixed;
        putHeads(data, out, { batch, count, all: total, first, heads, width: headWidth });
        first += heads;
        firstKey += keyValueHeads;
      }
      return out;
    },
    dispose() {
      for (const own of made) own.dispose();
    },
  };
}

function attentionMix(group: Exclude<MixingGroup, RecurrenceGroup>, weights: InferenceWeights): Mix {
  const parameters = {
    ...group.fixed,
    ...Object.fromEntries(
      group.trained.map(({ parameter, held }) => [
        parameter.name,
        narrow(heldValues(parameter, vectorOf(weights, held))),
      ]),
    ),
  };
  return (state, heads) => state.take({ ...heads, ...parameters });
}

/** A recurrence, whose gates and norms are the stages of training. */
function recurrenceMix(
  group: RecurrenceGroup,
  weights: InferenceWeights,
): { readonly mix: Mix; readonly dispose: () => void } {
  const { names, held, gated } = group;
  const arrays = Object.fromEntries(
    [...held, ...gated].map((name) => [name, arrayOf(vectorOf(weights, name))]),
  );
  const values: Operation<string, string> = stage(
    "values of a recurrence",
    ({ rows, ...own }: ModelArrays) => {
      const [batch, count, width] = rows.shape;
      const of = (wanted: readonly string[]): ModelArrays =>
        Object.fromEntries(wanted.map((name) => [name, own[name]]));
      return {
        ...group.gates(rows.reshape([batch * count, width]), batch, of(gated)),
        ...group.parameterValues(of(held)),
      };
    },
  );
  return {
    mix: (state, { q, k, v }, rows) =>
      withoutGradient(arrays, async (tape, own) => {
        const made = await tape.run(values, {
          rows: tape.constant(arrayOf(rows())),
          ...pick(own, [...held, ...gated]),
        });
        const tensors: Record<string, Tensor> = { [names.q]: q, [names.k]: k, [names.v]: v };
        for (const [name, value] of Object.entries(made)) tensors[name] = await value.tensor();
        const out = tape.constant(arrayOf(state.take(group.ruleInputs(tensors))));
        const queries = tape.constant(arrayOf(q));
        const finished = await group.finish(tape, out, { ...made, [names.q]: queries });
        return finished.tensor();
      }),
    dispose() {
      values.dispose();
      for (const array of Object.values(arrays)) array.dispose();
    },
  };
}

/** Which heads of rows [B·N, all·width] are meant. */
interface HeadsPlace {
  readonly batch: number;
  /** N */
  readonly count: number;
  readonly all: number;
  readonly first: number;
  readonly heads: number;
  readonly width: number;
}

/** Some heads of rows as [B, heads, N, width]. */
function headsOf(rows: Float32Array, place: HeadsPlace): Tensor {
  const { batch, count, first, heads, width } = place;
  const shape = [batch, heads, count, width];
  // Heads of one row lie side by side already.
  if (batch * count === 1) {
    return { data: rows.subarray(first * width, (first + heads) * width), shape };
  }
  const data = new Float32Array(batch * heads * count * width);
  eachHeadRow(place, (inRows, inHeads) => data.set(rows.subarray(inRows, inRows + width), inHeads));
  return { data, shape };
}

/** Heads [B, heads, N, width] to their place in rows. */
function putHeads(data: Float32Array, rows: Float32Array, place: HeadsPlace): void {
  const { batch, count, first, width } = place;
  if (batch * count === 1) rows.set(data, first * width);
  else {
    eachHeadRow(place, (inRows, inHeads) => rows.set(data.subarray(inHeads, inHeads + width), inRows));
  }
}

function eachHeadRow(
  { batch, count, all, first, heads, width }: HeadsPlace,
  use: (inRows: number, inHeads: number) => void,
): void {
  for (let sequence = 0; sequence < batch; sequence++) {
    for (let head = 0; head < heads; head++) {
      for (let token = 0; token < count; token++) {
        use(
          ((sequence * count + token) * all + first + head) * width,
          ((sequence * heads + head) * count + token) * width,
        );
      }
    }
  }
}
