/** @file Reads what somebody writes of a model: unknown settings are refused with the nearest known ones, absent ones get defaults. */
import * as v from "valibot";
import { DomainError } from "../base/errors.ts";
import { didYouMean } from "../base/options.ts";
import { type LayerAttentions } from "./head-groups.ts";

/** A whole number of at least 1. */
export const extent: v.GenericSchema<number> = v.pipe(
  v.number(),
  v.integer("a whole number is needed"),
  v.minValue(1, "a number ≥ 1 is needed"),
);

/** A finite number above 0. */
export const positive: v.GenericSchema<number> = v.pipe(
  v.number("a number is needed"),
  v.finite("a finite number is needed"),
  v.gtValue(0, "a number > 0 is needed"),
);

const selector = v.pipe(v.string(), v.minLength(1, "a selector is needed, such as dot+rope+causal"));
const group = v.strictObject({ selector, heads: extent });

/** The attentions of all layers. */
export const layerAttentions: v.GenericSchema<LayerAttentions> = v.union(
  [selector, v.array(v.union([selector, v.pipe(v.array(group), v.minLength(1))]))],
  "a selector, or a list with a selector or a list of { selector, heads } for each layer is needed",
);

/**
 * Checks settings and fills in defaults.
 *
 * @param what - is made of them, such as `a decoder`
 * @param code - of the error
 * @throws DomainError for unknown or bad settings
 */
export function readSettings<const Schema extends v.StrictObjectSchema<v.ObjectEntries, undefined>>(
  what: string,
  code: string,
  schema: Schema,
  settings: object,
): v.InferOutput<Schema> {
  const known = Object.keys(schema.entries);
  const unknown = Object.keys(settings).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new DomainError(
      code,
      `Cannot make ${what} as it has no setting '${unknown}': it has ${known.join(", ")}. ${didYouMean(unknown, known)}`,
    );
  }
  const result = v.safeParse(schema, settings);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const name = v.getDotPath(issue) ?? "?";
  throw new DomainError(
    code,
    `Cannot make ${what} as '${name}' does not fit: ${JSON.stringify(issue.input)}. Pass another, as ${issue.message}`,
  );
}
