/** @file `qklab swap` with adapters and prompts: what it says in Chinese, what it keeps, how it is stopped, and what it refuses early. */
import { existsSync, readFileSync } from "node:fs";
import { cp, readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { distil } from "../../src/cli/distil/distil.ts";
import { exitCodeOf } from "../../src/cli/exit-codes.ts";
import { type SwapFlags } from "../../src/cli/swap/options.ts";
import { swap } from "../../src/cli/swap/swap.ts";
import { openSwapFolder } from "../../src/swap/swap-folder.node.ts";
import { describeWithSharedData } from "../shared-data.ts";
import { heardSession } from "./heard-session.ts";
import { cli, startCli, temporaryFolder, useBuiltCli } from "./run-cli.ts";

useBuiltCli();
const folder = temporaryFolder();
/** Of llama2.c: seven numbers. */
const headerBytes = 28;

describeWithSharedData("swap of stories260K", "stories260K/stories260K.bin", (place) => {
  const model = dirname(place);
  const published = JSON.parse(readFileSync(join(model, "..", "published.json"), "utf8")) as {
    readonly stories260K: { readonly text: string };
  };
  const story = published.stories260K.text;
  const textFile = join(folder, "story.txt");
  const adapter = join(folder, "adapter");
  let learned: string;
  const usual = {
    calibrate: "spread",
    context: 32,
    tokens: 64,
    newTokens: 6,
    needles: 0,
    seed: 0,
    threads: 1,
  } as const;

  const measure = async (
    flags: Partial<SwapFlags>,
    language: "en" | "zh" = "en",
  ): Promise<ReturnType<typeof heardSession>> => {
    const listener = heardSession(language);
    const given = flags.resume === undefined ? { model, eval: textFile } : {};
    await swap({ ...usual, ...given, out: folder, ...flags }, listener.session);
    return listener;
  };

  beforeAll(async () => {
    await writeFile(textFile, story.repeat(2));
    const learner = heardSession("zh");
    const sizes = { steps: 2, tuneSteps: 1, length: 16, batch: 1, rank: 1, threads: 1, layers: "4" };
    const asked = { model, attention: "cosine:beta=auto", data: textFile, out: adapter };
    await distil({ ...asked, ...sizes }, learner.session);
    const foreign = join(folder, "foreign");
    await cp(adapter, foreign, { recursive: true });
    const config = join(foreign, "adapter_config.json");
    await writeFile(
      config,
      readFileSync(config, "utf8").replace(/"fingerprint": ".{8}/, '"fingerprint": "00000000'),
    );
    // The first number of this model's embeddings is none, which is told by those who read its weights.
    await cp(model, join(folder, "damaged"), { recursive: true });
    const bytes = readFileSync(place);
    bytes.fill(0xff, headerBytes, headerBytes + 4);
    await writeFile(join(folder, "damaged", "stories260K.bin"), bytes);
    learned = learner.heard.told;
  });

  test("an adapter is distilled with Chinese words", () => {
    expect(learned).toMatch(/困惑度.*\d/);
  });

  test("measures an adapter before and after it learned, beside other attentions, in Chinese", async () => {
    const out = join(folder, "adapters");
    const asked = { adapter: [adapter], attention: ["cosine"], layers: [4], heads: [0, 1], out };
    const { session, heard } = await measure({ ...asked, prompt: "Once upon" }, "zh");
    expect(session.exitCode).toBe(0);
    expect(heard.told).toMatch(/^.*3 次替换，文件夹/m);
    expect(heard.told).toMatch(
      /报告：.*report\.html\nNext: generate --model \S+ --adapter \S+ --prompt Once upon/,
    );
    const [titles = "", , ...rows] = heard.out.trimEnd().split("\n");
    expect(titles).toMatch(/^注意力 .*恢复比例$/);
    expect(rows.map((row) => row.split(/ {2,}/)[0])).toEqual([
      "–",
      "cosine",
      `${adapter}（学习之前）`,
      adapter,
    ]);

    const [run = "none"] = await readdir(out);
    const [report, page] = ["report.json", "report.html"].map((name) =>
      readFileSync(join(out, run, name), "utf8"),
    );
    expect(page).toContain("<q>Once upon</q>");
    expect(page).toContain("学习之前");
    const { plan, base } = JSON.parse(report ?? "") as {
      readonly plan: { readonly text: unknown };
      readonly base: { readonly continuation: { readonly text: string } };
    };
    expect(plan.text).toEqual({
      name: "story.txt",
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      characters: story.length * 2,
      beginning: story.slice(0, 60),
    });
    // The text itself is kept beside the reports, not in them.
    for (const written of [report, page]) expect(written).not.toContain(story.slice(60, 160));
    expect(page).toContain(base.continuation.text);
    expect(existsSync(join(out, run, "RUNNING.lock"))).toBe(false);

    const held = await openSwapFolder(join(out, run));
    expect(held.text).toBe(story.repeat(2));
    await expect(measure({ resume: join(out, run) })).rejects.toMatchObject({ code: "run-locked" });
    await held.release();
    const moved = join(folder, "moved");
    await cp(join(out, run), moved, { recursive: true });
    const path = join(moved, "swap.json");
    await writeFile(path, readFileSync(path, "utf8").replace(/"hash": "..../, '"hash": "0000'));
    await expect(measure({ resume: moved })).rejects.toMatchObject({ code: "adapter-changed" });
    await writeFile(join(moved, "text.txt"), "another");
    await expect(measure({ resume: moved })).rejects.toMatchObject({ code: "swap-missing" });
  });

  test("is stopped by Ctrl-C after a swap, with exit code 130, and goes on with the rest", async () => {
    const out = join(folder, "stopped");
    const words = `swap --lang zh --attention cosine --each-layer --context 32 --tokens 64 --needles 0`.split(
      " ",
    );
    const stopped = startCli([...words, "--model", model, "--eval", textFile, "--out", out]);
    await stopped.seen("✓");
    stopped.process.kill("SIGINT");
    const { code, stderr } = await stopped.ended;
    expect(code).toBe(130);
    expect(stderr).toMatch(/测完当前替换后停止[^]*剩余 [1-4] 次替换\n.*swap --resume/);
    const [run = "none"] = await readdir(out);
    const { session, heard } = await measure({ resume: join(out, run), json: true });
    expect(session.exitCode).toBe(0);
    const { cells, left } = JSON.parse(heard.out) as {
      readonly cells: readonly object[];
      readonly left: number;
    };
    expect([cells.length, left]).toEqual([5, 0]);
    expect(heard.told).toMatch(/Next: distil --model \S+ --attention cosine --out/);
  });

  test.each([
    [["--resume", ".", "--layers", "1"], /--resume goes on.*--layers was given too/],
    [["--resume", ".", "--adapter", "."], /--adapter was given too/],
    [["--model", "m", "--eval", "t"], /--attention SELECTORS/],
  ])("refuses %j as wrong usage", async (words, message) => {
    const refused = await cli(["swap", ...words]);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringMatching(message) as string]);
  });

  test.each<{ name: string; flags: Partial<SwapFlags>; exitCode: number; code: string }>([
    { name: "numbers that are none", flags: {}, exitCode: 5, code: "not-finite" },
    {
      name: "a position that it cannot have",
      flags: { attention: ["l1"] },
      exitCode: 2,
      code: "clash-position",
    },
    { name: "what is none", flags: { attention: ["cosyne"] }, exitCode: 2, code: "unknown-part" },
    { name: "a layer that is not there", flags: { layers: [9] }, exitCode: 2, code: "swap-place" },
    { name: "a head that is not there", flags: { heads: [8] }, exitCode: 2, code: "swap-place" },
    {
      name: "a prompt beyond the context",
      flags: { prompt: story.repeat(3) },
      exitCode: 2,
      code: "prompt-too-long",
    },
    { name: "a text of nothing", flags: { eval: "" }, exitCode: 2, code: "evaluation-text" },
    { name: "no room for a fact", flags: { needles: 8 }, exitCode: 2, code: "swap-needle" },
    {
      name: "places of no attention",
      flags: { adapter: [adapter], layers: [1] },
      exitCode: 2,
      code: "attention-alone",
    },
    { name: "no adapter", flags: { adapter: [folder] }, exitCode: 3, code: "adapter-missing" },
    {
      name: "an adapter of another model",
      flags: { adapter: [join(folder, "foreign")] },
      exitCode: 3,
      code: "adapter-base",
    },
  ])("refuses $name, and makes no folder", async ({ flags, exitCode, code }) => {
    const out = join(folder, "refused");
    const attention = code === "attention-alone" ? {} : { attention: ["l2"] };
    const error: unknown = await measure({
      model: join(folder, "damaged"),
      out,
      ...attention,
      ...flags,
    }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code, message: expect.stringMatching(/^Cannot [^\n]+: /) as unknown });
    expect(exitCodeOf(error)).toBe(exitCode);
    expect(existsSync(out)).toBe(false);
  });
});
