/** @file The contestant's side of the protocol: reads requests, runs what it is asked to, and times it itself. */
import { closeSync, openSync, readSync, writeFileSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import {
  type Answer,
  type AttentionProblem,
  type Description,
  hasTensors,
  inputNames,
  type PrepareAnswer,
  type Problem,
  type Request,
  type RunAnswer,
  sizeOfProblem,
} from "../protocol.ts";

/** A problem that is ready to be run any number of times. */
export interface Prepared<R = unknown> {
  /** Makes ready for the next run where that needs it; not timed. */
  rewind?(): void | Promise<void>;
  /** What is timed. It is over when the results can be read. */
  run(): R | Promise<R>;
  /** The results of a run for the check, by name; of attention each is [batch, heads, length, width]. */
  read(result: R): Readonly<Record<string, Float32Array>> | Promise<Record<string, Float32Array>>;
  /** Frees the results of a run. */
  discard?(result: R): void;
  facts?(): Readonly<Record<string, number>>;
  release?(): void | Promise<void>;
}

/** Tensors of a problem, those of attention by name. */
export type Inputs = Readonly<Record<"q" | "k" | "v" | "dOut", Float32Array>> &
  Readonly<Record<string, Float32Array | undefined>>;

/** A program that takes part. */
export interface Program {
  readonly describe: () => Description | Promise<Description>;
  readonly prepare: (problem: Problem, inputs: Inputs) => Promise<Prepared>;
}

const answerDescriptor = 3;

/** Serves requests until the input ends. */
export async function serve({ describe, prepare }: Program): Promise<void> {
  const slots = new Map<number, Prepared>();
  const handle = async (request: Request): Promise<Description | PrepareAnswer | RunAnswer | null> => {
    switch (request.do) {
      case "describe":
        return describe();
      case "prepare": {
        const prepared = await prepare(request.problem, readInputs(request.problem, request.inputs));
        slots.set(request.slot, prepared);
        await prepared.rewind?.();
        const start = performance.now();
        const result = await prepared.run();
        const firstMs = performance.now() - start;
        // The facts are those of the run, before its results are read.
        const facts = { firstMs, ...prepared.facts?.() };
        const outputs = await prepared.read(result);
        if (request.outputs !== "") writeOutputs(request.outputs, Object.values(outputs));
        return { outputs: Object.keys(outputs), facts };
      }
      case "run": {
        const prepared = slots.get(request.slot)!;
        await prepared.rewind?.();
        const start = performance.now();
        const result = await prepared.run();
        const timeMs = performance.now() - start;
        prepared.discard?.(result);
        return { timeMs };
      }
      case "release":
        await slots.get(request.slot)?.release?.();
        slots.delete(request.slot);
        return null;
    }
  };
  for await (const line of createInterface({ input: process.stdin })) {
    let answer: Answer<unknown>;
    try {
      answer = { result: await handle(JSON.parse(line) as Request) };
    } catch (error) {
      answer = { error: error instanceof Error ? error.message : String(error) };
    }
    writeSync(answerDescriptor, `${JSON.stringify(answer)}\n`);
  }
  process.exit(0);
}

/** The problem as an attention; programs that know nothing else refuse the others. */
export function requireAttention(problem: Problem): AttentionProblem {
  if (problem.kind === "attention") return problem;
  throw new Error(`it does not know problems of the kind '${problem.kind}'`);
}

/** One tensor after the other, so that no second copy is in memory when memory is measured. */
function readInputs(problem: Problem, path: string): Inputs {
  if (!hasTensors(problem)) return {} as Inputs;
  const file = openSync(path, "r");
  try {
    return Object.fromEntries(
      inputNames(problem).map((name) => {
        const numbers = new Float32Array(sizeOfProblem(problem));
        readSync(file, numbers);
        return [name, numbers];
      }),
    ) as unknown as Inputs;
  } finally {
    closeSync(file);
  }
}

function writeOutputs(path: string, outputs: readonly Float32Array[]): void {
  const bytes = outputs.map(({ buffer, byteOffset, byteLength }) =>
    Buffer.from(buffer, byteOffset, byteLength),
  );
  writeFileSync(path, Buffer.concat(bytes));
}
