/** @file The commands of the documentation that take minutes (`sh long`). */
import { expect, test } from "vitest";
import { fencedBlocks, pages, readSource } from "./blocks.ts";
import { runCommands } from "./run-commands.ts";

const limitMs = 1_200_000;
const blocks = pages
  .flatMap((page) => fencedBlocks(page, readSource(page)))
  .filter(({ tag }) => tag === "sh long");

for (const block of blocks)
  test(`${block.place} runs`, { timeout: limitMs }, () => runCommands(block, limitMs));

test(`the pages were read: ${pages.join(", ")}`, () => {
  expect(pages).toContain("README.md");
});
