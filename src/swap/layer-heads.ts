/** @file The heads of a layer apart: queries, keys and values of some of them, and what an attention or a recurrence makes of these. */
import { attention, type AnyPartFactory, similarityAlone } from "../attention/index.ts";
import { type Parameter } from "../base/parameter.ts";
import { sizeOf, tensor, type Tensor } from "../base/tensor.ts";
import { wasmBackend, type WasmEngine } from "../kernels/wasm/index.ts";
import { type ComposedGroup, type LayerActivations } from "../models/index.ts";
import { heldName, heldValues, isTrained } from "../nn/attention-parameters.ts";
import { nope } from "../positions/index.ts";
import { parametersOf, type Composition } from "../attention/index.ts";
import { recurrence } from "../recurrence/index.ts";

/** What some heads of a layer are given. */
export interface HeadInputs {
  /** [B, H, N, D] */
  readonly q: Tensor;
  /** [B, G, N, D] */
  readonly k: Tensor;
  /** [B, G, N, E] */
  readonly v: Tensor;
}

/** What heads make of it. */
export interface HeadOutputs {
  /** [B, H, N, E] */
  readonly out: Tensor;
  /** [B, H, N, N], each row of sum 1; absent where there are no weights, or some are negative. */
  readonly weights?: Tensor;
  /** ln of them, from scores where there are some: what underflows as a weight is finite here. */
  readonly logWeights?: Float64Array;
  /** [B, H, N, N], the similarity's own scores, −∞ outside the pattern. */
  readonly scores?: Tensor;
}

/** All heads of a layer, whatever groups they are in. */
export function headsOf({ groups }: Pick<LayerActivations, "groups">): HeadInputs & { readonly out: Tensor } {
  const joined = (name: "q" | "k" | "v" | "out"): Tensor => joinHeads(groups.map((group) => group[name]));
  return { q: joined("q"), k: joined("k"), v: joined("v"), out: joined("out") };
}

/** Tensors [B, Hᵢ, …] side by side along heads. */
export function joinHeads(parts: readonly Tensor[]): Tensor {
  if (parts.length === 1) return parts[0];
  const [batch, , ...rest] = parts[0].shape;
  const heads = parts.reduce((sum, { shape }) => sum + shape[1], 0);
  const data = new Float32Array(batch * heads * sizeOf(rest));
  let at = 0;
  for (let row = 0; row < batch; row++) {
    for (const part of parts) {
      const size = part.data.length / batch;
      data.set(part.data.subarray(row * size, (row + 1) * size), at);
      at += size;
    }
  }
  return { data, shape: [batch, heads, ...rest] };
}

/** `count` heads from `first` on of a tensor [B, H, …]. */
export function takeHeads({ data, shape }: Tensor, first: number, count: number): Tensor {
  const [batch, heads, ...rest] = shape;
  const size = sizeOf(rest);
  const taken = new Float32Array(batch * count * size);
  for (let row = 0; row < batch; row++) {
    const start = (row * heads + first) * size;
    taken.set(data.subarray(start, start + count * size), row * count * size);
  }
  return { data: taken, shape: [batch, count, ...rest] };
}

/** How a group of heads is computed. */
export interface GroupSetting {
  readonly group: ComposedGroup;
  /** Where its parameters are in the model. */
  readonly prefix: string;
  /** Those of the model, by name, as they are held. */
  readonly held: Readonly<Record<string, Tensor>>;
  readonly engine?: WasmEngine | undefined;
  readonly similarities?: readonly AnyPartFactory[];
}

/** The parameters that a model holds for a group. */
function parametersFor(
  declared: readonly Parameter[],
  { prefix, held }: GroupSetting,
): Record<string, Tensor> {
  return Object.fromEntries(
    declared.filter(isTrained).flatMap((parameter) => {
      const found = held[`${prefix}.${heldName(parameter)}`];
      if (found === undefined) return [];
      const { data, shape } = heldValues(parameter, found);
      return [[parameter.name, tensor(Float32Array.from(data), shape)]];
    }),
  );
}

/** An attention as its layer sees it: places of embeddings are outside. */
export function compositionInside(composition: Composition): Composition {
  return composition.position.place === "embedding" ? { ...composition, position: nope() } : composition;
}

/**
 * What a group makes of queries, keys and values that it is given, on its own.
 *
 * @returns nothing for a recurrence that reads more than queries, keys and values, or whose outputs are not divided by their weights
 */
