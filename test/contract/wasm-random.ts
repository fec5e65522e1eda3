/** @file Random calls on the WebAssembly kernels, each on poisoned memory and against the f64 reference. */
import fc from "fast-check";
import { type AttentionBackend } from "../../src/index.ts";
import { type WasmEngine } from "../../src/kernels/wasm/engine/engine.ts";
import { nodeEngine } from "../../src/kernels/wasm/engine/pool.node.ts";
import { expectReference } from "./laws-of-numbers.ts";
import { benchOf } from "./law.ts";
import { roughened } from "./roundings.ts";
import { printCall, problemOf, type RandomCall, randomCalls } from "./random-calls.ts";
import { poisoned, wasmPromises } from "./wasm-promises.ts";

/** The engines that a call may get. */
const engines = {
  "1 thread, plain SIMD": { threads: 1, relaxed: false },
  "1 thread, relaxed SIMD": { threads: 1, relaxed: true },
  "2 threads, relaxed SIMD": { threads: 2, relaxed: true },
} as const;
type EngineName = keyof typeof engines;

/** An engine keeps every kernel that it has compiled; after so many different ones it makes room. */
const callsPerEngine = 250;

/** Engines that are renewed before thousands of kernels fill the memory. */
export class RenewedEngines {
  readonly #open = new Map<
    EngineName,
    { readonly engine: WasmEngine; readonly backend: AttentionBackend; calls: number }
  >();

  backend(name: EngineName): AttentionBackend {
    let open = this.#open.get(name);
    if (open !== undefined && open.calls >= callsPerEngine) {
      open.engine.close();
      open = undefined;
    }
    if (open === undefined) {
      const engine = nodeEngine(engines[name]);
      open = { engine, backend: poisoned(engine), calls: 0 };
      this.#open.set(name, open);
    }
    open.calls += 1;
    return open.backend;
  }

  close(): void {
    for (const { engine } of this.#open.values()) engine.close();
    this.#open.clear();
  }
}

/** Some roundings cancel, or meet a bound that hides them: the farthest of a few is what rounding may do. */
const roughDraws = 8;

/** The law that random calls are held to, as relaxations name laws. */
const lawOfCalls = "outputs and gradients are those of the f64 reference";

/** Asserts that a call gives what the reference gives; false where nobody could be held to it. */
export async function checkCall(
  call: RandomCall,
  engine: EngineName,
  open: RenewedEngines,
): Promise<boolean> {
  const problem = problemOf(call);
  if (problem === undefined) return false;
  const { tolerances, guard, relaxations } = wasmPromises;
  const relaxation = relaxations.find(
    ({ selectors, laws }) => selectors.test(call.selector) && (laws?.test(lawOfCalls) ?? true),
  );
  const bench = benchOf(open.backend(engine), relaxation?.tolerances ?? tolerances, guard);
  try {
    const compared = { pairs: call.pairs, gradients: call.gradients };
    await expectReference(bench, problem, { compared, perturbed: roughened, draws: roughDraws });
  } catch (error) {
    throw new Error(`on ${engine}: ${printCall(call)}: ${(error as Error).message}`, { cause: error });
  }
  return true;
}

/**
 * Checks random calls, always the same for a seed.
 *
 * @throws Error with the seed, the path and the call, where one differs from the reference
 */
export async function checkRandomCalls(seed: number, runs: number): Promise<void> {
  const open = new RenewedEngines();
  const engineNames = fc.constantFrom(...(Object.keys(engines) as EngineName[]));
  try {
    await fc.assert(
      fc.asyncProperty(randomCalls, engineNames, async (call, engine) => {
        fc.pre(await checkCall(call, engine, open));
      }),
      { seed, numRuns: runs, endOnFailure: true },
    );
  } finally {
    open.close();
  }
}
