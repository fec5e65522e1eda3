/** @file House rules that no linter knows. */
import { expect, test } from "vitest";
import { filesBelow, readSource } from "./docs/blocks.ts";

const alarmLines = 500;
const limitLines = 800;

/** Files that are longer than the alarm, each with the reason why one concept needs so many lines. */
const longFiles: Readonly<Record<string, string>> = {};

const algebra =
  /^src\/(base|score|spaces|similarities|positions|patterns|selections|normalisers|aggregations|attention|recurrence)\//;
const machine =
  /\b(document\.|navigator|postMessage|Worker|worker_threads|SharedArrayBuffer|Atomics|GPU[A-Z]\w*|navigator\.gpu|WebAssembly|HTML\w*Element|requestAnimationFrame)\b/;

const isTest = (file: string): boolean => file.endsWith(".test.ts");
const sources = filesBelow("src", ".ts");
const written = [
  ...sources,
  ...filesBelow("test", ".ts"),
  ...filesBelow("bench", ".ts"),
  ...filesBelow("scripts", ".mjs"),
]
  // Written by the documentation tests.
  .filter((file) => !file.startsWith("test/docs/.examples/"));

const lineCount = (file: string): number => readSource(file).trimEnd().split("\n").length;

test(`no file is longer than ${alarmLines} lines without a reason, none than ${limitLines}`, () => {
  const long = written
    .map((file) => ({ file, lines: lineCount(file) }))
    .filter(({ lines }) => lines > alarmLines);
  expect(long.filter(({ file, lines }) => lines > limitLines || longFiles[file] === undefined)).toEqual([]);
});

test("every reason for a long file is still needed", () => {
  expect(
    Object.keys(longFiles).filter((file) => !written.includes(file) || lineCount(file) <= alarmLines),
  ).toEqual([]);
});

test("every source file opens with what it owns", () => {
  const silent = sources.filter(
    (file) => !isTest(file) && !/^(#!.*\n)?\/\*\*\s(\* |\s\* )?@file /.test(readSource(file)),
  );
  expect(silent).toEqual([]);
});

test("nothing before the kernels mentions the DOM, a GPU or a thread", () => {
  const mentions = sources
    .filter((file) => algebra.test(file) && !isTest(file))
    .map((file) => ({ file, word: machine.exec(withoutComments(readSource(file)))?.[0] }))
    .filter(({ word }) => word !== undefined);
  expect(mentions).toEqual([]);
});

test("no source masks with a large negative number", () => {
  const sentinel = /-\s*1e(4|5|6|7|8|9|10|30)\b|-\s*(9999|65504)\b/;
  const found = sources.filter((file) => !isTest(file) && sentinel.test(withoutComments(readSource(file))));
  expect(found).toEqual([]);
});

function withoutComments(source: string): string {
  return source.replaceAll(/\/\*.*?\*\//gs, "").replaceAll(/(^|\s)\/\/.*$/gm, "");
}
