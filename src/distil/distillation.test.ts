/** @file Distillation on stories260K: what a teacher teaches itself, what is learned, resuming, and the adapter that comes of it. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWithSharedData } from "../../test/shared-data.ts";
import { startJax } from "../kernels/jax/start.ts";
import { WasmEngine } from "../kernels/wasm/index.ts";
import { loadAdapted, readAdapter, writeAdapter } from "../language/adapter.node.ts";
import { openLanguageModel, type LanguageModel } from "../language/open-model.node.ts";
import { tokenWindows, windowNats } from "../language/evaluate-text.ts";
import { swapAttention } from "../language/index.ts";
import { decoder } from "../models/index.ts";
import { withArrays } from "../models/decoder-fixtures.ts";
import { type Distillation, distillation, type DistillationOptions } from "./index.ts";

/** Merging W + α/r·B·A in f64 and rounding once leaves what evaluation and the loaded adapter share; sums of f32 differ by their order. */
const lossTolerance = 1e-6;

const engine = new WasmEngine();
const folder = mkdtempSync(join(tmpdir(), "qklab-distil-"));

beforeAll(() => startJax());
afterAll(() => rmSync(folder, { recursive: true }));

describeWithSharedData("distilling stories260K", "stories260K/stories260K.bin", (place) => {
  let model: LanguageModel;
  let options: (selector: string, more?: Partial<DistillationOptions>) => DistillationOptions;
  beforeAll(async () => {
    model = await openLanguageModel(place);
    const published = JSON.parse(readFileSync(new URL("../published.json", `file://${place}`), "utf8")) as {
      stories260K: { ids: number[] };
    };
    const tokens = Int32Array.from([1, ...published.stories260K.ids]);
    const { groups } = decoder(model.layout.config).config;
    options = (selector, more = {}) => ({
      source: model.source,
      layout: model.layout,
      attention: swapAttention(groups, { selector, layers: [3, 4] }),
      layers: [3, 4],
      loss: "outputs",
      lowRank: { rank: 2, alpha: 4 },
      tokens,
      begin: model.tokenizer.specialTokens.begin,
      batch: 2,
      length: 32,
      steps: 6,
      tuneSteps: 3,
      learningRate: 1e-2,
      tuneRate: 1e-3,
      seed: 1,
      engine,
      ...more,
    });
  });
  afterAll(() => model.close());

  const run = async (one: Distillation, from: number, to: number): Promise<number[]> => {
    const losses: number[] = [];
    for (let step = from; step < to; step++) losses.push((await one.step(step)).loss!);
    return losses;
  };

  test.each(["outputs", "weights"] as const)("a teacher teaches itself nothing, by its %s", async (loss) => {
    const one = await distillation(options("dot", { loss }));
    expect((await one.step(0)).loss).toBe(0);
    one.dispose();
  });

  test.each([
    { selector: "linear:map=hedgehog", loss: "outputs" as const },
    { selector: "linear:map=hedgehog", loss: "weights" as const },
    { selector: "l2", loss: "outputs" as const },
    { selector: "deltanet", loss: "outputs" as const },
  ])(
    "$selector learns from $loss",
    async ({ selector, loss }: { selector: string; loss: "outputs" | "weights" }) => {
      const same = { batch: 1, length: 90, steps: 12, tuneSteps: 0 };
      const one = await distillation(options(selector, { loss, ...same }));
      const losses = await run(one, 0, 12);
      expect(Math.max(...losses.slice(-3))).toBeLessThan(Math.min(...losses.slice(0, 2)));
      one.dispose();
    },
  );

  test("temperatures that are auto begin turned, head by head, and learn; heads that are not swapped keep their own", async () => {
    const { groups } = decoder(model.layout.config).config;
    const attention = swapAttention(groups, {
      selector: "cosine:beta=auto",
      layers: [4],
      heads: [2, 3, 4, 5],
    });
    const one = await distillation(
      options("dot", { attention, layers: [4], lowRank: { rank: 0, alpha: 0 } }),
    );
    const betas = async (): Promise<Float32Array> => {
      const { tensors } = await one.adapter({});
      expect(Object.keys(tensors)).toEqual(["model.layers.4.self_attn.groups.1.log_beta"]);
      return Object.values(tensors)[0].data;
    };
    const first = await betas();
    expect(new Set(first).size).toBe(4);
    const turned = await one.validate();
    await run(one, 0, 6);
    expect((await one.validate())["nats"]).toBeLessThan(turned["nats"]);
    const learned = await betas();
    expect(learned.every((beta, head) => beta !== first[head])).toBe(true);
    one.dispose();
    const fixed = {
      ...options("dot"),
      attention: swapAttention(groups, { selector: "cosine", layers: [4] }),
    };
    const plain = await distillation({ ...fixed, layers: [4], lowRank: { rank: 0, alpha: 0 } });
    expect((await plain.validate())["nats"]).toBeGreaterThan(turned["nats"]);
    plain.dispose();
  });

  test("a run that went on from a snapshot, in either phase, has the numbers of one that never stopped", async () => {
    const whole = await distillation(options("linear:map=hedgehog"));
    const losses = await run(whole, 0, 4);
    const early = await whole.snapshot();
    losses.push(...(await run(whole, 4, 7)));
    const late = await whole.snapshot();
    losses.push(...(await run(whole, 7, 9)));
    const { model: learned } = await whole.snapshot();
    for (const [snapshot, step] of [
      [early, 4],
      [late, 7],
    ] as const) {
      const other = await distillation(options("linear:map=hedgehog"));
      await other.restore(snapshot);
      expect(await run(other, step, 9)).toEqual(losses.slice(step));
      expect((await other.snapshot()).model).toEqual(learned);
      other.dispose();
    }
    whole.dispose();
  });

  test("its adapter makes the distilled model, of this base alone, and changes no file of it", async () => {
    const before = readFileSync(place);
    const one = await distillation(options("linear:map=hedgehog"));
    await run(one, 0, 9);
    const { distilledNats, imitatedNats, baseNats, swappedNats, recovered } = await one.test();
    const early = await distillation(options("linear:map=hedgehog"));
    await run(early, 0, 6);
    expect([imitatedNats, imitatedNats === distilledNats]).toEqual([(await early.validate())["nats"], false]);
    early.dispose();
    expect(recovered).toBeCloseTo((swappedNats - distilledNats) / (swappedNats - baseNats), 12);
    await writeAdapter(folder, model, await one.adapter({ steps: 9 }));
    one.dispose();
    const { model: adapted, tensors } = await loadAdapted(folder, model, { engine });
    const { tokens } = options("dot");
    const held = tokenWindows(tokens.subarray(-33), 32, model.tokenizer.specialTokens.begin);
    const sums = await withArrays(tensors, (arrays) => windowNats({ model: adapted, arrays }, held));
    const nats = sums.reduce((sum, own) => sum + own, 0) / 33;
    expect(Math.abs(nats - distilledNats)).toBeLessThan(lossTolerance);
    adapted.dispose();
    expect(readFileSync(place).equals(before)).toBe(true);
    expect((await readAdapter(folder, model)).training).toEqual({ steps: 9 });

    const other = {
      ...model,
      source: {
        ...model.source,
        read: async (name: string) => {
          const { data, shape } = await model.source.read(name);
          return { data: data.map((value) => value * 1.0001), shape };
        },
      },
    };
    await expect(readAdapter(folder, other)).rejects.toMatchObject({ code: "adapter-base" });
    await expect(readAdapter(join(folder, "none"), model)).rejects.toMatchObject({ code: "adapter-missing" });
    const config = join(folder, "adapter_config.json");
    const written = JSON.parse(readFileSync(config, "utf8")) as Record<string, unknown>;
    const cases = [
      [{ ...written, r: 3 }, "adapter-shape"],
      [
        { ...written, qklab: { ...(written["qklab"] as object), attention: ["a", "b", "c", "d", "e"] } },
        "unknown-part",
      ],
      [{ ...written, qklab: { ...(written["qklab"] as object), format_version: 2 } }, "adapter-invalid"],
      [
        { ...written, qklab: { ...(written["qklab"] as object), attention: model.layout.config.attention } },
        "adapter-invalid",
      ],
    ] as const;
    for (const [changed, code] of cases) {
      await writeFile(config, JSON.stringify(changed));
      await expect(readAdapter(folder, model)).rejects.toMatchObject({ code });
    }
  });
});
