/** @file `qklab swap` and `distil` on a small trained model: what they print and write, how they go on, and what they refuse. */
import { readFileSync } from "node:fs";
import { readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { describeWithSharedData } from "../shared-data.ts";
import { cli, startCli, temporaryFolder, useBuiltCli } from "./run-cli.ts";

useBuiltCli();
const folder = temporaryFolder();

/** A document that is read as it is looked at. */
type Document = Readonly<Record<string, unknown>>;

describeWithSharedData("on stories260K", "stories260K/stories260K.bin", (place) => {
  const model = dirname(place);
  const story = (): string => {
    const published = JSON.parse(readFileSync(join(model, "..", "published.json"), "utf8")) as {
      readonly stories260K: { readonly text: string };
    };
    return published.stories260K.text;
  };

  test("swap measures a matrix, keeps its cells, and goes on with them", async () => {
    const out = join(folder, "swaps");
    const words = ["swap", "--model", model, "--context", "32", "--tokens", "64", "--needles", "0"];
    const asked = [...words, "--attention", "dot,l2", "--layers", "1,3", "--eval", story(), "--out", out];
    const first = await cli([...asked, "--json"]);
    expect([first.code, first.stderr]).toEqual([0, expect.stringContaining("report.html") as string]);
    const [run = "none"] = await readdir(out);
    expect(await readdir(join(out, run))).toEqual(expect.arrayContaining(["report.html", "report.json"]));
    const { cells } = JSON.parse(first.stdout) as {
      readonly cells: readonly { readonly cell: Document; readonly difference: Document }[];
    };
    expect(cells.map(({ difference }) => difference["bitsPerCharacter"])).toEqual([
      0,
      expect.any(Number) as number,
    ]);
    const again = await cli(["swap", "--resume", join(out, run), "--json"]);
    expect(again.code).toBe(0);
    expect(JSON.parse(again.stdout)).toEqual(JSON.parse(first.stdout));
  });

  test("a distillation that was killed ends with the adapter of one that was not, and generates", async () => {
    const text = join(folder, "story.txt");
    await writeFile(text, story().repeat(4));
    const sizes = "--steps 6 --tune-steps 2 --length 32 --batch 2 --rank 2 --layers 3-4";
    const words = (out: string): string[] =>
      `distil --attention linear:map=hedgehog ${sizes}`
        .split(" ")
        .concat("--model", model, "--data", text, "--out", out);
    const whole = await cli(words(join(folder, "whole")));
    expect([whole.code, whole.stderr]).toEqual([0, expect.stringContaining("--adapter") as string]);

    const stopped = startCli(words(join(folder, "stopped")));
    await stopped.seen("Training");
    stopped.process.kill("SIGINT");
    expect((await stopped.ended).code).toBe(130);
    // And again, with no chance to write anything.
    const killed = startCli(["distil", "--resume", join(folder, "stopped")]);
    await killed.seen("Going on");
    killed.process.kill("SIGKILL");
    await killed.ended;
    const resumed = await cli(["distil", "--resume", join(folder, "stopped")]);
    expect(resumed.code).toBe(0);
    const tensors = (name: string): Buffer => readFileSync(join(folder, name, "adapter_model.safetensors"));
    expect(tensors("stopped").equals(tensors("whole"))).toBe(true);

    const said = (adapter: string): ReturnType<typeof cli> =>
      cli(["generate", "--model", model, "--adapter", adapter, "--prompt", "Once", "--max-tokens", "8"]);
    const spoken = await said(join(folder, "whole"));
    expect([spoken.code, spoken.stdout.length > 8]).toEqual([0, true]);
    await rm(join(folder, "whole", "adapter_model.safetensors"));
    expect((await said(join(folder, "whole"))).code).toBe(3);
  });
});
