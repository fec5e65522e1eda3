/** @file The fields that completions and chat completions share, and what they ask of the generation. */
import * as v from "valibot";
import { random } from "../base/random.ts";
import { type GenerateOptions, sampler } from "../generation/index.ts";
import { asRequestError, badField, unknownModel } from "./request-error.ts";
import { type ServedModel } from "./served-model.ts";

/** A whole number, refused with its range. */
export function whole(minimum: number, maximum: number = Number.MAX_SAFE_INTEGER): v.GenericSchema<number> {
  const end = maximum === Number.MAX_SAFE_INTEGER ? "on" : `to ${maximum}`;
  const rule = `it must be a whole number from ${minimum} ${end}`;
  return v.pipe(v.number(rule), v.safeInteger(rule), v.minValue(minimum, rule), v.maxValue(maximum, rule));
}

/** True or false. */
export const flag: v.GenericSchema<boolean> = v.boolean("it must be true or false");

/** The name of the model that must answer. */
export const modelName: v.GenericSchema<string | undefined> = v.optional(
  v.string("it must be the name of a model"),
);

const mostStops = 16;

/** How many texts one request may ask for: they are written one after the other, on one place. */
export const mostChoices = 16;

/** What both ask for, as it is written in the body. */
export interface GenerationFields {
  readonly model?: string | undefined;
  readonly temperature?: number | undefined;
  readonly top_p?: number | undefined;
  readonly top_k?: number | undefined;
  readonly min_p?: number | undefined;
  readonly repetition_penalty?: number | undefined;
  readonly seed?: number | undefined;
  readonly n?: number | undefined;
  readonly max_tokens?: number | undefined;
  readonly stop?: string | string[] | undefined;
  readonly stream?: boolean | undefined;
  readonly stream_options?: { readonly include_usage?: boolean | undefined } | undefined;
}

const number = v.optional(v.number("it must be a number"));
const stopRule = `it must be a text or a list of at most ${mostStops} texts, none empty`;
const stopText = v.pipe(v.string(stopRule), v.nonEmpty(stopRule));

export const generationFields: {
  readonly [Name in keyof GenerationFields]-?: v.GenericSchema<GenerationFields[Name]>;
} = {
  model: modelName,
  temperature: number,
  top_p: number,
  top_k: number,
  min_p: number,
  repetition_penalty: number,
  seed: v.optional(whole(0)),
  n: v.optional(whole(1, mostChoices)),
  max_tokens: v.optional(whole(0)),
  stop: v.optional(
    v.union([stopText, v.pipe(v.array(stopText), v.maxLength(mostStops, stopRule))], stopRule),
  ),
  stream: v.optional(flag),
  stream_options: v.optional(
    v.strictObject(
      {
        include_usage: v.optional(flag),
        include_obfuscation: v.optional(v.literal(false, "it must be false")),
      },
      "it must be an object with include_usage",
    ),
  ),
};

/** Refuses the name of another model. */
export function requireModel(name: string | undefined, { id }: Pick<ServedModel, "id">): void {
  if (name === undefined || name === id) return;
  throw unknownModel(name, id);
}

/**
 * What the fields ask for; what is outside its domain is refused before the request takes a place.
 *
 * @param newTokens - at most so many
 */
export function generateOptions(
  { temperature, top_p, top_k, min_p, repetition_penalty, stop, stream, stream_options }: GenerationFields,
  model: Pick<ServedModel, "endTokens">,
  newTokens: number | undefined,
): Omit<GenerateOptions, "seed" | "signal"> {
  if (stream_options !== undefined && stream !== true) {
    throw badField(
      "stream_options",
      "Cannot read 'stream_options' as only a stream has them: stream is not true. Leave them out",
    );
  }
  const options: Omit<GenerateOptions, "seed" | "signal"> = {
    ...(temperature === undefined ? {} : { temperature }),
    ...(top_p === undefined ? {} : { topP: top_p }),
    ...(top_k === undefined ? {} : { topK: top_k }),
    ...(min_p === undefined ? {} : { minP: min_p }),
    ...(repetition_penalty === undefined ? {} : { repetitionPenalty: repetition_penalty }),
    ...(newTokens === undefined ? {} : { maximumNewTokens: newTokens }),
    stopTokens: model.endTokens,
    stopStrings: [stop ?? []].flat(),
  };
  try {
    sampler(options, random("domain"));
  } catch (error) {
    const refused = asRequestError(error);
    const [, named = ""] = /'(\w+)'/.exec(refused.message) ?? [];
    throw badField(
      named.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      refused.message,
    );
  }
  return options;
}

/** Seeds of requests that bring none: another one for each, the same ones in every run of a server. */
export function seedsOf(serverSeed: number): () => number {
  const drawn = random(serverSeed, "serve");
  return () => drawn.integer(2 ** 31 - 1);
}

/** The seed of one of several answers; the first has the request's own, as if it were alone. */
export function seedOfChoice(seed: number, choice: number): number {
  return choice === 0 ? seed : random(seed, "choice", choice).integer(2 ** 31 - 1);
}
