/** @file The recurrences that are timed, and their inputs. */
import { random } from "../../src/index.ts";
import { type Core, type CoreInputs } from "../../src/recurrence/core.ts";
import { type Tensor } from "../../src/base/tensor.ts";
import { inputNames, type RecurrenceProblem, type RecurrenceTerms, sizeOfProblem } from "../protocol.ts";

/** Forward and backward of one head unless told otherwise. */
export function recurrenceProblem(
  terms: RecurrenceTerms,
  length: number,
  sizes: Partial<Pick<RecurrenceProblem, "heads" | "width" | "direction">> = {},
): RecurrenceProblem {
  return { kind: "recurrence", terms, batch: 1, heads: 1, length, width: 64, direction: "both", ...sizes };
}

/** The terms of the core. */
export function coreOf({ terms }: Pick<RecurrenceProblem, "terms">): Core {
  return {
    decay: terms === "gla" ? "channel" : "none",
    correction: terms === "deltanet",
    read: "after",
    normalised: false,
    epsilon: 0,
  };
}

/** Decays of a trained gate are near one: log w from −0.08 to 0. */
const strongestDecay = 0.08;
/** The strength of the delta rule. */
const strength = 0.5;

/**
 * The inputs of a problem, by name; the same in every run. Keys of the delta rule have length 1: k = βk̂, b = k̂, a = −βk̂.
 */
export function recurrenceInputs(problem: RecurrenceProblem): Record<string, Float32Array> {
  const { length, width, terms } = problem;
  const size = sizeOfProblem(problem);
  const normals = (name: string): Float32Array =>
    random("bench", "recurrence", name, length, width).normals(size, 1);
  const directions = normals("k");
  for (let row = 0; row < size; row += width) {
    const vector = directions.subarray(row, row + width);
    const norm = terms === "deltanet" ? Math.hypot(...vector) : Math.sqrt(width);
    for (let d = 0; d < width; d++) vector[d] /= norm;
  }
  const uniform = random("bench", "recurrence", "decay", length, width);
  const all: Record<string, () => Float32Array> = {
    q: () => normals("q"),
    k: () => (terms === "deltanet" ? directions.map((value) => strength * value) : directions),
    v: () => normals("v"),
    logDecay: () => Float32Array.from({ length: size }, () => -strongestDecay * uniform.uniform()),
    a: () => directions.map((value) => -strength * value),
    b: () => directions,
    dOut: () => normals("dOut"),
  };
  return Object.fromEntries(inputNames(problem).map((name) => [name, all[name]()]));
}

/** Inputs of the core, and the gradient of its outputs where there is one. */
export function coreInputsOf(
  problem: RecurrenceProblem,
  arrays: Readonly<Record<string, Float32Array | undefined>>,
): { readonly inputs: CoreInputs<Tensor>; readonly dOut: Tensor | undefined } {
  const { batch, heads, length, width } = problem;
  const shape = [batch, heads, length, width];
  const { dOut, ...inputs } = Object.fromEntries(
    inputNames(problem).map((name) => [name, { data: arrays[name]!, shape }]),
  );
  return { inputs: inputs as unknown as CoreInputs<Tensor>, dOut };
}

const titles: Readonly<Record<RecurrenceTerms, string>> = {
  linear: "linear core",
  gla: "a decay of every channel",
  deltanet: "corrections",
};

/** A problem as readers see it. */
export function recurrenceText({ terms, direction, heads, length, width }: RecurrenceProblem): string {
  const pass = direction === "both" ? "forward + backward" : "forward";
  return `${titles[terms]}, ${pass}, ${heads} ${heads === 1 ? "head" : "heads"}, N = ${length}, D = ${width}`;
}