export async function runGroup(inputs: HeadInputs, setting: GroupSetting): Promise<HeadOutputs | undefined> {
  const { group, engine } = setting;
  return "composition" in group
    ? runAttention(inputs, compositionInside(group.composition), setting, engine)
    : runRecurrence(inputs, group, setting);
}

async function runAttention(
  { q, k, v }: HeadInputs,
  composition: Composition,
  setting: GroupSetting,
  engine: WasmEngine | undefined,
): Promise<HeadOutputs> {
  const { patterns: pattern, ...parts } = composition;
  const spec = { ...parts, pattern } as unknown as Parameters<typeof attention>[0];
  const attend = attention(spec, engine === undefined ? {} : { backend: wasmBackend(engine) });
  const parameters = parametersFor(parametersOf(composition), setting);
  const { out, weights, scores } = await attend(q, k, v, {
    parameters,
    enableGqa: true,
    return: ["weights", "scores"],
  });
  const isDistribution = composition.normaliser.nonNegative && weights !== undefined;
  if (!isDistribution) return { out, ...(scores === undefined ? {} : { scores }) };
  const isSoftmax =
    composition.normaliser.name === "softmax" && composition.normaliser.parameters.length === 0;
  return {
    out,
    weights: withSumsOfOne(weights),
    ...(scores === undefined ? {} : { scores }),
    ...(isSoftmax && scores !== undefined ? { logWeights: logSoftmax(scores) } : {}),
  };
}

/** The scores of a similarity alone, [B, H, N, N]: no bias of places, no pair selected away. */
export async function scoresAlone(inputs: HeadInputs, setting: GroupSetting): Promise<Tensor | undefined> {
  const { group, engine } = setting;
  if (!("composition" in group)) return undefined;
  const alone = similarityAlone(compositionInside(group.composition));
  return (await runAttention(inputs, alone, setting, engine)).scores;
}

/** Weights are what identity matrices come out as when they go in as values: a recurrence is linear in these. */
async function runRecurrence(
  { q, k, v }: HeadInputs,
  { recurrence: composition }: Extract<ComposedGroup, { readonly recurrence: unknown }>,
  setting: GroupSetting,
): Promise<HeadOutputs | undefined> {
  const { whole, ...spec } = composition;
  const { rule } = spec;
  const isDivided =
    rule.name === "performer" || (rule.name === "linear" && rule.options["normaliser"] !== "none");
  if (!isDivided || whole) return undefined;
  const [batch, heads, tokens] = k.shape;
  const identity = new Float32Array(batch * heads * tokens * tokens);
  for (let row = 0; row < batch * heads * tokens; row++) identity[row * tokens + (row % tokens)] = 1;
  const recur = recurrence(spec);
  const parameters = parametersFor(rule.parameters, setting);
  const call = { q, k, parameters, enableGqa: true };
  const { out } = await recur({ ...call, v });
  const weights = await recur({ ...call, v: { data: identity, shape: [batch, heads, tokens, tokens] } });
  return weights.out.data.some((weight) => weight < 0)
    ? { out }
    : { out, weights: withSumsOfOne(weights.out) };
}

/** Rows divided by their sums; a row without weight stays. */
function withSumsOfOne({ data, shape }: Tensor): Tensor {
  const keys = shape[shape.length - 1];
  const divided = Float32Array.from(data);
  for (let start = 0; start < data.length; start += keys) {
    let sum = 0;
    for (let at = start; at < start + keys; at++) sum += data[at];
    if (sum > 0) for (let at = start; at < start + keys; at++) divided[at] /= sum;
  }
  return { data: divided, shape };
}

function logSoftmax({ data, shape }: Tensor): Float64Array {
  const keys = shape[shape.length - 1];
  const logs = new Float64Array(data.length);
  for (let start = 0; start < data.length; start += keys) {
    let most = -Infinity;
    for (let at = start; at < start + keys; at++) most = Math.max(most, data[at]);
    let sum = 0;
    if (most > -Infinity) for (let at = start; at < start + keys; at++) sum += Math.exp(data[at] - most);
    for (let at = start; at < start + keys; at++) {
      logs[at] = most === -Infinity ? -Infinity : data[at] - most - Math.log(sum);
    }
  }
  return logs;
}
