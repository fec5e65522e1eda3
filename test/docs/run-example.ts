/**
 * @file Runs a TypeScript block of the documentation against the sources. A comment behind an expression that is a JSON
 * value, as in `nearestNames("cosin", names, 1); // ["cosine"]`, is a promise: the expression must have that value
 * (numbers to the decimals that are written). Other comments are prose.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import ts from "typescript";
import { expect, vi } from "vitest";
import { type Block, root } from "./blocks.ts";

const folder = join(root, "test/docs/.examples");

function jsonValue(text: string): { value: unknown; decimals: number } | undefined {
  try {
    const decimals = Math.max(
      0,
      ...[...text.matchAll(/\d\.(\d+)/g)].map(({ 1: digits = "" }) => digits.length),
    );
    return { value: JSON.parse(text), decimals };
  } catch {
    return undefined;
  }
}

/** Replaces each `expression; // value` by a call that compares the two. */
function withPromisesChecked(code: string): string {
  const file = ts.createSourceFile("example.ts", code, ts.ScriptTarget.Latest, true);
  let checked = code;
  for (const statement of [...file.statements].reverse()) {
    if (!ts.isExpressionStatement(statement)) continue;
    const comment = ts.getTrailingCommentRanges(code, statement.end)?.[0];
    const written = comment && code.slice(comment.pos, comment.end).replace(/^\/\/\s*/, "");
    if (written === undefined || jsonValue(written) === undefined) continue;
    const { expression } = statement;
    const printed =
      ts.isCallExpression(expression) && expression.expression.getText() === "console.log"
        ? expression.arguments[0]
        : undefined;
    const replacement = `checkPromise(${(printed ?? expression).getText()}, ${JSON.stringify(written)});`;
    checked = checked.slice(0, statement.getStart()) + replacement + checked.slice(statement.end);
  }
  return checked;
}

/** Plain JSON of a value as a reader sees it: typed arrays are lists of numbers. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, inner: unknown) =>
      ArrayBuffer.isView(inner) && !(inner instanceof DataView) ? Array.from(inner as Float64Array) : inner,
    ),
  );
}

function rounded(value: unknown, decimals: number): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, inner: unknown) =>
      // Adding 0 makes one zero of both.
      typeof inner === "number" ? Number(inner.toFixed(decimals)) + 0 : inner,
    ),
  );
}

function checkPromise(actual: unknown, written: string): void {
  const promise = jsonValue(written);
  if (promise === undefined) throw new SyntaxError(`Cannot compare with ${written} as it is not JSON`);
  expect(rounded(plain(actual), promise.decimals)).toEqual(promise.value);
}

/** Writes a block to a file, so that errors point to lines that somebody can open, and returns its path. */
export function writeExample({ place, code }: Block): string {
  const path = join(folder, `${place.replaceAll(/[^\w]+/g, "-")}.ts`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(path, withPromisesChecked(code));
  return path;
}

/** Runs a block; its printed lines must be the `text` block behind it, when there is one. */
export async function runExample(block: Block): Promise<void> {
  const lines: string[] = [];
  const log = vi.spyOn(console, "log").mockImplementation((...values: unknown[]) => {
    lines.push(values.map(String).join(" "));
  });
  vi.stubGlobal("checkPromise", checkPromise);
  try {
    await import(/* @vite-ignore */ pathToFileURL(writeExample(block)).href);
  } finally {
    log.mockRestore();
    vi.unstubAllGlobals();
  }
  if (block.output !== undefined) expect(lines.join("\n").trim()).toBe(block.output.text);
}
