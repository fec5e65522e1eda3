/**
 * @file What the benchmark and its contestants say to each other. Every contestant is a process of its own, so that the
 * threads of one do not stand in the way of another: it reads a request a line from its input and answers a line on file
 * descriptor 3. Tensors travel as files of float32.
 */

/** One attention at one size: inputs of N(0, spread²), all of [batch, heads, length, width]. */
export interface AttentionProblem {
  readonly kind: "attention";
  /** As a selector of the project; contestants that are no part of it read `similarity` and `isCausal`. */
  readonly selector: string;
  readonly similarity: "dot" | "l2" | "l1" | "poincare";
  readonly isCausal: boolean;
  readonly batch: number;
  readonly heads: number;
  readonly length: number;
  readonly width: number;
  readonly spread: number;
  /** Whether keys are the queries. */
  readonly isShared?: boolean;
  /** Queries and keys lie about so many random centres, which have 3/4 of the variance; about 0 when absent. */
  readonly clusters?: number;
  /** `both`: the gradients of q, k and v as well. */
  readonly direction: "forward" | "both";
}

/** Which terms of the recurrent core a problem has: none; a decay of every channel; a correction. */
export type RecurrenceTerms = "linear" | "gla" | "deltanet";

/** The core of the recurrent class at one size; all inputs are [batch, heads, length, width]. */
export interface RecurrenceProblem {
  readonly kind: "recurrence";
  readonly terms: RecurrenceTerms;
  readonly batch: number;
  readonly heads: number;
  readonly length: number;
  readonly width: number;
  /** `both`: the gradients of all inputs as well. */
  readonly direction: "forward" | "both";
}

/** One token over a state that has taken `length` tokens. */
export interface RecurrentStepProblem {
  readonly kind: "recurrent-step";
  readonly heads: number;
  readonly length: number;
  readonly width: number;
}

/** Problems whose tensors travel as files. */
export type TensorProblem = AttentionProblem | RecurrenceProblem;

/** The bare register tile on all threads at the same time: what WebAssembly can do on this machine at all. */
export interface LimitProblem {
  readonly kind: "limit";
}

/** A training step of the decoder of src/models with SwiGLU, RMSNorm, RoPE, a tied head, clipping and AdamW. */
export interface TrainingProblem {
  readonly kind: "training";
  readonly vocabulary: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly batch: number;
  readonly length: number;
}

/** One token over a key/value cache. */
export interface DecodingProblem {
  readonly kind: "decoding";
  readonly heads: number;
  /** S, places of the cache. */
  readonly length: number;
  readonly width: number;
}

/** Numbers copied on all threads: what the machine's memory can do. */
export interface CopyProblem {
  readonly kind: "copy";
}

/** A SwiGLU feed-forward over rows: one that all tokens meet, or experts with a router by dot products. */
export interface FeedForwardProblem {
  readonly kind: "feed-forward";
  readonly tokens: number;
  readonly width: number;
  /** Width inside; that of each expert. */
  readonly hidden: number;
  /** E and k; absent for one feed-forward. */
  readonly experts?: { readonly count: number; readonly choices: number };
  /** `both`: the gradients of rows, router and weights as well. */
  readonly direction: "forward" | "both";
}

/** A trained language model over a text, whose logits are those after each token, or after the last. */
export interface LanguageProblem {
  readonly kind: "language";
  /** Tokens before the timed ones, which are read untimed. */
  readonly context: readonly number[];
  readonly tokens: readonly number[];
  /** Whether the tokens are read in one pass, as a prompt, or one after the other, as they are written. */
  readonly pass: "at once" | "one by one";
}

/** A step of the distillation of one layer of a trained language model. */
export interface DistillationProblem {
  readonly kind: "distillation";
  /** What takes the place of the layer's attention. */
  readonly selector: string;
  readonly layer: number;
  /** Windows of `length` tokens a step. */
  readonly batch: number;
  readonly length: number;
  /** The text. */
  readonly tokens: readonly number[];
}

export type Problem =
  | TensorProblem
  | RecurrentStepProblem
  | LimitProblem
  | TrainingProblem
  | DecodingProblem
  | CopyProblem
  | FeedForwardProblem
  | LanguageProblem
  | DistillationProblem;

/** What a contestant is asked. */
export type Request =
  | { readonly do: "describe" }
  /** Makes ready, runs once, and leaves the results of that run for the check. */
  | ({ readonly do: "prepare" } & PrepareRequest)
  | { readonly do: "run"; readonly slot: number }
  | { readonly do: "release"; readonly slot: number };

/** Several problems may be ready at the same time, each in a slot. */
export interface PrepareRequest {
  readonly slot: number;
  readonly problem: Problem;
  /** Files; empty where the problem has none. */
  readonly inputs: string;
  readonly outputs: string;
}

/** Who a contestant is. */
export interface Description {
  readonly versions: Readonly<Record<string, string>>;
  /** How many threads it computes on. */
  readonly threads: number;
  /** What a reader must know about how it is used. */
  readonly notes: readonly string[];
}

/** How long one run took, and what the process held. */
export interface RunAnswer {
  readonly timeMs: number;
}

/** What a contestant left for the check. */
export interface PrepareAnswer {
  /** Names of the tensors in the file of outputs, in order; empty where there is nothing to compare. */
  readonly outputs: readonly string[];
  /** Numbers about the run that is not timed, such as bytes. */
  readonly facts: Readonly<Record<string, number>>;
}

/** An answer to any request. */
export type Answer<T> = { readonly result: T } | { readonly error: string };

/** Whether inputs and results of a problem travel as files. */
export function hasTensors(problem: Problem): problem is TensorProblem {
  return problem.kind === "attention" || problem.kind === "recurrence";
}

/** Numbers of one tensor of a problem. */
export function sizeOfProblem({ batch, heads, length, width }: TensorProblem): number {
  return batch * heads * length * width;
}

const extraInputs: Readonly<Record<RecurrenceTerms, readonly string[]>> = {
  linear: [],
  gla: ["logDecay"],
  deltanet: ["a", "b"],
};

/** The tensors that a problem's file of inputs holds, in order. */
export function inputNames(problem: TensorProblem): readonly string[] {
  const extra = problem.kind === "recurrence" ? extraInputs[problem.terms] : [];
  return ["q", "k", "v", ...extra, ...(problem.direction === "both" ? ["dOut"] : [])];
}
