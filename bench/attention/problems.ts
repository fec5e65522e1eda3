/** @file The attentions that are timed, and their inputs. */
import { writeFileSync } from "node:fs";
import { random } from "../../src/index.ts";
import { type AttentionProblem, inputNames, sizeOfProblem, type TensorProblem } from "../protocol.ts";
import { recurrenceInputs } from "../recurrence/problems.ts";

/** A problem of one head group with inputs of N(0, 1) unless told otherwise. */
export function attentionProblem(
  selector: string,
  sizes: Pick<AttentionProblem, "heads" | "length" | "width"> &
    Partial<Pick<AttentionProblem, "batch" | "spread" | "direction" | "isShared">>,
): AttentionProblem {
  const [similarity, ...parts] = selector.split("+");
  return {
    kind: "attention",
    selector,
    similarity: similarity as AttentionProblem["similarity"],
    isCausal: parts.includes("causal"),
    batch: 1,
    spread: 1,
    direction: "forward",
    ...sizes,
  };
}

/** The inputs of a problem, by name; the same in every run. */
export function inputsOf(problem: AttentionProblem): Record<string, Float32Array> {
  const { length, width, spread, isShared = false } = problem;
  const streamOf = (name: string): string => (isShared && name === "k" ? "q" : name);
  return Object.fromEntries(
    inputNames(problem).map((name) => [
      name,
      random("bench", streamOf(name), length, width).normals(sizeOfProblem(problem), spread),
    ]),
  );
}

/** Writes the inputs one after the other. */
export function writeInputs(path: string, problem: TensorProblem): void {
  const inputs = problem.kind === "attention" ? inputsOf(problem) : recurrenceInputs(problem);
  const bytes = Object.values(inputs).map(({ buffer, byteOffset, byteLength }) =>
    Buffer.from(buffer, byteOffset, byteLength),
  );
  writeFileSync(path, Buffer.concat(bytes));
}

/** `2 × 4 × 1024 × 32`, as readers see it. */
export function sizesText({ batch, heads, length, width }: TensorProblem): string {
  return `${batch > 1 ? `batch ${batch}, ` : ""}${heads} ${heads === 1 ? "head" : "heads"}, N = ${length}, D = ${width}`;
}

/** `l2, causal, forward + backward`, as readers see it. */
export function problemText({ selector, direction, isShared = false }: AttentionProblem): string {
  return `${selector}${isShared ? ", k = q" : ""}, ${direction === "both" ? "forward + backward" : "forward"}`;
}
