/** @file `qklab generate`: what it says with real weights and with small ones laid by hand, and what it refuses. */
import { readFileSync } from "node:fs";
import { cp, rename, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { minimindFolder } from "../../src/checkpoints/minimind.node.ts";
import { exitCodeOf } from "../../src/cli/exit-codes.ts";
import { generateText } from "../../src/cli/generate/generate.ts";
import { type GenerateFlags } from "../../src/cli/generate/options.ts";
import { serveHub } from "../../src/hub/hub-server-fixture.node.ts";
import { start } from "../../src/language/laid-fixtures.ts";
import { publishedIds } from "../../src/language/trained-fixtures.ts";
import { type DecoderConfig } from "../../src/models/index.ts";
import { layModelAt } from "../laid-model.ts";
import { describeWithSharedData } from "../shared-data.ts";
import { type Heard, heardSession } from "./heard-session.ts";
import { startCli, temporaryFolder, useBuiltCli } from "./run-cli.ts";

useBuiltCli();
const folder = temporaryFolder();

/** Runs the command in this process. */
async function say(
  flags: Partial<GenerateFlags> & { readonly model: string },
): Promise<Heard & { readonly exitCode: number }> {
  const { session, heard } = heardSession();
  const usual = { prompt: "h", maxTokens: 20, temperature: 0, seed: 0, device: "wasm", threads: 1 } as const;
  await generateText({ ...usual, ...flags }, session);
  return { ...heard, exitCode: session.exitCode };
}

/** A document of `--json`, as far as it is looked at. */
interface Document {
  readonly text: string;
  readonly tokens: readonly number[];
  readonly logProbabilities: readonly number[];
  readonly prompt: { readonly chat: boolean; readonly tokens: readonly number[] };
  readonly finish: { readonly reason: string; readonly newTokens?: number };
}

const sayJson = async (flags: Partial<GenerateFlags> & { readonly model: string }): Promise<Document> =>
  JSON.parse((await say({ ...flags, json: true })).out) as Document;

const layModel = (
  name: string,
  change: Readonly<Record<string, unknown>> = {},
  layers: Partial<DecoderConfig> = {},
): Promise<string> => layModelAt(join(folder, name), change, layers);

const small = await layModel("small");

test("layers that an engine cannot hold are computed by stages, and that is said", async () => {
  const odd = { head_dim: 12, num_key_value_heads: 4, tie_word_embeddings: false };
  const headed = await layModel(
    "headed",
    { model_type: "qwen3", ...odd },
    { headWidth: 12, headNorm: "rms" },
  );
  const [own, staged] = [await say({ model: small }), await say({ model: headed })];
  expect(staged.told).toMatch(/computed by stages.*norms of heads of width 12/);
  expect(own.told).not.toMatch(/stages/);
  expect(staged.out).toBe(own.out);
});

describe("a Hugging Face folder", () => {
  test("is asked as a chat, and answers in whole characters with their tokens until its end token", async () => {
    const { out, told, exitCode } = await say({ model: small });
    expect({ out, exitCode }).toEqual({ out: "天你\n", exitCode: 0 });
    expect(told).toMatch(
      /6 tokens at .* tokens\/s after 2 of the prompt .*: the model ended it\nNext: generate/,
    );
    const document = await sayJson({ model: small, system: "s" });
    expect(document).toMatchObject({
      text: "天你",
      tokens: [260, 0xa9, 0xe4, 0xbd, 0xa0],
      prompt: { chat: true, tokens: [start, 0x73, start, 0x68] },
      finish: { reason: "stop-token", newTokens: 6 },
    });
    // A head of 64 products near 1 against those near 0.
    for (const value of document.logProbabilities) expect(Math.exp(value)).toBeGreaterThan(0.99);
  });

  test("goes on with plain text, to a stop text or a count, also with another attention and on jax-js", async () => {
    const plain = await sayJson({ model: small, chat: false, stop: ["你"], device: "jax" });
    expect(plain).toMatchObject({
      text: "天",
      prompt: { chat: false, tokens: [0x68] },
      finish: { reason: "stop-string" },
    });
    const { out, told } = await say({
      model: join(small, "model.safetensors"),
      prompt: "x",
      maxTokens: 5,
      attention: "l2",
      layers: [1],
      heads: [2, 3],
    });
    expect(out).toBe("yxyxy\n");
    expect(told).toContain(
      "0 dot+rope:theta=10000+causal · 1 dot+rope:theta=10000+causal (2) | l2+rope:theta=10000+causal (2)",
    );
    expect(told).toContain("--max-tokens was reached\nNext: inspect l2");
    // What another attention changes is measured on a text that is long enough.
    const swapped = {
      model: small,
      attention: "l2",
      layers: [1],
      heads: [2, 3],
      prompt: "how  h is\nfollowed",
    };
    expect((await say(swapped)).told).toContain(
      `Next: swap --model ${small} --attention l2 --layers 1 --heads 2,3 --eval how h is followed\n`,
    );
  });

  test("is fetched from the hub by its name, and found again without it", async () => {
    const names = ["config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"];
    const files = [...names, "model.safetensors"].map((name) => [
      name,
      { bytes: readFileSync(join(small, name)), isLarge: name === "model.safetensors" },
    ]);
    const hub = await serveHub("owner/small", Object.fromEntries(files) as Parameters<typeof serveHub>[1]);
    const before = { ...process.env };
    try {
      process.env["HF_HOME"] = join(folder, "hub");
      process.env["HF_ENDPOINT"] = hub.endpoint;
      expect((await say({ model: "hf:owner/small" })).out).toBe("天你\n");
      process.env["HF_HUB_OFFLINE"] = "1";
      expect((await say({ model: "hf:owner/small" })).out).toBe("天你\n");
      await expect(say({ model: "hf:owner/other" })).rejects.toMatchObject({ code: "hub-offline" });
    } finally {
      process.env = before;
      await hub.close();
    }
  });

  test("is stopped by Ctrl-C with what it has said, and takes its prompt from stdin", async () => {
    const { process: child, ended } = startCli(
      [
        "generate",
        "--model",
        small,
        "--prompt",
        "-",
        "--no-chat",
        "--temperature",
        "0",
        "--max-tokens",
        "90k",
      ],
      { stdin: "x\n" },
    );
    child.stdout?.once("data", () => child.kill("SIGINT"));
    const { code, stdout, stderr } = await ended;
    expect(stdout).toMatch(/^y(xy)*x?\n$/);
    expect(stderr).toMatch(/Stopping\n\d+ tokens at .*: interrupted\nNext: [^\n]+\n$/);
    expect(code).toBe(130);
  });
});

describe("refuses", () => {
  const changed = (name: string, act: (place: string) => Promise<unknown>) => async (): Promise<string> => {
    const place = join(folder, name);
    await cp(small, place, { recursive: true });
    await act(place);
    return place;
  };
  const weights = "model.safetensors";

  /** A model whose last number is none, which is told by those who read its weights. */
  async function damaged(name: string, change: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const place = await layModel(name, change);
    const bytes = readFileSync(join(place, weights));
    bytes.subarray(-4).fill(0xff);
    await writeFile(join(place, weights), bytes);
    return place;
  }

  test.each<{
    name: string;
    lay?: () => Promise<string>;
    flags?: Partial<GenerateFlags>;
    exitCode: number;
    code: string;
  }>([
    { name: "what is not there", flags: { model: "nowhere" }, exitCode: 3, code: "model-missing" },
    {
      name: "a half-downloaded file",
      lay: changed("half", (place) => truncate(join(place, weights), 5000)),
      exitCode: 3,
      code: "safetensors-offsets",
    },
    {
      name: "missing shards",
      lay: changed("shards", async (place) => {
        await rename(join(place, weights), join(place, "a.safetensors"));
        const map = { "lm_head.weight": "a.safetensors", "model.norm.weight": "b.safetensors" };
        await writeFile(join(place, `${weights}.index.json`), JSON.stringify({ weight_map: map }));
      }),
      exitCode: 3,
      code: "shard-missing",
    },
    {
      name: "a config that does not fit",
      lay: () => layModel("misfit", { intermediate_size: 9 }),
      exitCode: 3,
      code: "weights-shape",
    },
    {
      name: "a folder without config",
      lay: changed("bare", (place) => rm(join(place, "config.json"))),
      exitCode: 3,
      code: "model-file",
    },
    {
      name: "half a tokenizer",
      lay: changed("words", (place) => truncate(join(place, "tokenizer.json"), 100)),
      exitCode: 3,
      code: "model-file",
    },
    {
      name: "the tokenizer of a larger vocabulary",
      lay: () => layModel("few", { vocab_size: 250 }),
      exitCode: 2,
      code: "tokenizer-vocabulary",
    },
    {
      name: "a prompt beyond the context",
      lay: () => damaged("short", { max_position_embeddings: 4 }),
      flags: { prompt: "xyxyx" },
      exitCode: 2,
      code: "prompt-too-long",
    },
    {
      name: "layers without another attention",
      flags: { layers: [0] },
      exitCode: 2,
      code: "attention-alone",
    },
    {
      name: "numbers that are none",
      lay: () => damaged("none"),
      exitCode: 5,
      code: "not-finite",
    },
    {
      name: "a layer that is not there",
      lay: () => damaged("layers"),
      flags: { attention: "l2", layers: [2] },
      exitCode: 2,
      code: "swap-place",
    },
    {
      name: "a system prompt of plain text",
      flags: { chat: false, system: "s" },
      exitCode: 2,
      code: "no-chat",
    },
    {
      name: "a sampling option before the model",
      flags: { model: "nowhere", topP: 2 },
      exitCode: 2,
      code: "bad-sampling",
    },
  ])("$name", async ({ lay, flags = {}, exitCode, code }) => {
    const model = lay === undefined ? small : await lay();
    const error: unknown = await say({ model, ...flags }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code,
      message: expect.stringMatching(/^Cannot [^\n]+: [^\n]+\. /) as unknown,
    });
    expect(exitCodeOf(error)).toBe(exitCode);
  });
});

