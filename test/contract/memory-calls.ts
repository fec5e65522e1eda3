/** @file Calls that a long life of an engine is made of: every pair of parts, lengths that change from call to call. */
import { type AttentionSizes, random } from "../../src/index.ts";
import { fusedBackward, fusedForward, type WasmEngine } from "../../src/kernels/wasm/index.ts";
import { neededExtras } from "./law.ts";
import { read } from "./legal-selectors.ts";
import { drawProblem } from "./problem.ts";

/** Widths of queries and keys, each with one of values; kernels differ by them. */
export const widths: readonly Pick<AttentionSizes, "width" | "valueWidth">[] = [
  { width: 8, valueWidth: 8 },
  { width: 24, valueWidth: 5 },
];

/** The largest lengths and heads of a call. */
export const largest = { batch: 2, heads: 4, keyHeads: 2, queries: 70, keys: 131 } as const;

/** Forward and backward of a selector that is read anew, as from a caller who keeps nothing. */
export function call(engine: WasmEngine, selector: string, sizes: AttentionSizes): void {
  const composition = read(selector);
  const { inputs, dOut } = drawProblem(composition, sizes, random("memory", selector));
  const extras = ["scores", "weights", ...neededExtras(composition)] as const;
  const { state } = fusedForward(engine, composition, inputs, extras);
  fusedBackward(engine, composition, inputs, dOut, { state });
}

/** Every selector at all widths, at its largest lengths. */
export function callAll(
  engine: WasmEngine,
  selectors: readonly string[],
  after: () => void = () => {},
): void {
  for (const selector of selectors) {
    for (const width of widths) {
      call(engine, selector, { ...largest, ...width });
      after();
    }
  }
}
