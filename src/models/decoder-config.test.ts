import { describe, expect, test } from "vitest";
import { similarity } from "../similarities/index.ts";
import { log1p } from "../score/index.ts";
import { type DecoderConfig, resolveDecoderConfig } from "./decoder-config.ts";
import { decoder } from "./decoder.ts";

const base: DecoderConfig = {
  vocabulary: 11,
  width: 64,
  layers: 2,
  heads: 4,
  attention: "dot+causal",
  maximumLength: 8,
};

describe("the configuration of a decoder", () => {
  test("has defaults: Llama's blocks, as many key/value heads as heads, SwiGLU of 8/3 the width", () => {
    expect(resolveDecoderConfig(base)).toMatchObject({
      keyValueHeads: 4,
      headWidth: 16,
      norm: "rms",
      feedForward: "swiglu",
      hidden: 176,
      tiedHead: true,
    });
    expect(resolveDecoderConfig({ ...base, feedForward: "gelu" }).hidden).toBe(256);
    expect(resolveDecoderConfig({ ...base, feedForward: "none" }).hidden).toBe(0);
  });

  test("is JSON: what was written comes back", () => {
    const { groups: _, ...resolved } = resolveDecoderConfig(base);
    expect(resolveDecoderConfig(JSON.parse(JSON.stringify(resolved)) as DecoderConfig)).toMatchObject(
      resolved,
    );
  });

  test("may name the caller's own similarities", () => {
    const softened = similarity("softened", { inner: "dot", score: ({ s }) => log1p(s.mul(s)) });
    const { groups } = resolveDecoderConfig({ ...base, attention: "softened+causal" }, [softened]);
    expect(groups[1][0]).toMatchObject({ composition: { similarity: { name: "softened" } } });
  });

  test.each<[string, Record<string, unknown>, string]>([
    ["an unknown setting", { widht: 3 }, "Did you mean 'width'"],
    ["a width that heads do not divide", { width: 62 }, "the heads must divide the width: 4 and 62"],
    ["key/value heads that do not divide heads", { keyValueHeads: 3 }, "must divide query heads: 3 and 4"],
    [
      "half a layer",
      { layers: 1.5 },
      "'layers' does not fit: 1.5. Pass another, as a whole number is needed",
    ],
    ["no layer", { layers: 0 }, "a number ≥ 1 is needed"],
    ["a norm that is none", { norm: "batch" }, "rms or layer is needed"],
    ["a hidden width without a feed-forward", { feedForward: "none", hidden: 8 }, "no width inside it: 8"],
    ["residuals of no kind", { residual: "none" }, "plain or reversible is needed"],
    [
      "two streams without feed-forwards",
      { residual: "reversible", feedForward: "none" },
      "Use swiglu or gelu",
    ],
    [
      "two streams with experts",
      { residual: "reversible", experts: { count: 4 } },
      "4 experts give what balances",
    ],
    [
      "shared queries and keys with fewer key heads",
      { sharedQueryKey: true, keyValueHeads: 2 },
      "2 key/value heads, 4 heads. Leave keyValueHeads out",
    ],
    [
      "norms of heads whose keys have unit length",
      { sharedQueryKey: true, headNorm: "rms" },
      "headNorm is rms",
    ],
    ["an ε that divides by zero", { normEpsilon: 0 }, "a number > 0 is needed"],
    ["biases of nothing", { feedForward: "none", feedForwardBias: true }, "there is none"],
    ["biases of experts", { feedForwardBias: true, experts: { count: 4 } }, "there are 4 experts"],
    ["experts of another kind", { feedForward: "relu", experts: { count: 4 } }, "feedForward is relu"],
    ["too few attentions", { attention: ["dot+causal"] }, "1 entries, 2 layers"],
    [
      "groups without all heads",
      { attention: [[{ selector: "dot+causal", heads: 3 }], "dot+causal"] },
      "must have all 4 heads: they have 3",
    ],
    [
      "groups that split a key/value head",
      {
        keyValueHeads: 2,
        attention: [
          [
            { selector: "dot+causal", heads: 1 },
            { selector: "l2+causal", heads: 3 },
          ],
          "dot+causal",
        ],
      },
      "2 and 1",
    ],
    ["no pattern", { attention: "dot" }, "Add full() or causal()"],
    ["sight of later tokens", { attention: "dot+full" }, "the pattern is full. Add +causal"],
    ["an unknown similarity", { attention: "dto+causal" }, "Did you mean 'dot'"],
    ["pairs of an odd head", { headWidth: 5, attention: "complex+causal" }, "width 5 is odd"],
    ["rope on an odd head", { headWidth: 5, attention: "dot+rope+causal" }, "even"],
  ])("refuses %s", (_, change, message) => {
    expect(() => resolveDecoderConfig({ ...base, ...change })).toThrow(message);
  });

  test("refuses two kinds of positions in one sum", () => {
    expect(() => decoder({ ...base, attention: ["dot+learned+causal", "dot+sinusoidal+causal"] })).toThrow(
      "learned and sinusoidal",
    );
  });
});
