/** @file Decoding token by token: the logits of the parallel form, the bytes that are kept, and what is refused. */
import { beforeAll, describe, expect, test } from "vitest";
import { startJax } from "../kernels/jax/start.ts";
import { WasmEngine } from "../kernels/wasm/index.ts";
import { type DecoderConfig } from "./decoder-config.ts";
import { withArrays } from "./decoder-fixtures.ts";
import { decoder } from "./decoder.ts";
import { type Decoding } from "./decoding-session.ts";
import { livelyTensors, randomBatch } from "./model-fixtures.ts";

/** Logits of size 10 whose sums are of another order, in f32, after two layers: some 100 roundings of 2⁻²⁴ of 10. */
const tolerance = 1e-4;

const base: DecoderConfig = {
  vocabulary: 11,
  width: 12,
  layers: 2,
  heads: 2,
  headWidth: 4,
  attention: "dot+causal",
  maximumLength: 9,
};

beforeAll(() => startJax());

const engines = { "without an engine": undefined, "on an engine": new WasmEngine() };

describe.each(Object.entries(engines))("%s", (_name, engine) => {
  test.each<[string, Partial<DecoderConfig>]>([
    [
      "keys that queries share, turned by rope",
      { keyValueHeads: 1, attention: "dot:scale=learned+rope+causal" },
    ],
    ["a trained bias of positions", { attention: "l2:beta=learned+log-cpb:hidden=4+causal" }],
    [
      "learned positions and a window",
      { attention: "lorentz:beta=learned,c=learned+learned+causal+window:w=3" },
    ],
    [
      "sines and cosines",
      { norm: "layer", feedForward: "gelu", attention: "linear:map=hedgehog+sinusoidal" },
    ],
    ["logarithms of features", { attention: ["performer:features=5", "linear:map=exp"] }],
    ["decays of heads and channels", { keyValueHeads: 1, attention: ["retnet+rope:theta=9", "gla"] }],
    ["delta rules", { attention: ["gated-deltanet", "rwkv7"], tiedHead: false }],
    [
      "experts",
      { attention: ["dot+causal", "gla"], experts: { count: 4, routing: "mixtral", router: "l2" } },
    ],
    [
      "tokens before that a convolution reaches",
      { convolution: 3, attention: ["deltanet", "dot+rope+causal"] },
    ],
    [
      "biases, norms of heads and scaled embeddings",
      {
        headNorm: "rms",
        projectionBias: true,
        outputBias: true,
        feedForwardBias: true,
        embeddingScale: 2,
        normEpsilon: 0.125,
        attention: "dot+rope+causal",
      },
    ],
    ["bonuses", { attention: ["rwkv4", "rwkv6"], feedForward: "none" }],
    [
      "shared queries and keys in buckets, over two streams",
      {
        residual: "reversible",
        sharedQueryKey: true,
        convolution: 2,
        attention: ["dot:scale=learned+learned+causal+lsh:buckets=4,rounds=2,chunk=2", "gla"],
      },
    ],
    [
      "keys that are chosen, with what turns or biases them",
      {
        keyValueHeads: 1,
        attention: [
          "l2:beta=learned+rope+causal+lsh:buckets=2,rounds=2,chunk=1",
          [{ selector: "dot+alibi+causal+window:w=5+moba:block=2,k=1", heads: 2 }],
        ],
      },
    ],
    [
      "sums in place of keys",
      {
        keyValueHeads: 1,
        attention: [
          "dot:scale=learned+rope+causal+none",
          "complex:part=im+rope:layout=interleaved,scaling=xpos+causal+none",
        ],
      },
    ],
    [
      "patterns of the Sparse Transformer",
      { attention: ["dot+strided:stride=3,local=2", "dot+learned+fixed:block=3,columns=1"] },
    ],
    [
      "heads of both classes",
      {
        attention: [
          [
            { selector: "deltanet", heads: 1 },
            { selector: "cosine:beta=learned+alibi+causal+topk:k=3", heads: 1 },
          ],
          "rwkv5",
        ],
      },
    ],
  ])("has the logits of the parallel form: %s", async (_what, variant) => {
    const model = decoder({ ...base, ...variant }, { engine });
    const { tokens } = randomBatch(11, 2, 7);
    await withArrays(livelyTensors(model, 3), async (arrays) => {
      const { data } = await model.logits(arrays, tokens, 2);
      const apart: number[] = [];
      const take = async (decoding: Decoding, count: number): Promise<void> => {
        const first = decoding.length;
        const next = [first, 7 + first].flatMap((from) => [...tokens.subarray(from, from + count)]);
        const given = Int32Array.from(next);
        const logits = await (count === 1 ? decoding.step(given) : decoding.take(given));
        expect(logits.shape).toEqual([2, 11]);
        logits.data.forEach((value, at) => {
          const [sequence, token] = [Math.floor(at / 11), at % 11];
          apart.push(Math.abs(value - data[(sequence * 7 + decoding.length - 1) * 11 + token]));
        });
      };
      const kept: number[] = [];
      for (const counts of [
        [1, 1, 1, 1, 1, 1, 1],
        [3, 1, 3],
      ]) {
        const decoding = model.decode(arrays, { batch: 2 });
        for (const count of counts) await take(decoding, count);
        expect(decoding.length).toBe(7);
        kept.push(decoding.stateBytes);
        decoding.dispose();
      }
      expect(kept).toEqual([2, 2].map((batch) => batch * model.stateBytes(7)));
      expect(Math.max(...apart)).toBeLessThan(tolerance * Math.max(1, ...data.map(Math.abs)));
    });
    model.dispose();
  });
});

