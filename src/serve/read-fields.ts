/**
 * @file The fields of a request by a schema. What would change the answer and is not computed is refused by name; what changes nothing
 * is accepted. As in OpenAI's interface, null is a field that is left out.
 */
import * as v from "valibot";
import { didYouMean } from "../base/options.ts";
import { badField, type RequestError } from "./request-error.ts";

/** Fields that change no answer. */
const harmless: ReadonlySet<string> = new Set([
  "user",
  "metadata",
  "service_tier",
  "safety_identifier",
  "prompt_cache_key",
  "prompt_cache_retention",
  "parallel_tool_calls",
]);

const isZero = (value: unknown): boolean => value === 0;
const isFalse = (value: unknown): boolean => value === false;
const isEmpty = (value: unknown): boolean =>
  typeof value === "object" && value !== null && Object.keys(value).length === 0;
const isTextAlone = (value: unknown): boolean => JSON.stringify(value) === '["text"]';
const isTextFormat = (value: unknown): boolean => JSON.stringify(value) === '{"type":"text"}';

/** Fields of OpenAI that are not computed here, with the values that ask for nothing. */
const neutral: Readonly<Record<string, (value: unknown) => boolean>> = {
  presence_penalty: isZero,
  frequency_penalty: isZero,
  logit_bias: isEmpty,
  best_of: (value) => value === 1,
  suffix: (value) => value === "",
  store: isFalse,
  tools: isEmpty,
  functions: isEmpty,
  tool_choice: (value) => value === "none" || value === "auto",
  function_call: (value) => value === "none" || value === "auto",
  response_format: isTextFormat,
  modalities: isTextAlone,
};

/**
 * Reads fields.
 *
 * @param schema - of the fields that are computed
 * @throws RequestError 400 that names the field: `unsupported_parameter`, `unknown_parameter`, `missing_required_parameter` or
 *   `invalid_value`
 */
export function readFields<S extends v.ObjectSchema<v.ObjectEntries, undefined>>(
  schema: S,
  body: Readonly<Record<string, unknown>>,
): v.InferOutput<S> {
  const known = Object.keys(schema.entries);
  const given = Object.entries(body).filter(([, value]) => value !== null);
  for (const [name, value] of given) {
    if (known.includes(name) || harmless.has(name)) continue;
    const isNeutral = Object.hasOwn(neutral, name) ? neutral[name] : undefined;
    if (isNeutral?.(value) === true) continue;
    throw isNeutral === undefined ? unknownField(name, known) : unsupportedField(name, value);
  }
  const result = v.safeParse(schema, Object.fromEntries(given));
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = v.getDotPath(issue) ?? "?";
  if (issue.received === "undefined") {
    throw badField(
      path,
      `Cannot answer as '${path}' must be given: it is not there. Add it to the body`,
      "missing_required_parameter",
    );
  }
  throw badField(
    path,
    `Cannot read '${path}' as ${issue.message}: ${shortened(issue.input)}. Pass a value that fits`,
  );
}

function unknownField(name: string, known: readonly string[]): RequestError {
  return badField(
    name,
    `Cannot read '${name}' as this endpoint has no such field: it has ${known.join(", ")}. ${didYouMean(name, known)}`,
    "unknown_parameter",
  );
}

function unsupportedField(name: string, value: unknown): RequestError {
  return badField(
    name,
    `Cannot answer with '${name}' as it would change the answer and is not computed here: ${shortened(value)}. Leave it out`,
    "unsupported_parameter",
  );
}

/** What was seen, short enough for one line. */
export function shortened(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}
