/** @file The documentation tests fail where the documentation is wrong. */
import { expect, test } from "vitest";
import { type Block, exampleBlocks, fencedBlocks } from "./blocks.ts";
import { checkScripts, runCommands } from "./run-commands.ts";
import { runExample } from "./run-example.ts";

const limitMs = 10_000;
const block = (name: string, code: string, tag = "ts"): Block => ({ place: `harness-${name}`, tag, code });

test("fenced blocks are found with their line, their tag and the output behind them", () => {
  const page =
    "# Page\n\n```ts\n1;\n```\n\nprints\n\n```text\n1\n```\n\n- item\n\n  ```sh install\n  npm start\n  ```\n";
  expect(fencedBlocks("page.md", page)).toEqual([
    { place: "page.md:3", tag: "ts", code: "1;\n", output: { tag: "text", text: "1" } },
    { place: "page.md:15", tag: "sh install", code: "npm start\n" },
  ]);
});

test("the example of a docstring is found without its stars", () => {
  const source =
    "/** @file x */\n\n/**\n * Adds.\n *\n * @example\n * ```ts\n * if (true) {\n *   1;\n * }\n * ```\n */\n";
  expect(exampleBlocks("x.ts", source)).toEqual([
    { place: "x.ts:7", tag: "ts", code: "if (true) {\n  1;\n}\n" },
  ]);
});

test("a promised value is compared, to the decimals that are written", async () => {
  await runExample(
    block(
      "right",
      'Math.PI; // 3.14\n[1, 2].map(String); // ["1", "2"]\nnew Float32Array([0.1]); // [0.1]\n',
    ),
  );
  await expect(runExample(block("wrong", "Math.PI; // 3.15\n"))).rejects.toThrow(/3\.15/);
  await expect(runExample(block("printed", "console.log([1]); // [2]\n"))).rejects.toThrow();
});

test("a comment in words is no promise", async () => {
  await runExample(block("words", "Math.PI; // [B, H, N, D]\n"));
});

test("printed lines are compared with the text block behind the example", async () => {
  const printing = block("printing", 'console.log("a", 1);\nconsole.log("b");\n');
  await runExample({ ...printing, output: { tag: "text", text: "a 1\nb" } });
  await expect(runExample({ ...printing, output: { tag: "text", text: "a 1" } })).rejects.toThrow();
});

test("an example that throws fails", async () => {
  await expect(runExample(block("throwing", 'throw new RangeError("no");\n'))).rejects.toThrow("no");
});

test("a shell block may run nothing but qklab, unless it is for the reader's own machine", () => {
  expect(() => runCommands(block("remove", "rm -r x\n", "sh"), limitMs)).toThrow(/runs qklab only/);
});

test("an npm script that does not exist is found", () => {
  checkScripts(block("scripts", "git clone x\nnpm start\nnpm test # a comment\nnpm run ok\n", "sh install"));
  expect(() => checkScripts(block("absent", "npm run absent\n", "sh install"))).toThrow(/absent/);
});
