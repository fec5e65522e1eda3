/**
 * @file Temperatures of a swap: turned, head by head, until the rows of the new scores spread as those of the old on the model's own
 * queries and keys. Families differ by 25 times in the spread of their scores, and without this the scale alone would be measured.
 */
import { calibratedParameters, parseSelector, printSelector, rowSpread } from "../attention/index.ts";
import { type AnyPartFactory } from "../attention/index.ts";
import { type Parameter } from "../base/parameter.ts";
import { type Tensor, type Tensor64 } from "../base/tensor.ts";
import {
  type Activations,
  type ComposedGroup,
  type Decoder,
  groupPrefix,
  parseMixer,
} from "../models/index.ts";
import { heldName, heldValues, holdValues, isTrained } from "../nn/attention-parameters.ts";
import { headsOf, scoresAlone, takeHeads } from "./layer-heads.ts";
import { type SwappedModel, type TrainedModel } from "./swapped-model.ts";

/** `spread`: every temperature that is left out is turned; `none`: those alone that are written as `auto`. */
export type Calibration = "spread" | "none";

/**
 * A selector whose temperature is `auto` where it was left out, so that {@link calibrateSwap} turns it. Selectors of recurrences, of
 * similarities without a temperature, and of one whose similarity is the old one's stay as they are.
 *
 * @param own - the selector of the attention that is replaced
 * For `dot+rope+causal`, `cosine+topk:k=8` becomes `cosine:beta=auto+topk:k=8`; `cosine:beta=10` and `dot` stay.
 */
export function calibratedSelector(
  selector: string,
  own: string,
  similarities: readonly AnyPartFactory[] = [],
): string {
  const mixer = parseMixer(selector, similarities);
  if (mixer.kind === "recurrence") return selector;
  const { similarity, ...others } = mixer.parts;
  const before = parseMixer(own, similarities);
  if (before.kind === "attention" && before.parts.similarity.name === similarity.name) return selector;
  const { temperature, options } = similarity;
  if (temperature === undefined) return selector;
  const option = temperature.parameters.length === 1 ? temperature.parameters[0] : "weights";
  if (Object.hasOwn(options, option)) return selector;
  const written = printSelector({ similarity, ...others });
  const [first, ...rest] = written.split(/\+(?!\d)/);
  const turned = [`${first}${first.includes(":") ? "," : ":"}${option}=auto`, ...rest].join("+");
  // The caller's own similarities, and products, name their options as they like.
  const { similarity: read } = parseSelector(turned, similarities);
  return read.parameters.some(({ mode }) => mode === "auto") ? turned : selector;
}

/**
 * The values of all temperatures that are `auto` in a swapped model, as they are held, by name.
 *
 * @param activations - of the base model on some text
 * @throws DomainError `calibration` where the scores of a head do not vary
 */
export async function calibrateSwap(
  base: TrainedModel,
  swapped: Pick<SwappedModel, "model" | "arrays">,
  activations: Activations,
): Promise<Readonly<Record<string, Tensor>>> {
  const { engine } = base;
  const found: Record<string, Tensor> = {};
  for (const [layer, groups] of swapped.model.config.groups.entries()) {
    let first = 0;
    for (const [index, group] of groups.entries()) {
      const from = first;
      first += group.heads;
      const turned = temperaturesOf(group).filter(({ mode }) => mode === "auto");
      if (turned.length === 0) continue;
      const inputs = inputsOf(activations, layer, from, group);
      const prefix = prefixOf(layer, groups, index);
      const target = await baseSpread(base, activations, layer, from, group.heads);
      // Given as they are now: an attention on its own would turn what is `auto` by itself.
      const held = await heldOf(swapped.arrays, prefix);
      const scores = await scoresAlone(inputs, { group, prefix, held, engine });
      if (scores === undefined || !("composition" in group)) continue;
      const current = Object.fromEntries(
        turned.map((parameter) => [
          parameter.name,
          heldValues(parameter, held[`${prefix}.${heldName(parameter)}`]),
        ]),
      );
      const spread = rowSpread(scores).map((value, head) => value / target[head]);
      const values: Record<string, Tensor64> = calibratedParameters(group.composition, current, spread);
      for (const parameter of turned) {
        found[`${prefix}.${heldName(parameter)}`] = holdValues(parameter, values[parameter.name]);
      }
    }
  }
  return found;
}

