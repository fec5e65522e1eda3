/**
 * @file What a swap changes in a layer by itself: both attentions are given what the base's layers before it make, and weights and
 * outputs are compared, head by head. And what it changes with everything before it: the residual streams of both models.
 */
import { type Tensor } from "../base/tensor.ts";
import { type Activations, type LayerActivations } from "../models/index.ts";
import { heldOf, prefixOf } from "./calibrate-swap.ts";
import { type HeadOutputs, headsOf, runGroup, takeHeads } from "./layer-heads.ts";
import { type SwappedModel, type TrainedModel } from "./swapped-model.ts";

/** What the weights of a head look like; means over rows. */
export interface WeightShape {
  /** −Σ w ln w, in nats. */
  readonly entropy: number;
  /** The weight on the first token, over rows that could choose another: the attention sink. */
  readonly sink: number;
}

/** A head before and after. */
export interface HeadDivergence {
  readonly head: number;
  /** Absent where an attention has no weights, or negative ones. */
  readonly before?: WeightShape;
  readonly after?: WeightShape;
  /** Mean over rows of Σ p ln(p/w), with p the weights of the base, in nats; Infinity where w leaves out a key that p has. */
  readonly divergence?: number;
  /** Mean over rows of ½ Σ |p − w|. */
  readonly totalVariation?: number;
  /** ‖o' − o‖/‖o‖ over all rows; absent where outputs cannot be had from queries, keys and values alone. */
  readonly outputError?: number;
}

/** A layer before and after, on the stream of the base. */
export interface LayerDivergence {
  readonly layer: number;
  readonly heads: readonly HeadDivergence[];
}

/** The first and the last row that means range over, as weights [B, H, N, N]. */
interface HeadWeights {
  readonly weights: Float32Array;
  readonly logs: Float64Array | undefined;
}

/**
 * Compares a swap with the base, each layer on what the base's layers before it make.
 *
 * @param activations - of the base
 * @param layers - which ones
 * @param own - what the swapped layer itself makes of the base's stream, where that is known: its queries, keys and values are taken in
 *   place of the base's, and its outputs where a recurrence reads more than these
 */
export async function compareLayers(
  base: TrainedModel,
  swapped: Pick<SwappedModel, "model" | "arrays">,
  activations: Activations,
  layers: readonly number[],
  own: (layer: number) => Promise<LayerActivations | undefined> | LayerActivations | undefined,
): Promise<readonly LayerDivergence[]> {
  const found: LayerDivergence[] = [];
  for (const layer of layers) {
    const made = await own(layer);
    const before = await runLayer(base, base, activations.layers[layer], layer);
    const after = await runLayer(swapped, base, made ?? activations.layers[layer], layer);
    const { out } = headsOf(activations.layers[layer]);
    const measured = made && headsOf(made).out;
    const heads = Array.from({ length: out.shape[1] }, (_, head) => {
      const outputs = after[head]?.out ?? (measured && takeHeads(measured, head, 1));
      return compareHead(head, takeHeads(out, head, 1), outputs, before[head], after[head]);
    });
    found.push({ layer, heads });
  }
  return found;
}

/** The heads of a model's layer, each as [B, 1, …]; undefined where they cannot be had. */
export async function runLayer(
  { model, arrays }: Pick<SwappedModel, "model" | "arrays">,
  { engine }: TrainedModel,
  given: Pick<LayerActivations, "groups">,
  layer: number,
): Promise<readonly (HeadOutputs | undefined)[]> {
  const { q, k, v } = headsOf(given);
  const heads: (HeadOutputs | undefined)[] = [];
  const groups = model.config.groups[layer];
  for (const [index, group] of groups.entries()) {
    const shared = group.heads / group.keyValueHeads;
    const [start, count] = [heads.length / shared, group.keyValueHeads];
    const prefix = prefixOf(layer, groups, index);
    const inputs = {
      q: takeHeads(q, heads.length, group.heads),
      k: takeHeads(k, start, count),
      v: takeHeads(v, start, count),
    };
    const held = await heldOf(arrays, prefix);
    const outputs = await runGroup(inputs, { group, prefix, held, engine });
    for (let head = 0; head < group.heads; head++) heads.push(outputs && headOf(outputs, head));
  }
  return heads;
}

