/**
 * @file The benchmark of the fused kernels: against the limit of WebAssembly, against dense attention under sparse
 * patterns, against the composition on jax-js; time and memory against N. Correctness first, medians of interleaved rounds.
 */
import { loadavg, cpus } from "node:os";
import { parseArgs } from "node:util";
import {
  type AttentionInputs,
  compose,
  type Composition,
  parseSelector,
  random,
  referenceForward,
  type Tensor,
} from "../src/index.ts";
import { guards } from "../src/similarities/index.ts";
import { jaxBackend, startJax } from "../src/kernels/jax/index.ts";
import { type WasmEngine } from "../src/kernels/wasm/engine.ts";
import { fusedBackward, fusedForward } from "../src/kernels/wasm/fused-attention.ts";
import { nodeEngine } from "../src/kernels/wasm/pool.node.ts";
import { bareMicroKernel, operationsPerRun } from "./micro-kernel-limit.ts";
import { type Contestant, interleaved } from "./rounds.ts";

/** One line of the result: `ratio` is peer time over ours, or the share of a limit that we reach. */
interface Goal {
  readonly name: string;
  readonly ours_ms: number;
  readonly peer_ms: number;
  readonly ratio: number;
  readonly goal: number;
}

const { values: options } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    rounds: { type: "string", default: "7" },
    threads: { type: "string", default: "2" },
    only: { type: "string", default: "limit,patterns,jax,memory" },
  },
});
const rounds = Number(options.rounds);
const chosen = options.only.split(",");
const engine = nodeEngine({ threads: Number(options.threads) });
const goals: Goal[] = [];

function read(selector: string): Composition {
  const { patterns, ...parts } = parseSelector(selector);
  return compose({ ...parts, pattern: patterns } as Parameters<typeof compose>[0]);
}

function makeInputs(batch: number, heads: number, length: number, width: number): AttentionInputs<Tensor> {
  const shape = [batch, heads, length, width];
  const make = (name: string): Tensor => ({
    data: Float32Array.from(random("bench", name, length).normals(batch * heads * length * width)),
    shape,
  });
  return { q: make("q"), k: make("k"), v: make("v") };
}

/** The largest error of a composition against the reference on a small call; refuses to time what is wrong. */
function requireCorrect(composition: Composition): void {
  const inputs = makeInputs(1, 2, 65, 32);
  const expected = referenceForward(composition, inputs, { guard: guards.f32 }).out.data;
  const { data } = fusedForward(engine, composition, inputs).out;
  const error = data.reduce((worst, value, place) => Math.max(worst, Math.abs(value - expected[place])), 0);
  if (!(error < 1e-3)) throw new Error(`cannot time a kernel that is ${error} off`);
}

function forwardOf(on: WasmEngine, composition: Composition, inputs: AttentionInputs<Tensor>): () => void {
  return () => void fusedForward(on, composition, inputs);
}

function bothOf(on: WasmEngine, composition: Composition, inputs: AttentionInputs<Tensor>): () => void {
  return () => {
    const { out, state } = fusedForward(on, composition, inputs);
    fusedBackward(on, composition, inputs, out, { state, learned: [] });
  };
}

function report(name: string, oursMs: number, peerMs: number, goal: number): void {
  goals.push({ name, ours_ms: round(oursMs), peer_ms: round(peerMs), ratio: round(peerMs / oursMs), goal });
  if (!options.json) console.log(goals.at(-1));
}

const round = (value: number): number => Number(value.toPrecision(4));

/** Ours against what the micro-kernel alone would need for the products of the pass, on all threads. */
async function againstLimit(): Promise<void> {
  const [heads, length, width] = [4, 2048, 64];
  const inputs = makeInputs(1, heads, length, width);
  const contestants: Contestant[] = [{ name: "limit", run: bareMicroKernel(engine.relaxed) }];
  const cases = ["full", "causal"].map((pattern) => ({ pattern, composition: read(`dot+${pattern}`) }));
  for (const { pattern, composition } of cases) {
    requireCorrect(composition);
    contestants.push({ name: `${pattern} forward`, run: forwardOf(engine, composition, inputs) });
    contestants.push({ name: `${pattern} both`, run: bothOf(engine, composition, inputs) });
  }
  const times = await interleaved(contestants, rounds);
  const perMs = (operationsPerRun / times.get("limit")!) * engine.threads;
  if (!options.json)
    console.log({ microKernelGflops: round(perMs / engine.threads / 1e6), threads: engine.threads });
  for (const { pattern } of cases) {
    const pairs = pattern === "full" ? length * length : (length * (length + 1)) / 2;
    const product = 2 * heads * pairs * width;
    // Two products forward; five backward, as the scores are computed again.
    report(
      `limit, dot ${pattern}, N = 2048, forward`,
      times.get(`${pattern} forward`)!,
      (2 * product) / perMs,
      0.65,
    );
    report(
      `limit, dot ${pattern}, N = 2048, forward + backward`,
      times.get(`${pattern} both`)!,
      (7 * product) / perMs,
      0.55,
    );
  }
}

