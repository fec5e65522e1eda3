/**
 * @file What an adapter is: other attentions for some layers of a trained decoder, their own parameters, and low-rank changes of the
 * projections around them, W + α/r·B·A. Its config is in the words of PEFT's LoRA where it has them, with what PEFT has no word for
 * under `qklab`.
 */
import * as v from "valibot";
import { DomainError, ShapeError } from "../base/errors.ts";
import { type Tensor } from "../base/tensor.ts";
import { type DecoderConfig, type LayerAttentions, type ModelParameter } from "../models/index.ts";
import { type ModelLayout } from "./layouts/index.ts";

/** What training says of itself in an adapter: numbers and words by name. */
export type AdapterTraining = Readonly<Record<string, number | string>>;

/** What an adapter changes. */
export interface Adapter {
  /** Of every layer, as in a configuration. */
  readonly attention: LayerAttentions;
  /** r, 0 where no projection is changed. */
  readonly rank: number;
  /** α; changes are scaled by α/r. */
  readonly alpha: number;
  /** Parameters of the attentions by their names in the model, and factors by {@link factorNames}. */
  readonly tensors: Readonly<Record<string, Tensor>>;
  readonly training: AdapterTraining;
}

/** The names of the factors of a weight's change: A is [r, in], B is [out, r]. */
export function factorNames(weight: string): { readonly a: string; readonly b: string } {
  const module = weight.replace(/\.weight$/, "");
  return { a: `${module}.lora_A.weight`, b: `${module}.lora_B.weight` };
}

/** The projections that an adapter may change: into the heads and out of them. */
export function isAdaptable({ name, shape }: Pick<ModelParameter, "name" | "shape">): boolean {
  return /\.self_attn\.[qkvo]_proj\.weight$/.test(name) && shape.length === 2;
}

const word = v.string();
const groups = v.array(
  v.strictObject({ selector: word, heads: v.pipe(v.number(), v.integer(), v.minValue(1)) }),
);
const configSchema = v.object({
  base_model_name_or_path: word,
  r: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65536)),
  lora_alpha: v.pipe(v.number(), v.finite(), v.minValue(0)),
  qklab: v.strictObject({
    format_version: v.literal(1),
    layout: word,
    fingerprint: v.pipe(word, v.regex(/^[0-9a-f]{64}$/)),
    attention: v.array(v.union([word, groups])),
    training: v.record(word, v.union([word, v.number()])),
  }),
});

/** `adapter_config.json` as it is read. */
export interface AdapterConfig {
  readonly base_model_name_or_path: string;
  readonly r: number;
  readonly lora_alpha: number;
  readonly qklab: {
    readonly layout: string;
    readonly fingerprint: string;
    readonly attention: (string | { readonly selector: string; readonly heads: number }[])[];
    readonly training: AdapterTraining;
  };
}

/**
 * Reads a parsed `adapter_config.json`.
 *
 * @param place - for messages
 * @throws DomainError `adapter-invalid`
 */
export function readAdapterConfig(json: unknown, place: string): AdapterConfig {
  const read = v.safeParse(configSchema, json);
  if (read.success) return read.output;
  const [issue] = read.issues;
  throw new DomainError(
    "adapter-invalid",
    `Cannot read ${place} as an adapter's config must be what qklab writes: ${v.getDotPath(issue) ?? "the document"}, ` +
      `${issue.message.slice(0, 160)}. Pass a folder that qklab distil made`,
  );
}

/** The document to write. */
export function adapterConfigOf(
  { attention, rank, alpha, tensors, training }: Adapter,
  base: { readonly name: string; readonly layout: string; readonly fingerprint: string },
): Readonly<Record<string, unknown>> {
  const modules = Object.keys(tensors).flatMap((name) => /([^.]+)\.lora_A\.weight$/.exec(name)?.[1] ?? []);
  return {
    ...(rank > 0 ? { peft_type: "LORA", task_type: "CAUSAL_LM" } : {}),
    base_model_name_or_path: base.name,
    r: rank,
    lora_alpha: alpha,
    lora_dropout: 0,
    bias: "none",
    fan_in_fan_out: false,
    target_modules: [...new Set(modules)].toSorted(),
    qklab: {
      format_version: 1,
      layout: base.layout,
      fingerprint: base.fingerprint,
      attention,
      training,
    },
  };
}

