/** @file Our recurrences against the f64 reference before they are timed. */
import { coreBackward, coreForward } from "../../src/recurrence/index.ts";
import { relativeError, type Results } from "../attention/correctness.ts";
import { type RecurrenceProblem } from "../protocol.ts";
import { coreInputsOf, coreOf, recurrenceInputs } from "./problems.ts";

/** Names of results by the names of the inputs whose gradients they are. */
export const gradientName = (input: string): string => `d${input[0].toUpperCase()}${input.slice(1)}`;

/** The error of results of a small problem against the reference, of outputs and of all gradients. */
export function errorOfRecurrence(problem: RecurrenceProblem, results: Results): number {
  const core = coreOf(problem);
  const { inputs, dOut } = coreInputsOf(problem, recurrenceInputs(problem));
  const errors = [relativeError(coreForward(core, inputs).out.data, results["out"])];
  if (dOut !== undefined) {
    const gradients = coreBackward(core, inputs, { out: dOut });
    for (const name of Object.keys(inputs) as (keyof typeof inputs)[]) {
      errors.push(relativeError(gradients[name]!.data, results[gradientName(name)]));
    }
  }
  return Math.max(...errors);
}
