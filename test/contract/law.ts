/** @file What a law of the contract is, and the bench on which a backend is held to it. */
import {
  type AttentionBackend,
  type AttentionGradients,
  type AttentionInputs,
  type AttentionResult,
  type Composition,
  type ExtraOutput,
} from "../../src/index.ts";
import { type Problem } from "./problem.ts";

/**
 * How far a backend may be from exact arithmetic, as fractions of the largest number of a tensor. Exact laws
 * (causality, zeros of masked rows) have no tolerance.
 */
export interface Tolerances {
  readonly forward: number;
  readonly gradient: number;
}

/** A backend with what the laws need to call it. */
export interface Bench {
  readonly backend: AttentionBackend;
  readonly tolerances: Tolerances;
  /** The smallest square under a root that the backend uses, for the reference to use it too. */
  readonly guard: number;
  /** Without `extras`, what backward needs beside the output. */
  forward(problem: Problem, extras?: readonly ExtraOutput[]): Promise<AttentionResult>;
  /** Backward with what forward returned for the same problem, as `attention()` calls it; forward is run when absent. */
  backward(problem: Problem, result?: AttentionResult): Promise<AttentionGradients>;
}

/** One law, checked for one attention at a time. */
export interface Law {
  readonly name: string;
  /** Whether the law says anything about this attention (default: about all). */
  readonly appliesTo?: (composition: Composition) => boolean;
  readonly check: (bench: Bench, composition: Composition, selector: string) => Promise<void>;
}

/** The bench of a backend. */
export function benchOf(backend: AttentionBackend, tolerances: Tolerances, guard: number): Bench {
  const forward: Bench["forward"] = ({ composition, inputs }, extras = neededExtras(composition)) =>
    backend.forward(composition, inputs, extras);
  return {
    backend,
    tolerances,
    guard,
    forward,
    async backward(problem, result) {
      const { out, lse } = result ?? (await forward(problem));
      const { composition, inputs, dOut } = problem;
      return backend.backward(composition, inputs, { out, ...(lse === undefined ? {} : { lse }) }, dOut);
    },
  };
}

/** What backward takes from forward beside the output. */
export function neededExtras({ normaliser }: Composition): readonly ExtraOutput[] {
  return normaliser.name === "softmax" ? ["lse"] : [];
}

/** The problem with some inputs replaced. */
export function withInputs(problem: Problem, inputs: Partial<AttentionInputs<Problem["dOut"]>>): Problem {
  return { ...problem, inputs: { ...problem.inputs, ...inputs } };
}

/** All gradients of a call with their names. */
export function namedGradients({
  dParameters,
  ...ofInputs
}: AttentionGradients): readonly (readonly [string, Problem["dOut"]])[] {
  return [...Object.entries(ofInputs), ...Object.entries(dParameters)];
}