/** Whether {@link calibrateSwap} has anything to turn. */
export function hasOpenTemperatures({ config }: Pick<Decoder, "config">): boolean {
  return config.groups.flat().some((group) => temperaturesOf(group).some(({ mode }) => mode === "auto"));
}

/** A temperature of a group of heads that lie side by side. */
export interface HeldTemperature {
  readonly layer: number;
  /** The first of the heads. */
  readonly head: number;
  readonly parameter: string;
  /** By head. */
  readonly values: readonly number[];
  /** Heads, counted in the layer, that needed more than the parameter's largest value, and what they needed. */
  readonly cut: readonly { readonly head: number; readonly needed: number }[];
}

/** Temperatures that were turned or learned, as numbers a head, for those who read a report: by layer and group. */
export function temperaturesHeld(
  { config }: SwappedModel["model"],
  held: Readonly<Record<string, Tensor>>,
): readonly HeldTemperature[] {
  const found: HeldTemperature[] = [];
  for (const [layer, groups] of config.groups.entries()) {
    let head = 0;
    for (const [index, group] of groups.entries()) {
      for (const parameter of temperaturesOf(group)) {
        const value = held[`${prefixOf(layer, groups, index)}.${heldName(parameter)}`];
        if (value === undefined) continue;
        const values = [...heldValues(parameter, value).data];
        const { maximum: _, ...unbounded } = parameter;
        const needed = [...heldValues(unbounded, value).data];
        const cut = needed.flatMap((wanted, at) =>
          wanted > values[at] ? [{ head: head + at, needed: wanted }] : [],
        );
        found.push({ layer, head, parameter: parameter.name, values, cut });
      }
      head += group.heads;
    }
  }
  return found;
}

function temperaturesOf(group: ComposedGroup): readonly Parameter[] {
  if (!("composition" in group)) return [];
  const { parameters, temperature } = group.composition.similarity;
  return parameters.filter(
    (parameter) => isTrained(parameter) && temperature?.parameters.includes(parameter.name),
  );
}

function inputsOf(activations: Activations, layer: number, first: number, group: ComposedGroup) {
  const { q, k, v } = headsOf(activations.layers[layer]);
  const shared = group.heads / group.keyValueHeads;
  const keys = [first / shared, group.keyValueHeads] as const;
  return { q: takeHeads(q, first, group.heads), k: takeHeads(k, ...keys), v: takeHeads(v, ...keys) };
}

/** The spread of the base's own scores, head by head; 1 where it has none, as a recurrence. */
async function baseSpread(
  { model, arrays, engine }: TrainedModel,
  activations: Activations,
  layer: number,
  first: number,
  heads: number,
): Promise<Float64Array> {
  const spreads: number[] = [];
  const groups = model.config.groups[layer];
  for (const [index, group] of groups.entries()) {
    const inputs = inputsOf(activations, layer, spreads.length, group);
    const prefix = prefixOf(layer, groups, index);
    const held = await heldOf(arrays, prefix);
    const scores = await scoresAlone(inputs, { group, prefix, held, engine });
    const own = scores === undefined ? new Float64Array(group.heads).fill(1) : rowSpread(scores);
    spreads.push(...own);
  }
  return Float64Array.from(spreads.slice(first, first + heads));
}

/** Where the parameters of a layer's group are. */
export const prefixOf = (layer: number, groups: readonly ComposedGroup[], index: number): string =>
  groupPrefix(`model.layers.${layer}.self_attn`, groups.length, index);

/** The numbers of a group's own parameters in a model: names of one word, unlike those of the projections beside them. */
export async function heldOf(
  arrays: TrainedModel["arrays"],
  prefix: string,
): Promise<Record<string, Tensor>> {
  const own = Object.entries(arrays).filter(
    ([name]) => name.startsWith(`${prefix}.`) && !name.slice(prefix.length + 1).includes("."),
  );
  const read = own.map(async ([name, array]) => {
    const data = Float32Array.from((await array.ref.data()) as Float32Array);
    return [name, { data, shape: array.shape }] as const;
  });
  return Object.fromEntries(await Promise.all(read));
}