function headOf({ out, weights, logWeights }: HeadOutputs, head: number): HeadOutputs {
  if (weights === undefined) return { out: takeHeads(out, head, 1) };
  const [batch, heads, rows, keys] = weights.shape;
  const size = rows * keys;
  const logs = logWeights && new Float64Array(batch * size);
  for (let row = 0; row < batch; row++) {
    const start = (row * heads + head) * size;
    logs?.set(logWeights!.subarray(start, start + size), row * size);
  }
  return {
    out: takeHeads(out, head, 1),
    weights: takeHeads(weights, head, 1),
    ...(logs === undefined ? {} : { logWeights: logs }),
  };
}

function compareHead(
  head: number,
  out: Tensor,
  outputs: Tensor | undefined,
  before: HeadOutputs | undefined,
  after: HeadOutputs | undefined,
): HeadDivergence {
  const [p, w] = [before, after].map((side) => weightsOf(side));
  const keys = out.shape[2];
  return {
    head,
    ...(p === undefined ? {} : { before: shapeOf(p, keys) }),
    ...(w === undefined ? {} : { after: shapeOf(w, keys) }),
    ...(p === undefined || w === undefined ? {} : distancesOf(p, w, keys)),
    ...(outputs === undefined ? {} : { outputError: relativeError(outputs, out) }),
  };
}

function weightsOf(side: HeadOutputs | undefined): HeadWeights | undefined {
  return side?.weights && { weights: side.weights.data, logs: side.logWeights };
}

/** Rows begin with the second of each sequence where the first can choose nothing. */
function shapeOf({ weights }: HeadWeights, keys: number): WeightShape {
  let [entropy, sink, choosing] = [0, 0, 0];
  const rows = weights.length / keys;
  for (let row = 0; row < rows; row++) {
    for (let at = row * keys; at < (row + 1) * keys; at++) {
      if (weights[at] > 0) entropy -= weights[at] * Math.log(weights[at]);
    }
    if (row % keys === 0) continue;
    sink += weights[row * keys];
    choosing += 1;
  }
  return { entropy: entropy / rows, sink: choosing === 0 ? 1 : sink / choosing };
}

function distancesOf(
  p: HeadWeights,
  w: HeadWeights,
  keys: number,
): { readonly divergence: number; readonly totalVariation: number } {
  const rows = p.weights.length / keys;
  const logOf = ({ weights, logs }: HeadWeights, at: number): number => logs?.[at] ?? Math.log(weights[at]);
  let [divergence, variation] = [0, 0];
  for (let at = 0; at < p.weights.length; at++) {
    variation += Math.abs(p.weights[at] - w.weights[at]) / 2;
    if (p.weights[at] > 0) divergence += p.weights[at] * (logOf(p, at) - logOf(w, at));
  }
  // Weights are rounded to f32: of equal ones the sum may be a rounding below zero.
  return { divergence: Math.max(0, divergence / rows), totalVariation: variation / rows };
}

/** ‖found − wanted‖/‖wanted‖. */
export function relativeError(found: Tensor, wanted: Tensor): number {
  let [error, size] = [0, 0];
  for (const [at, value] of wanted.data.entries()) {
    error += (found.data[at] - value) ** 2;
    size += value ** 2;
  }
  return size === 0 ? Math.sqrt(error) : Math.sqrt(error / size);
}

/** How far the residual stream after each layer is from the base's, ‖x' − x‖/‖x‖: what was swapped at it and before it. */
export function compareStreams(base: Activations, swapped: Activations): readonly number[] {
  return base.layers.map(({ fed }, layer) => relativeError(swapped.layers[layer].fed, fed));
}

/** Means over the heads of a layer, of those that have the number. */
export function meanOfHeads(
  { heads }: LayerDivergence,
  value: (head: HeadDivergence) => number | undefined,
): number | undefined {
  const found = heads.map(value).filter((number) => number !== undefined);
  return found.length === 0 ? undefined : found.reduce((sum, number) => sum + number, 0) / found.length;
}
