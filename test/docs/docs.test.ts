/** @file Every block of code that a reader can copy does what it says. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import ts from "typescript";
import { expect, test } from "vitest";
import { exampleBlocks, fencedBlocks, filesBelow, pages, readSource, root } from "./blocks.ts";
import { checkScripts, runCommands } from "./run-commands.ts";
import { runExample, writeExample } from "./run-example.ts";

const commandLimitMs = 60_000;

const sources = filesBelow("src", ".ts").filter((file) => !file.endsWith(".test.ts"));
const blocks = pages.flatMap((page) => fencedBlocks(page, readSource(page)));
const examples = sources.flatMap((file) => exampleBlocks(file, readSource(file)));
const programs = [...blocks.filter(({ tag }) => tag === "ts"), ...examples];

test(`the documentation is ${pages.join(", ") || "docstrings alone"} and ${examples.length} examples`, () => {
  expect(examples.length).toBeGreaterThan(0);
  const known = new Set(["ts", "sh", "sh long", "sh install"]);
  expect(
    blocks.filter(({ tag }) => !known.has(tag) && /^(ts|js|sh|bash|console|typescript)\b/.test(tag)),
  ).toEqual([]);
});

for (const block of programs) test(`example ${block.place} runs`, () => runExample(block));

test("examples have no type errors", () => {
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(join(root, "tsconfig.json"), (path) => ts.sys.readFile(path)).config,
    ts.sys,
    root,
    {
      noEmit: true,
      composite: false,
      emitDeclarationOnly: false,
      isolatedDeclarations: false,
      noUnusedLocals: false,
      // Readers have no types of Node, and an example must not need them.
      types: [],
      paths: {
        qklab: ["./src/index.ts"],
        "qklab/jax": ["./src/jax.ts"],
        "qklab/wasm": ["./src/wasm.ts"],
        "qklab/*": ["./src/*/index.ts"],
      },
    },
  );
  const harness = join(root, "test/docs/.examples/globals.d.ts");
  ts.sys.writeFile(harness, "declare function checkPromise(actual: unknown, written: string): void;\n");
  const files = programs.map((block) => writeExample(block));
  const program = ts.createProgram([harness, ...files], options);
  const problems = files.flatMap((file) =>
    ts
      .getPreEmitDiagnostics(program, program.getSourceFile(file))
      .map(
        ({ messageText }) =>
          `${file.slice(root.length)}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`,
      ),
  );
  expect(problems).toEqual([]);
});

for (const block of blocks) {
  if (block.tag === "sh") {
    test(`${block.place} runs`, { timeout: commandLimitMs }, () => runCommands(block, commandLimitMs));
  }
  if (block.tag === "sh install") test(`${block.place} names scripts that exist`, () => checkScripts(block));
}

test("links between the pages lead somewhere", () => {
  const broken = pages.flatMap((page) =>
    [...readSource(page).matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)/g)]
      .map(({ 1: target = "" }) => ({ page, target }))
      .filter(({ target }) => !existsSync(join(root, dirname(page), target))),
  );
  expect(broken).toEqual([]);
});
