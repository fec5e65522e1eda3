/** @file Our fused kernels as a contestant, and the limit of WebAssembly in the same process. */
import { readFileSync } from "node:fs";
import {
  type AttentionInputs,
  compose,
  type Composition,
  parseSelector,
  type Tensor,
} from "../../src/index.ts";
import { fusedBackward, fusedForward } from "../../src/kernels/wasm/attention/fused-attention.ts";
import { nodeEngine } from "../../src/kernels/wasm/engine/pool.node.ts";
import { type AttentionProblem } from "../protocol.ts";
import { copyBytes, copyLimit } from "./copy-limit.ts";
import { prepareDecoding } from "./decoding.ts";
import { microKernelLimit, operationsPerThread } from "./micro-kernel-limit.ts";
import { prepareDense, prepareExperts } from "./experts.ts";
import { prepareRecurrence, prepareSteps } from "./recurrence.ts";
import { type Inputs, type Prepared, serve } from "./serve.ts";
import { describeEngine } from "./describe-engine.ts";

const threads = Number(process.argv[2]);
const engine = nodeEngine({ threads });

await serve({
  describe: () => describeEngine(engine),
  async prepare(problem, inputs) {
    switch (problem.kind) {
      case "attention":
        return prepareAttention(problem, inputs);
      case "limit": {
        const limit = microKernelLimit(engine.relaxed, threads);
        return {
          run: limit.run,
          read: () => ({}),
          facts: () => ({ operations: operationsPerThread * threads }),
          release: limit.close,
        };
      }
      case "decoding":
        return prepareDecoding(engine, problem);
      case "copy": {
        const { run, close } = copyLimit(threads);
        return { run, read: () => ({}), facts: () => ({ bytes: copyBytes }), release: close };
      }
      case "feed-forward":
        return problem.experts === undefined
          ? prepareDense(engine, problem)
          : prepareExperts(engine, problem, problem.experts);
      case "recurrence":
        return prepareRecurrence(engine, problem, inputs);
      case "recurrent-step":
        return prepareSteps(engine, problem);
      case "training":
      case "language":
      case "distillation":
        throw new Error(`a problem of the kind '${problem.kind}' is not part of this program`);
    }
  },
});

function prepareAttention(problem: AttentionProblem, inputs: Inputs): Prepared<Record<string, Float32Array>> {
  const composition = read(problem.selector);
  const shape = [problem.batch, problem.heads, problem.length, problem.width];
  const q = { data: inputs.q, shape };
  const tensors: AttentionInputs<Tensor> = {
    q,
    k: problem.isShared === true ? q : { data: inputs.k, shape },
    v: { data: inputs.v, shape },
  };
  const residentBefore = process.memoryUsage.rss();
  const forward = (): Record<string, Float32Array> => ({
    out: fusedForward(engine, composition, tensors).out.data,
  });
  const both = (): Record<string, Float32Array> => {
    const { out, state } = fusedForward(engine, composition, tensors);
    const dOut = { data: inputs.dOut, shape };
    const { dq, dk, dv } = fusedBackward(engine, composition, tensors, dOut, { state, learned: [] });
    return { out: out.data, dq: dq.data, dk: dk.data, dv: dv.data };
  };
  return {
    run: problem.direction === "both" ? both : forward,
    read: (result) => result,
    facts: () => ({
      arenaBytes: engine.arena.sizeBytes,
      residentGrowthBytes: highestResidentBytes() - residentBefore,
    }),
  };
}

function read(selector: string): Composition {
  const { patterns, ...parts } = parseSelector(selector);
  return compose({ ...parts, pattern: patterns } as Parameters<typeof compose>[0]);
}

/** The most that this process ever held: Linux counts it in the process, elsewhere getrusage does. */
function highestResidentBytes(): number {
  try {
    const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))!;
    return 1024 * Number(kilobytes);
  } catch {
    return 1024 * process.resourceUsage().maxRSS;
  }
}