describeWithSharedData("stories260K of llama2.c", "stories260K/stories260K.bin", (place) => {
  test("says its published text, and has no chat form", async () => {
    const published = JSON.parse(readFileSync(new URL("../published.json", `file://${place}`), "utf8")) as {
      readonly stories260K: { readonly text: string };
    };
    const { text, tokens } = await sayJson({ model: join(place, ".."), prompt: "", maxTokens: 200 });
    expect(text).toBe(published.stories260K.text);
    expect(tokens).toEqual(publishedIds(published));
    await expect(say({ model: place, chat: true })).rejects.toMatchObject({ code: "no-chat" });
  });
});

const hasMinimind = ((): boolean => {
  try {
    minimindFolder();
    return true;
  } catch {
    return false;
  }
})();

/** The likeliest tokens of onnxruntime on the package's graph, with one token at a time given to it; from there on its 8-bit activations part. */
const onnxruntimeIds = [
  954, 1440, 726, 3175, 5210, 3857, 775, 270, 345, 1775, 5407, 2588, 413, 5205, 623, 4846,
];

test.skipIf(!hasMinimind)("minimind answers a question in Chinese, as onnxruntime does", async () => {
  const { text, tokens } = await sayJson({
    model: "minimind",
    prompt: "为什么天空是蓝色的？",
    maxTokens: onnxruntimeIds.length,
  });
  expect(tokens).toEqual(onnxruntimeIds);
  expect(text).toMatch(/^天空之所以呈现蓝色，是因为大气层中的/);
});
