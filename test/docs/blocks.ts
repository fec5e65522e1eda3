/**
 * @file Finds the code of the documentation: fenced blocks of Markdown pages, and the `@example`s of docstrings.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository. */
export const root: string = fileURLToPath(new URL("../../", import.meta.url));

/** One fenced block and where it stands. */
export interface Block {
  /** `README.md:12`, relative to the repository. */
  readonly place: string;
  /** What follows the fence, as `ts` or `sh install`. */
  readonly tag: string;
  readonly code: string;
  /** The next fenced block of the page when it shows an output (`text`, `text exact`). */
  readonly output?: { readonly tag: string; readonly text: string };
}

/** Files below a folder of the repository whose names end so, in a stable order; none where the folder is absent. */
export function filesBelow(folder: string, ending: string): string[] {
  try {
    return (
      readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
        .map((entry) => relative(root, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
        // bench/peers has packages of its own.
        .filter((file) => !file.includes("/node_modules/"))
        .sort()
    );
  } catch {
    return [];
  }
}

/** The text of a file of the repository. */
export function readSource(file: string): string {
  return readFileSync(join(root, file), "utf8");
}

/** The pages of the documentation that exist. */
export const pages: readonly string[] = [
  "README.md",
  "README.zh.md",
  "ARCHITECTURE.md",
  ...filesBelow("docs", ".md"),
].filter((page) => existsSync(join(root, page)));

/** The fenced blocks of a page. */
export function fencedBlocks(file: string, text: string): Block[] {
  const blocks: (Omit<Block, "output"> & { output?: { tag: string; text: string } })[] = [];
  const fence = /^([ \t]*)(`{3,})([^\n`]*)\n(.*?)^\1\2[ \t]*$/gms;
  for (const { index, 1: indent = "", 3: tag = "", 4: body = "" } of text.matchAll(fence)) {
    const code = body.replaceAll(new RegExp(`^${indent}`, "gm"), "");
    const previous = blocks.at(-1);
    if (/^text\b/.test(tag.trim()) && previous !== undefined) {
      previous.output ??= { tag: tag.trim(), text: code.trim() };
      continue;
    }
    blocks.push({ place: `${file}:${text.slice(0, index).split("\n").length}`, tag: tag.trim(), code });
  }
  return blocks;
}

/** The TypeScript blocks of the `@example`s of a source file. */
export function exampleBlocks(file: string, text: string): Block[] {
  return [...text.matchAll(/\/\*\*.*?\*\//gs)].flatMap(({ 0: comment, index }) => {
    const example = comment.indexOf("@example");
    if (example === -1) return [];
    // Everything before the example becomes empty lines, so that the place of a block is the line in its file.
    const before = text.slice(0, index + example).replaceAll(/[^\n]/g, "");
    const inside = comment.slice(example).replaceAll(/^[ \t]*\* ?/gm, "");
    return fencedBlocks(file, before + inside).filter(({ tag }) => tag === "ts");
  });
}