/** PEFT's prefix of what it wraps; the attentions' own parameters are not PEFT's and have none. */
const peftPrefix = "base_model.model.";

/** The name in `adapter_model.safetensors`. */
export function storedName(name: string): string {
  return /\.lora_[AB]\.weight$/.test(name) ? `${peftPrefix}${name}` : name;
}

/** The name in the model. */
export function nameOfStored(stored: string): string {
  return stored.startsWith(peftPrefix) ? stored.slice(peftPrefix.length) : stored;
}

/**
 * Checks the names and shapes of an adapter's tensors against the model that it makes, before any is read.
 *
 * @param stored - shapes by names in the model
 * @param parameters - of the model with the adapter's attentions
 * @param place - for messages
 * @returns the weights that factors change
 * @throws ShapeError `adapter-shape`, DomainError `adapter-tensors` for tensors that are missing or have no place
 */
export function requireFittingAdapter(
  stored: Readonly<Record<string, readonly number[]>>,
  rank: number,
  parameters: readonly ModelParameter[],
  layout: Pick<ModelLayout<DecoderConfig>, "placeOf">,
  place: string,
): readonly ModelParameter[] {
  const expected = new Map<string, readonly number[]>();
  for (const { name, shape } of parameters) if (layout.placeOf(name) === undefined) expected.set(name, shape);
  const changed = parameters.filter((parameter) => {
    const { a, b } = factorNames(parameter.name);
    if (!isAdaptable(parameter) || !(a in stored || b in stored)) return false;
    const [out, into] = parameter.shape;
    expected.set(a, [rank, into]).set(b, [out, rank]);
    return true;
  });
  for (const [name, shape] of expected) {
    const found = stored[name];
    if (found === undefined) refuseTensors(place, `'${name}' is missing`);
    if (found.join() === shape.join()) continue;
    throw new ShapeError(
      "adapter-shape",
      `Cannot use the adapter ${place} as its tensors must have the shapes that its config and the model say: ` +
        `'${name}' must be [${shape.join(", ")}] and is [${found.join(", ")}]. Use the adapter with the model that it was made for`,
    );
  }
  const foreign = Object.keys(stored).find((name) => !expected.has(name));
  if (foreign !== undefined) refuseTensors(place, `'${foreign.slice(0, 120)}' has no place in it`);
  return changed;
}

function refuseTensors(place: string, problem: string): never {
  throw new DomainError(
    "adapter-tensors",
    `Cannot use the adapter ${place} as its tensors must be those of the attentions that its config names: ${problem}. ` +
      "Use both files of one adapter",
  );
}

/**
 * W + α/r·B·A.
 *
 * @param weight - W, [out, in]
 * @param factors - A, [r, in], and B, [out, r]
 * @param scale - α/r
 */
export function mergedWeight(
  { data: weight, shape }: Tensor,
  { a, b }: { readonly a: Tensor; readonly b: Tensor },
  scale: number,
): Tensor {
  const [rank, width] = a.shape;
  const merged = Float32Array.from(weight);
  const row = new Float64Array(width);
  for (let out = 0; out < shape[0]; out++) {
    row.fill(0);
    for (let inner = 0; inner < rank; inner++) {
      const factor = scale * b.data[out * rank + inner];
      for (let at = 0; at < width; at++) row[at] += factor * a.data[inner * width + at];
    }
    for (let at = 0; at < width; at++) merged[out * width + at] += row[at];
  }
  return { data: merged, shape };
}
