/** @file Reads a recipe's settings by its schema, with errors that name the setting and what is allowed. */
import * as v from "valibot";
import { DomainError } from "../base/errors.ts";
import { didYouMean } from "../base/options.ts";

/**
 * Settings with every default filled in.
 *
 * @param task - for errors
 * @param schema - a strict object schema, so that unknown settings are refused
 * @param overrides - what was asked for
 * @throws DomainError `unknown-setting` or `bad-setting`
 */
export function readSettings<S extends v.StrictObjectSchema<v.ObjectEntries, undefined>>(
  task: string,
  schema: S,
  overrides: Readonly<Record<string, unknown>>,
): v.InferOutput<S> {
  const known = Object.keys(schema.entries);
  const unknown = Object.keys(overrides).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new DomainError(
      "unknown-setting",
      `Cannot set '${unknown}' as '${task}' has no such setting: it has ${known.join(", ")}. ${didYouMean(unknown, known)}`,
    );
  }
  const result = v.safeParse(schema, overrides);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const name = v.getDotPath(issue) ?? "?";
  throw new DomainError(
    "bad-setting",
    `Cannot set '${name}' of '${task}' as ${issue.message}: ${JSON.stringify(overrides[name])}. Pass a value that fits`,
  );
}
