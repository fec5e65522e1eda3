/** @file Swaps of a real trained model: those that change nothing, those that change something, and what is told of both. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeWithSharedData } from "../../test/shared-data.ts";
import { positive } from "../base/parameter.ts";
import { random } from "../base/random.ts";
import { sizeOf, type Tensor } from "../base/tensor.ts";
import { startJax } from "../kernels/jax/start.ts";
import { WasmEngine } from "../kernels/wasm/index.ts";
import { factorNames, isAdaptable } from "../language/adapter-format.ts";
import { loadAdapted, readAdapter, writeAdapter } from "../language/adapter.node.ts";
import { swapAttention } from "../language/index.ts";
import { type LanguageModel, openLanguageModel } from "../language/open-model.node.ts";
import { decoder, type LayerAttentions } from "../models/index.ts";
import { toArrays } from "../models/model-fixtures.ts";
import { similarity } from "../similarities/index.ts";
import { rowSpread } from "../attention/index.ts";
import { type Tokenizer } from "../text/index.ts";
import { evaluateText } from "../language/evaluate-text.ts";
import {
  type AdapterParts,
  changedLayers,
  type MeasuredBase,
  measureBase,
  measureSwap,
  needleTest,
  type SwapMeasurement,
  type SwapQuestions,
  textWindows,
  type TrainedModel,
} from "./index.ts";
import { headsOf, scoresAlone } from "./layer-heads.ts";
import { cutHeads, recoveries } from "./plan.ts";

/** Scores of size 10 that have gained and lost a bias of size 20 are off by 20·2⁻²⁴ each: weights by some 1e-6, sums of rows by 1e-5. */
const biasTolerance = 1e-4;
/** A choice of all keys is another kernel: the same sums in another order, some roundings of 2⁻²⁴ through five layers. */
const orderTolerance = 1e-5;

const unbiased = similarity("l2-without-its-key-bias", {
  inner: "dot",
  params: { beta: positive((width) => 1 / (2 * Math.sqrt(width))) },
  score: ({ s, q2, k2, beta }) => beta.mul(s.mul(2).sub(k2)).sub(beta.mul(q2)).add(beta.mul(k2)),
});

beforeAll(() => startJax());

test("windows of a tokenizer without a beginning mark begin with the token before", () => {
  const letters = {
    specialTokens: { all: new Set<number>() },
    encode: (text: string) => Array.from(text, (letter) => letter.codePointAt(0)!),
    decode: (tokens: readonly number[]) => String.fromCodePoint(...tokens),
  } as unknown as Tokenizer;
  const { tokens, targets, counts, characters } = textWindows(letters, "abcdefgh", 3);
  const spelled = (windows: readonly Int32Array[]): string[] =>
    windows.map((window) => letters.decode([...window]));
  expect(spelled(tokens)).toEqual(["abc", "def", "g\0\0"]);
  expect(spelled(targets)).toEqual(["bcd", "efg", "h"]);
  expect([counts, characters]).toEqual([[3, 3, 1], 7]);
});