describe("a decoding", () => {
  test("keeps what the model says that it keeps, and a recurrence no more at later tokens", async () => {
    const model = decoder({ ...base, attention: ["rwkv7", "dot+causal"] });
    const recurrent = decoder({ ...base, attention: "linear", convolution: 4 });
    await withArrays(livelyTensors(model, 1), async (arrays) => {
      const decoding = model.decode(arrays);
      for (let place = 1; place <= 4; place++) {
        await decoding.step(Int32Array.of(place));
        expect(decoding.stateBytes).toBe(model.stateBytes(place));
      }
      decoding.dispose();
    });
    await withArrays(livelyTensors(recurrent, 1), async (arrays) => {
      const decoding = recurrent.decode(arrays);
      await decoding.step(Int32Array.of(1));
      expect(decoding.stateBytes).toBe(recurrent.stateBytes(1));
      await decoding.step(Int32Array.of(1));
      expect(decoding.stateBytes).toBe(recurrent.stateBytes(1));
      decoding.dispose();
    });
    model.dispose();
    recurrent.dispose();
  });

  test("is one of several, whose steps do not mix", async () => {
    const model = decoder({ ...base, attention: "deltanet+learned" });
    await withArrays(livelyTensors(model, 1), async (arrays) => {
      const { data } = await model.logits(arrays, Int32Array.of(3, 5, 7, 2), 2);
      const [one, other] = [model.decode(arrays), model.decode(arrays)];
      const steps = [3, 5].flatMap((token, at) => [
        one.step(Int32Array.of(token)),
        other.step(Int32Array.of([7, 2][at])),
      ]);
      const [, , ofOne, ofOther] = await Promise.all(steps);
      ofOne.data.forEach((value, at) => expect(value).toBeCloseTo(data[11 + at], 3));
      ofOther.data.forEach((value, at) => expect(value).toBeCloseTo(data[33 + at], 3));
      for (const decoding of [one, other]) decoding.dispose();
    });
    model.dispose();
  });

  test("is not made where weights depend on how many tokens come later", async () => {
    const model = decoder({ ...base, attention: "dot+causal+sigmoid" });
    await withArrays(livelyTensors(model, 1), (arrays) => {
      expect(() => model.decode(arrays)).toThrow(expect.objectContaining({ code: "decoding-normaliser" }));
      return Promise.resolve();
    });
    model.dispose();
  });

  test("refuses other numbers of tokens, foreign ones, too many, and to go on without its state", async () => {
    const model = decoder({ ...base, attention: "linear", maximumLength: 1 });
    await withArrays(livelyTensors(model, 1), async (arrays) => {
      const decoding = model.decode(arrays);
      await expect(decoding.step(Int32Array.of(1, 2))).rejects.toThrow(
        "one token of every sequence: 2 tokens",
      );
      for (const tokens of [[], [1, 2]]) {
        await expect(model.decode(arrays, { batch: 3 }).take(Int32Array.from(tokens))).rejects.toThrow(
          `one at least: ${tokens.length} tokens, batch 3`,
        );
      }
      await expect(decoding.step(Int32Array.of(11))).rejects.toThrow("from 0 to 10: 11");
      await decoding.step(Int32Array.of(1));
      await expect(decoding.step(Int32Array.of(1))).rejects.toThrow("1 were taken, and 1 are allowed");
      decoding.dispose();
      await expect(decoding.step(Int32Array.of(1))).rejects.toThrow("it was disposed");
    });
    model.dispose();
  });
});
