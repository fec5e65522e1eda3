/** @file The check that a setting of a task is a whole number in its range, and the error that says what it was. */
import { DomainError } from "../base/errors.ts";

/**
 * Refuses anything but a whole number of at least `minimum`.
 *
 * @param act - what cannot be done, as in "Cannot ‹act› as…"
 * @throws DomainError `bad-setting`
 */
export function requireWhole(act: string, name: string, value: number, minimum: number): void {
  if (Number.isSafeInteger(value) && value >= minimum) return;
  throw new DomainError(
    "bad-setting",
    `Cannot ${act} as ${name} must be a whole number ≥ ${minimum}: ${value}. Pass such a number`,
  );
}
