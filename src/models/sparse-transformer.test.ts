/** @file The factors of strided and fixed patterns, how they are spread, and that they train. */
import { beforeAll, describe, expect, test } from "vitest";
import { parseSelector } from "../attention/index.ts";
import { startJax } from "../kernels/jax/start.ts";
import { WasmEngine } from "../kernels/wasm/index.ts";
import { resolveDecoderConfig } from "./decoder-config.ts";
import { livelyTensors, randomBatch, referenceLogits, toArrays } from "./model-fixtures.ts";
import { factorSelectors } from "./pattern-factors.ts";
import { sparseTransformer, type SparseTransformerConfig } from "./sparse-transformer.ts";

beforeAll(() => startJax());

/** Logits of size 10 after two layers of f32 sums of up to 16 terms: some 100 roundings of 2⁻²⁴ of 10. */
const LOGIT_TOLERANCE = 1e-4;

const base: SparseTransformerConfig = {
  vocabulary: 11,
  width: 16,
  layers: 2,
  heads: 4,
  pattern: "strided",
  maximumLength: 17,
};

/** Pairs that a selector allows among so many places. */
function pairsOf(selector: string, length: number): ReadonlySet<string> {
  const { patterns } = parseSelector(selector);
  const places = Array.from({ length }, (_, place) => place);
  return new Set(
    places.flatMap((i) =>
      places.filter((j) => patterns.every((pattern) => pattern.allows(i, j))).map((j) => `${i} ${j}`),
    ),
  );
}

test.each([
  ["strided:stride=4,local=4", 1],
  ["strided:stride=3,local=2", 7],
  ["strided:stride=5,local=2", 17],
  ["fixed:block=4,columns=1", 17],
  ["fixed:block=4,columns=2", 16],
  ["fixed:block=5,columns=5", 11],
  ["fixed:block=8,columns=2", 8],
  ["fixed:block=8,columns=2", 3],
])("%s of %i places is the union of its factors", (pattern, length) => {
  const [near, far] = factorSelectors(`l2:beta=2+rope+${pattern}`);
  const whole = [...pairsOf(`l2+${pattern}`, length)].toSorted();
  const apart = [pairsOf(near, length), pairsOf(far, length)];
  expect([...new Set(apart.flatMap((pairs) => [...pairs]))].toSorted()).toEqual(whole);
  for (const selector of [near, far]) expect(selector).toMatch(/^l2:beta=2\+rope\+/);
  // Blocks see themselves and earlier ones, so that no pair is in both; strides share the place itself, and more within a window.
  if (pattern.startsWith("fixed")) expect(apart[0].size + apart[1].size).toBe(whole.length);
});

test("factors take turns from layer to layer, have heads of their own, or are one", () => {
  const near = "dot:scale=auto+learned+causal+window:w=4";
  const far = "dot:scale=auto+learned+strided:stride=4,local=1";
  const selectorsOf = (changes: Partial<SparseTransformerConfig>): string[][] =>
    sparseTransformer({ ...base, ...changes }).config.groups.map((groups) =>
      groups.map(({ selector, heads }) => `${heads} ${selector}`),
    );
  expect(selectorsOf({ layers: 3 })).toEqual([[`4 ${near}`], [`4 ${far}`], [`4 ${near}`]]);
  expect(selectorsOf({ heads: 3, headWidth: 4, patternFactors: "split", layers: 1 })).toEqual([
    [`2 ${near}`, `1 ${far}`],
  ]);
  expect(selectorsOf({ patternFactors: "merged", layers: 1 })).toEqual([
    ["4 dot:scale=auto+learned+strided:stride=4,local=4"],
  ]);
  expect(selectorsOf({ pattern: "fixed", block: 16, patternFactors: "merged", layers: 1 })).toEqual([
    ["4 dot:scale=auto+learned+fixed:block=16,columns=2"],
  ]);
});

test("weights into the residual stream begin smaller by √(2·layers), and norms come first", () => {
  const model = sparseTransformer({ ...base, width: 64, layers: 8 });
  const deviationOf = (part: string): number => {
    const { data } = model.parameters
      .find(({ name }) => name === `model.layers.3.${part}.weight`)!
      .initial(1);
    return Math.hypot(...data) / Math.sqrt(data.length);
  };
  // 4,096 draws and more know their deviation to one part in 90; five times that.
  const ratio = deviationOf("self_attn.o_proj") / deviationOf("self_attn.q_proj");
  expect(Math.abs(ratio * 4 - 1)).toBeLessThan(5 / 60);
  const inner = deviationOf("mlp.down_proj") / deviationOf("mlp.up_proj");
  expect(Math.abs(inner * 4 - 1)).toBeLessThan(5 / 60);
  expect(model.config.norm).toBe("layer");
  model.dispose();
});

const engine = new WasmEngine();
describe.each([
  ["jax-js", undefined],
  ["fused kernels", engine],
] as const)("on %s", (_, computed) => {
  test.each<Partial<SparseTransformerConfig>>([
    { patternFactors: "split" },
    { pattern: "fixed", columns: 2 },
    { pattern: "fixed", patternFactors: "split", attention: "l2:beta=learned+rope" },
  ])("logits are those of the f64 form, and no later token changes a bit of them: %o", async (changes) => {
    const model = sparseTransformer({ ...base, ...changes }, { engine: computed });
    const tensors = livelyTensors(model, 3);
    const { tokens } = randomBatch(11, 1, 17);
    const arrays = toArrays(tensors);
    const { data } = await model.logits(arrays, tokens, 1);
    const expected = referenceLogits(model, tensors, tokens).flatMap((row) => [...row]);
    const worst = expected.reduce((most, value, at) => Math.max(most, Math.abs(value - data[at])), 0);
    expect(worst).toBeLessThan(LOGIT_TOLERANCE * Math.max(1, ...expected.map(Math.abs)));
    const changed = await model.logits(arrays, tokens.with(9, (tokens[9] + 1) % 11), 1);
    for (const array of Object.values(arrays)) array.dispose();
    model.dispose();
    expect(changed.data.slice(0, 9 * 11)).toEqual(data.slice(0, 9 * 11));
    expect(changed.data.slice(9 * 11)).not.toEqual(data.slice(9 * 11));
  });
});

test("what has no factors, or is spread already, is refused", () => {
  expect(() => factorSelectors("dot+causal")).toThrow("the pattern is causal. Add one of them");
  expect(() => factorSelectors("dot")).toThrow("the pattern is left out");
  expect(() => factorSelectors("dot+fixed:block=4,columns=1,part=columns")).toThrow("part=columns. Add one");
  expect(() => sparseTransformer({ ...base, heads: 1, patternFactors: "split" })).toThrow("1 head. Use two");
  const { pattern: _, ...sizes } = base;
  const attention = ["dot+strided:stride=2,local=2", "dot+causal"];
  expect(() => resolveDecoderConfig({ ...sizes, attention, patternFactors: "split" })).toThrow("a list of 2");
});