describeWithSharedData("swaps of stories260K", "stories260K/stories260K.bin", (place) => {
  let opened: LanguageModel;
  let base: TrainedModel;
  let questions: SwapQuestions;
  let measured: MeasuredBase;

  beforeAll(async () => {
    opened = await openLanguageModel(place);
    const engine = new WasmEngine();
    const { model, tensors } = await opened.load({ engine });
    base = {
      model,
      arrays: toArrays(tensors),
      config: opened.layout.config,
      engine,
      similarities: [unbiased],
    };
    const story = (
      JSON.parse(readFileSync(new URL("../published.json", `file://${place}`), "utf8")) as {
        readonly stories260K: { readonly ids: readonly number[] };
      }
    ).stories260K.ids;
    const { tokenizer } = opened;
    const text = tokenizer.decode(story.slice(0, 90));
    questions = {
      windows: textWindows(tokenizer, text, 40),
      tokenizer,
      calibration: "spread",
      seed: 0,
      needles: needleTest(tokenizer, text, { length: 72, language: "en", depths: [0, 1], trials: 2 }),
      prompt: { tokens: [1], newTokens: 12, endTokens: opened.endTokens },
    };
    measured = await measureBase(base, questions);
  });

  afterAll(async () => {
    for (const array of Object.values(base.arrays)) array.dispose();
    base.model.dispose();
    await opened.close();
  });

  const swap = (
    selector: string,
    layers: readonly number[] = [0, 1, 2, 3, 4],
    heads?: readonly number[],
    calibration: SwapQuestions["calibration"] = "spread",
  ): Promise<SwapMeasurement> =>
    measureSwap(
      base,
      measured,
      { selector, layers, ...(heads === undefined ? {} : { heads }) },
      { ...questions, calibration },
    );

  const worst = ({ layers, streams, difference }: SwapMeasurement): number =>
    Math.max(
      ...streams,
      Math.abs(difference.bitsPerCharacter),
      ...layers.flatMap(({ heads }) =>
        heads.flatMap((head) => [
          head.divergence ?? Infinity,
          head.totalVariation ?? Infinity,
          head.outputError ?? Infinity,
          Math.abs(head.before!.entropy - head.after!.entropy),
          Math.abs(head.before!.sink - head.after!.sink),
        ]),
      ),
    );

  test("a story that the model wrote costs it little, and its parts add up", async () => {
    const { score, continuation, needles } = measured.measurement;
    expect(questions.windows.counts.slice(0, -1)).toEqual(
      questions.windows.counts.slice(0, -1).map(() => 40),
    );
    // Each begins with the mark that begins texts, and all of them together say the text.
    const { tokenizer, windows } = questions;
    expect(windows.tokens.map(([first]) => first)).toEqual(windows.tokens.map(() => 1));
    expect(windows.tokens[0].slice(1)).toEqual(windows.targets[0].slice(0, -1));
    const spelled = windows.targets.flatMap((ofWindow) => [...ofWindow]);
    expect(spelled).toEqual(tokenizer.encode(tokenizer.decode(spelled), { addSpecial: false }));
    expect(score.tokens).toBe(questions.windows.targets.reduce((sum, { length }) => sum + length, 0));
    // It wrote the first window from that mark; the others it must take up in the middle.
    expect(Math.exp(score.windows[0] / 40)).toBeLessThan(3);
    const nats = score.windows.reduce((sum, value) => sum + value, 0);
    expect(score.bitsPerCharacter).toBeCloseTo(nats / Math.LN2 / score.characters, 12);
    // One window, by the logits of the whole pass.
    const { data } = await base.model.logits(base.arrays, questions.windows.tokens[0], 1);
    const expected = [...questions.windows.targets[0]].reduce((sum, target, at) => {
      const row = data.subarray(at * 512, (at + 1) * 512);
      return sum + Math.log(row.reduce((mass, logit) => mass + Math.exp(logit), 0)) - row[target];
    }, 0);
    expect(score.windows[0]).toBeCloseTo(expected, 3);
    expect(continuation).toEqual({ text: expect.stringMatching(/^ ?Once upon a time/) as string });
    expect(needles?.map(({ depth, trials }) => [depth, trials])).toEqual([
      [0, 2],
      [1, 2],
    ]);
  });

  test("to dot changes no bit, by layers or heads", async () => {
    for (const [layers, heads] of [
      [[0, 1, 2, 3, 4], undefined],
      [
        [1, 3],
        [2, 3, 6, 7],
      ],
    ] as const) {
      const same = await swap("dot", layers, heads);
      expect(worst(same)).toBe(0);
      expect(same.score).toEqual(measured.measurement.score);
      expect(same.continuation).toEqual(measured.measurement.continuation);
      expect(same.needles).toEqual(measured.measurement.needles);
    }
  });

  test("to l2 without its key bias, and to a choice of all keys, changes roundings", async () => {
    const l2 = await swap("l2-without-its-key-bias", [1, 3], undefined, "none");
    expect(worst(l2)).toBeLessThan(biasTolerance);
    const chosen = await swap("dot+topk:k=72", [0, 4]);
    expect(worst(chosen)).toBeLessThan(orderTolerance);
  });

  test("of all heads at once turns the temperature of every layer", async () => {
    const l2 = await swap("l2", [2, 4]);
    expect(l2.attention).toMatch(/^l2:beta=auto/);
    const { temperatures } = l2;
    expect(temperatures.map(({ layer, values }) => [layer, values.length])).toEqual([
      [2, 8],
      [4, 8],
    ]);
    // In a group of their own the same heads have the same temperatures.
    const alone = await swap("l2", [2], [0, 1]);
    alone.temperatures[0].values.forEach((value, head) =>
      expect(value).toBeCloseTo(temperatures[0].values[head], 5),
    );
  });

  test("to another similarity changes what it should, with the spread of the old scores", async () => {
    const cosine = await swap("cosine", [2], [0, 1]);
    expect(cosine.attention).toMatch(/^cosine:beta=auto\+rope/);
    expect(cosine.difference.bitsPerCharacter).not.toBe(0);
    const [{ heads }] = cosine.layers;
    expect(heads.map(({ totalVariation }) => totalVariation! > 0)).toEqual(
      [0, 1, 2, 3, 4, 5, 6, 7].map((head) => head < 2),
    );
    expect(cosine.streams.map((error) => error > 0)).toEqual([false, false, true, true, true]);
    const activations = measured.activations;
    const { q, k, v } = headsOf(activations.layers[2]);
    const spreadOf = async (selector: string, beta?: readonly number[]): Promise<number[]> => {
      const { model } = base;
      const [group] = model.config.groups[2];
      const { parseSelector, completeSelector, compose } = await import("../attention/index.ts");
      const composition = compose(completeSelector(parseSelector(selector), {}));
      const held: Record<string, { data: Float32Array; shape: number[] }> =
        beta === undefined
          ? {}
          : {
              "p.log_beta": {
                data: Float32Array.from({ length: 8 }, (_, head) => Math.log(beta[head] ?? 1)),
                shape: [8],
              },
            };
      const scores = await scoresAlone({ q, k, v }, { group: { ...group, composition }, prefix: "p", held });
      return [...rowSpread(scores!)].slice(0, 2);
    };
    const rope = "rope:theta=10000,layout=interleaved+causal";
    const [wanted, found] = [
      await spreadOf(`dot+${rope}`),
      await spreadOf(`cosine:beta=learned+${rope}`, cosine.temperatures[0].values),
    ];
    // A cosine's β is at most 100, which cuts the spread of a head that needs more.
    const [{ values, cut }] = cosine.temperatures;
    expect(values.map((beta) => beta > 99.9)).toEqual([true, false]);
    expect(cut).toEqual([{ head: 0, needed: expect.closeTo((100 * wanted[0]) / found[0], 1) as number }]);
    expect(cutHeads(cosine)).toEqual(["2.0"]);
    expect(found[0] / wanted[0]).toBeLessThan(1);
    expect(found[1] / wanted[1]).toBeCloseTo(1, 4);
  });

  test("to a recurrence has outputs that are those of its layer, and weights where it has some", async () => {
    const linear = await swap("linear:map=elu1", [1, 2]);
    for (const { heads } of linear.layers) {
      for (const head of heads) {
        expect(head.after!.entropy).toBeGreaterThan(head.before!.entropy);
        expect(head.totalVariation).toBeGreaterThan(0);
        expect(head.outputError).toBeGreaterThan(0);
      }
    }
    const gated = await swap("gla", [1, 2]);
    expect(gated.layers.map(({ heads }) => heads.every(({ after }) => after === undefined))).toEqual([
      true,
      true,
    ]);
    expect(
      gated.layers.map(({ heads }) => heads.every(({ outputError }) => outputError === undefined)),
    ).toEqual([false, true]);
  });

  describe("an adapter", () => {
    const folder = mkdtempSync(join(tmpdir(), "qklab-swap-"));
    afterAll(() => rmSync(folder, { recursive: true, force: true }));
    const attention = (layers: readonly number[], selector: string): LayerAttentions =>
      swapAttention(base.model.config.groups, { selector, layers });

    /** Writes one with drawn numbers, and reads it as commands do. */
    async function adapterOf(
      name: string,
      layers: readonly number[],
      selector: string,
      factor: number,
    ): Promise<AdapterParts> {
      const own = attention(layers, selector);
      const model = decoder({ ...base.config, attention: own });
      model.dispose();
      const ofLayers = model.parameters.filter((parameter) =>
        layers.some((layer) => parameter.name.startsWith(`model.layers.${layer}.`)),
      );
      const draw = (what: string, shape: readonly number[], size: number): [string, Tensor] => {
        const data = random(5, what).normals(sizeOf(shape));
        return [what, { data: data.map((value) => size * value), shape }];
      };
      const tensors = ofLayers.flatMap((parameter) => {
        const { name: of, shape } = parameter;
        if (!(of in base.arrays)) return [draw(of, shape, 0.3)];
        if (!isAdaptable(parameter)) return [];
        const { a, b } = factorNames(of);
        return [draw(a, [2, shape[1]], 0.1), draw(b, [shape[0], 2], factor)];
      });
      const adapter = {
        attention: own,
        rank: 2,
        alpha: 2,
        tensors: Object.fromEntries(tensors),
        training: {},
      };
      await writeAdapter(join(folder, name), opened, adapter);
      return readAdapter(join(folder, name), opened);
    }

    const measure = (
      adapter: AdapterParts,
      layers: readonly number[],
      isLearned = true,
    ): Promise<SwapMeasurement> =>
      measureSwap(
        base,
        measured,
        { adapter: "a", hash: "h", isLearned, layers },
        questions,
        undefined,
        adapter,
      );

    test("that changes nothing is a swap that changes no bit, in the layers that it names", async () => {
      const still = await adapterOf("still", [1, 3], "dot", 0);
      expect(changedLayers(base, still)).toEqual([1, 3]);
      const same = await measure(still, [1, 3]);
      expect(worst(same)).toBe(0);
      expect(same.continuation).toEqual(measured.measurement.continuation);
    });

    test("is the model that generates with it, and before it learned the swap to its attention", async () => {
      const adapter = await adapterOf("hedgehog", [1, 3], "linear:map=hedgehog", 0.1);
      expect(changedLayers(base, adapter)).toEqual([1, 3]);
      const learned = await measure(adapter, [1, 3]);
      const { model, tensors } = await loadAdapted(join(folder, "hedgehog"), opened, { engine: base.engine });
      const arrays = toArrays(tensors);
      expect((await evaluateText({ model, arrays }, questions.windows)).windows).toEqual(
        learned.score.windows,
      );
      for (const array of Object.values(arrays)) array.dispose();
      model.dispose();

      const before = await measure(adapter, [1, 3], false);
      const swapped = await swap("linear:map=hedgehog", [1, 3], undefined, "none");
      expect(before.score).toEqual(swapped.score);
      expect(before.layers).toEqual(swapped.layers);
      expect(recoveries([before, learned])).toEqual([
        { adapter: "a", share: 1 - learned.difference.bitsPerCharacter / before.difference.bitsPerCharacter },
      ]);
      expect(recoveries([learned])).toEqual([]);
    });

    test("is compared layer by layer on what the unchanged model makes before each", async () => {
      const both = await measure(await adapterOf("both", [1, 3], "cosine:beta=learned", 0.1), [1, 3]);
      const alone = await measure(await adapterOf("alone", [3], "cosine:beta=learned", 0.1), [3]);
      expect(both.layers[1]).toEqual(alone.layers[0]);
      expect(both.streams[3]).not.toBe(alone.streams[3]);
      expect(both.temperatures.map(({ layer, head, values }) => [layer, head, values.length])).toEqual([
        [1, 0, 8],
        [3, 0, 8],
      ]);
    });
  });

  test.each([
    ["a text of nothing", () => textWindows(opened.tokenizer, "", 8), "evaluation-text"],
    [
      "a text too short for a fact",
      () => needleTest(opened.tokenizer, "A cat.", { length: 12, language: "en" }),
      "swap-needle",
    ],
  ])("%s is refused", (_, act, code) => {
    expect(act).toThrow(expect.objectContaining({ code }));
  });
});
