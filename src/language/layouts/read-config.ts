/**
 * @file Reads a `config.json` of any origin: what is used is checked, what does not change the numbers is passed over by name, and
 * everything else is refused by name, so that no feature is ignored in silence.
 */
import * as v from "valibot";
import { DomainError, UnsupportedError } from "../../base/errors.ts";

/** What concerns training, generation, files and labels, and not what the model computes. */
const harmless = new RegExp(
  [
    "^_",
    "_token_id$",
    "dropout",
    "_pdrop$",
    "version",
    "^summary_",
    "^unsloth",
    "^(architectures|model_type|initializer_range|use_cache|torch_dtype|dtype|pretraining_tp|is_llama_config)$",
    "^(task_specific_params|transformers\\.js_config|id2label|label2id|num_labels|name_or_path|auto_map)$",
    "^(gradient_checkpointing|attn_implementation|output_attentions|output_hidden_states|return_dict|problem_type)$",
    "^(finetuning_task|tokenizer_class|max_length|chunk_size_feed_forward)$",
  ].join("|"),
);

/** Long values of unknown origin are cut in messages. */
const longestShown = 60;

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > longestShown ? `${text.slice(0, longestShown)}…` : text;
}

/** A whole number from 1 to `most`; the bound keeps sizes of unknown origin from being allocated. */
export const extent = (most: number): v.GenericSchema<number> =>
  v.pipe(
    v.number("a number is needed"),
    v.integer("a whole number is needed"),
    v.minValue(1, "a number ≥ 1 is needed"),
    v.maxValue(most, `a number ≤ ${most} is needed`),
  );

/** A finite number above 0. */
export const positive: v.GenericSchema<number> = v.pipe(
  v.number("a number is needed"),
  v.finite("a finite number is needed"),
  v.gtValue(0, "a number > 0 is needed"),
);

export const flag: v.GenericSchema<boolean> = v.boolean("true or false is needed");

/** One of some words. */
export const word = <const Words extends readonly string[]>(
  ...words: Words
): v.GenericSchema<Words[number]> => v.picklist(words, `${words.join(" or ")} is needed`);

/** Bounds of sizes that no model reaches: widths, layers, heads, vocabularies, places. */
export const most: Readonly<Record<"width" | "layers" | "heads" | "vocabulary" | "length", number>> = {
  width: 2 ** 20,
  layers: 2 ** 12,
  heads: 2 ** 14,
  vocabulary: 2 ** 24,
  length: 2 ** 30,
};

/** The schemas of members. */
export type Entries<Members extends object> = {
  readonly [Name in keyof Members]-?: v.GenericSchema<Members[Name]>;
};

/** Something that may be left out or null. */
export type Absent<Value> = Value | null | undefined;

/**
 * Reads a configuration.
 *
 * @param family - whose configuration it is, for messages
 * @param config - parsed JSON
 * @param entries - the members that are used; those that may be absent are `v.nullish`
 * @throws DomainError `config-invalid` where a member does not fit; UnsupportedError `config-feature` for a member that is not known
 */
export function readConfig<const Entries extends v.ObjectEntries>(
  family: string,
  config: unknown,
  entries: Entries,
): v.InferOutput<v.ObjectSchema<Entries, undefined>> {
  const members = membersOf(config);
  const foreign = Object.entries(members).find(
    ([name, value]) =>
      !Object.hasOwn(entries, name) && !harmless.test(name) && value !== null && value !== false,
  );
  if (foreign !== undefined) refuseFeature(family, ...foreign);
  const result = v.safeParse(v.object(entries), members);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const name = v.getDotPath(issue) ?? "?";
  throw new DomainError(
    "config-invalid",
    `Cannot read the config of a ${family} model as '${name}' does not fit: ${shown(issue.input)}. ` +
      `Correct config.json, as ${isAbsent(issue) ? "it is needed" : issue.message}`,
  );
}

const isAbsent = ({ input }: { readonly input: unknown }): boolean => input === undefined;

/**
 * The members of a parsed configuration.
 *
 * @throws DomainError `config-invalid` where it is no object
 */
export function membersOf(config: unknown): Readonly<Record<string, unknown>> {
  if (typeof config === "object" && config !== null && !Array.isArray(config)) {
    return config as Readonly<Record<string, unknown>>;
  }
  throw new DomainError(
    "config-invalid",
    `Cannot read the config of a model as it must be a JSON object: ${shown(config)}. Pass what config.json holds`,
  );
}

/** Refuses a member whose meaning is not here. */
export function refuseFeature(family: string, name: string, value: unknown): never {
  throw new UnsupportedError(
    "config-feature",
    `Cannot make a ${family} model as a member of its config is none of those known here: '${name}' is ${shown(value)}. ` +
      "Use another model, or take the member out of config.json where it does not change what the model computes",
  );
}
