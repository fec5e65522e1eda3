/** @file What calls leave behind on an engine: nothing in its arena, no kernel twice; `wasm-memory.long.test.ts` looks at the process. */
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";
import { random } from "../../src/index.ts";
import { fusedBackward, fusedForward, WasmEngine } from "../../src/kernels/wasm/index.ts";
import { nodeEngine } from "../../src/kernels/wasm/engine/pool.node.ts";
import { recordBytes } from "../../src/kernels/wasm/engine/scratch.ts";
import { legalSelectors, oneSelectorEach, read } from "./legal-selectors.ts";
import { call, callAll, largest, widths } from "./memory-calls.ts";
import { commonSizes, drawProblem, normals } from "./problem.ts";

/** One of every similarity, and of every other part too. */
const selectors = [...new Set([...oneSelectorEach, ...legalSelectors.slice(0, 8)])];

/** How many selections choose by the vectors. */
const choices = 2;

const engine = nodeEngine({ threads: 2 });
afterAll(() => engine.close());
afterEach(() => vi.restoreAllMocks());

/** How many modules are compiled while `act` runs. */
function compiledBy(act: () => void): number {
  const compile = vi.spyOn(WebAssembly, "Module");
  act();
  const count = compile.mock.calls.length;
  compile.mockRestore();
  return count;
}

describe("calls of many attentions", () => {
  test("give all places of the arena back, compile every kernel once, and need no more memory the second time", () => {
    const { mark } = engine.arena;
    const checkMark = (): void => expect(engine.arena.mark).toBe(mark);
    const first = compiledBy(() => callAll(engine, selectors, checkMark));
    expect(first).toBeGreaterThan(selectors.length);
    // Hashing and blocks have inner products of their own, one module for each number of vectors.
    expect(first).toBeLessThanOrEqual((selectors.length + choices) * widths.length);
    const { sizeBytes } = engine.arena;
    expect(compiledBy(() => callAll(engine, selectors, checkMark))).toBe(0);
    expect(engine.arena.sizeBytes).toBe(sizeBytes);
  });

  test("compile nothing for other lengths, offsets and heads", () => {
    const selector = "l2:beta=learned+causal";
    const [width] = widths;
    call(engine, selector, { ...largest, ...width });
    const { sizeBytes } = engine.arena;
    const stream = random("lengths");
    const upTo = (most: number): number => 1 + stream.integer(most);
    const compiled = compiledBy(() => {
      for (let count = 0; count < 60; count++) {
        const keyHeads = upTo(largest.keyHeads);
        const heads = keyHeads * upTo(largest.heads / largest.keyHeads);
        const lengths = { queries: upTo(largest.queries), keys: upTo(largest.keys) };
        call(engine, selector, { batch: upTo(largest.batch), heads, keyHeads, ...lengths, ...width });
      }
    });
    expect(compiled).toBe(0);
    expect(engine.arena.sizeBytes).toBe(sizeBytes);
  });
});

describe("a call that throws gives all places back", () => {
  const composition = read("l2:beta=learned+causal");
  const { inputs, dOut } = drawProblem(composition, commonSizes, random("throws"));
  const expectThrow = (act: () => unknown, words: RegExp, on: WasmEngine = engine): void => {
    const { mark, sizeBytes } = on.arena;
    expect(act).toThrow(words);
    expect({ mark: on.arena.mark, sizeBytes: on.arena.sizeBytes }).toEqual({ mark, sizeBytes });
  };

  test("before it takes any, of parts that the kernels do not know", () => {
    const own = { ...composition, aggregation: { ...composition.aggregation, name: "median" } };
    expectThrow(() => fusedForward(engine, own, inputs), /'median'/);
    expectThrow(() => fusedBackward(engine, own, inputs, dOut), /'median'/);
  });

  test("while its tensors are laid out, of parameters that do not fit and of more than 4 GiB", () => {
    const wrong = { ...inputs, parameters: { beta: normals(random("wrong"), [3]) } };
    expectThrow(() => fusedForward(engine, composition, wrong), /beta/);
    const huge = { data: new Float32Array(0), shape: [64, 64, 4096, 128] };
    expectThrow(() => fusedForward(engine, composition, { q: huge, k: huge, v: huge }), /at most 4 GiB/);
  });

  test("while its lists of tiles are made, of a pattern that fails", () => {
    const [pattern] = composition.patterns;
    const failing = {
      ...pattern,
      name: "failing",
      allows: () => {
        throw new Error("the pattern's own failure");
      },
    };
    const { arena } = engine;
    const { mark } = arena;
    const own = { ...composition, patterns: [failing] };
    expect(() => fusedForward(engine, own, inputs)).toThrow(/own failure/);
    expect(arena.mark).toBe(mark);
  });

  test.each([0, 1, 2, 3, 4, 5])("while its tasks run, of a pool that fails in phase %d", (failing) => {
    let phases = 0;
    const pooled = new WasmEngine({
      relaxed: false,
      pool: () => ({
        threads: 2,
        limitation: undefined,
        lacks: () => false,
        run({ kernel, records, count, scratch }) {
          if (phases++ === failing) throw new Error("a thread's own failure");
          for (let task = 0; task < count; task++) kernel.run(records + task * recordBytes, scratch);
        },
        close: () => undefined,
      }),
    });
    const { mark } = pooled.arena;
    expect(() => {
      const { state } = fusedForward(pooled, composition, inputs, ["lse", "scores"]);
      fusedBackward(pooled, composition, inputs, dOut, { state });
    }).toThrow(/own failure/);
    expect(pooled.arena.mark).toBe(mark);
    const again = fusedForward(pooled, composition, inputs);
    expect(again.out.data).toEqual(
      fusedForward(new WasmEngine({ relaxed: false }), composition, inputs).out.data,
    );
  });
});
