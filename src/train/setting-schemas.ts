/** @file The kinds of numbers that settings of recipes are. */
import * as v from "valibot";

/** A whole number of at least `minimum`. */
export function whole(minimum: number): v.GenericSchema<number> {
  const message = `it must be a whole number ≥ ${minimum}`;
  return v.pipe(v.number(message), v.integer(message), v.minValue(minimum, message));
}

/** A finite number of at least zero. */
export const nonNegative: v.GenericSchema<number> = v.pipe(
  v.number("it must be a number ≥ 0"),
  v.finite("it must be finite"),
  v.minValue(0, "it must be a number ≥ 0"),
);

/** A finite number above zero. */
export const positive: v.GenericSchema<number> = v.pipe(
  v.number("it must be a number > 0"),
  v.finite("it must be finite"),
  v.gtValue(0, "it must be a number > 0"),
);

/** The entries of a schema whose output is `Settings`, each with a default. */
export type SettingEntries<Settings extends object> = {
  readonly [Name in keyof Settings]-?: v.GenericSchema<Settings[Name] | undefined, Settings[Name]>;
};