async function againstDense(): Promise<void> {
  const inputs = makeInputs(1, 1, 8192, 64);
  const selectors = {
    window: "dot+causal+window:w=256",
    strided: "dot+strided:stride=128,local=128",
    fixed: "dot+fixed:block=128,columns=8",
  };
  const contestants = Object.entries({ dense: "dot+causal", ...selectors }).flatMap(([name, selector]) => {
    const composition = read(selector);
    requireCorrect(composition);
    return [
      { name: `${name} forward`, run: forwardOf(engine, composition, inputs) },
      { name: `${name} forward + backward`, run: bothOf(engine, composition, inputs) },
    ];
  });
  const times = await interleaved(contestants, rounds);
  for (const [name, goal] of [
    ["window", 8],
    ["strided", 5],
    ["fixed", 5],
  ] as const) {
    for (const pass of ["forward", "forward + backward"]) {
      report(
        `own dense causal, ${selectors[name]}, N = 8192, ${pass}`,
        times.get(`${name} ${pass}`)!,
        times.get(`dense ${pass}`)!,
        goal,
      );
    }
  }
}

async function againstJax(): Promise<void> {
  await startJax();
  const inputs = makeInputs(2, 4, 1024, 32);
  for (const selector of ["dot+causal", "l2+causal", "poincare+causal"]) {
    const composition = read(selector);
    requireCorrect(composition);
    const jax = async (): Promise<void> => {
      const { out } = await jaxBackend.forward(composition, inputs, []);
      await jaxBackend.backward(composition, inputs, { out }, out);
    };
    const times = await interleaved(
      [
        { name: "ours", run: bothOf(engine, composition, inputs) },
        { name: "jax", run: jax },
      ],
      rounds,
    );
    report(
      `jax-js composition, ${selector}, forward + backward, 2 × 4 × 1024 × 32`,
      times.get("ours")!,
      times.get("jax")!,
      12,
    );
  }
}

/** Exponent of time against N by doubling, and the memory of a long sequence. */
async function againstLength(): Promise<void> {
  for (const [selector, lengths] of [
    ["dot+causal", [2048, 4096, 8192]],
    ["dot+causal+window:w=256", [8192, 16_384, 32_768]],
  ] as const) {
    const composition = read(selector);
    const contestants = lengths.map((length) => ({
      name: String(length),
      run: forwardOf(engine, composition, makeInputs(1, 1, length, 64)),
    }));
    const times = await interleaved(contestants, rounds);
    const [first, last] = [lengths[0], lengths.at(-1)!];
    const exponent = Math.log(times.get(String(last))! / times.get(String(first))!) / Math.log(last / first);
    console.error(`${selector}: time grows as N^${exponent.toFixed(2)}`);
  }
  const own = nodeEngine({ threads: 1 });
  const composition = read("dot+causal+window:w=256");
  bothOf(own, composition, makeInputs(1, 1, 65_536, 64))();
  console.error(
    `memory of forward + backward at N = 65,536, D = 64, one head: ${Math.round(own.arena.sizeBytes / 1e6)} MB`,
  );
}

const parts = { limit: againstLimit, patterns: againstDense, jax: againstJax, memory: againstLength };
for (const [name, run] of Object.entries(parts)) if (chosen.includes(name)) await run();
engine.close();
const machine = {
  cpu: cpus()[0].model,
  cores: cpus().length,
  load: loadavg()[0],
  node: process.version,
  relaxed: engine.relaxed,
};
if (options.json) console.log(JSON.stringify({ machine, goals }));
