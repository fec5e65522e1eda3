import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { describeWithSharedData } from "../../test/shared-data.ts";
import { MissingError } from "../base/errors.ts";
import { books, defaultBook, readText } from "./gutenberg.node.ts";
import { characters, corpus } from "./language.ts";
import { readPackageFile } from "../base/package-file.node.ts";

test("the package's 18 books are known", () => {
  expect(Object.keys(books)).toHaveLength(18);
});

test.each(Object.keys(books))(
  "%s decodes without a replacement character and has plain line ends",
  (name) => {
    const { text } = readText(name);
    expect(["\r", "\u001A", "\uFFFD"].filter((mark) => text.includes(mark))).toEqual([]);
    expect(text.length).toBeGreaterThan(36_000);
  },
);

test("the default is Moby Dick: its characters are known and its splits are 90, 5 and 5 %", () => {
  const { name, text } = readText();
  expect(name).toBe(defaultBook);
  expect(text).toHaveLength(1_242_990 - 22_924);
  expect(characters(text).size).toBe(81);
  const { train, validation, test: held } = corpus(name, text);
  expect([train, validation, held].map(({ tokens }) => tokens.length)).toEqual([1_098_059, 61_003, 61_004]);
});

test("latin1 books keep their accents", () => {
  expect(readText("chesterton-ball").text).toMatch(/è/);
  expect(readText("shakespeare-caesar").text).toMatch(/æ/);
});

test("the licence that one book still carries is not part of its text", () => {
  const { text } = readText("chesterton-ball");
  expect(text).not.toMatch(/small print|public domain|Project Gutenberg/i);
  expect(text.length).toBeGreaterThan(430_000);
});

test("an unknown book gets the nearest names, a missing package the command that installs it", () => {
  expect(() => readText("melville-mobydick")).toThrow("Did you mean melville-moby_dick");
  expect(() => readText("toString")).toThrow("Cannot read a text");
  expect(() => readPackageFile("qklab-no-such-package", "1.2.3", "x.txt")).toThrow(MissingError);
  expect(() => readPackageFile("qklab-no-such-package", "1.2.3", "x.txt")).toThrow(
    "Run: npm install qklab-no-such-package@1.2.3",
  );
});

describe("a text file of the user", () => {
  const folder = mkdtempSync(join(tmpdir(), "qklab-text-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const write = (name: string, content: string | Uint8Array): string => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };

  test("is read as UTF-8 with normalised line ends and named after the file", () => {
    expect(readText(write("mine.txt", "\uFEFFä\r\nb\n"))).toEqual({ name: "mine", text: "ä\nb\n" });
    expect(readText(write("LOUD.TXT", "a"))).toEqual({ name: "LOUD", text: "a" });
  });

  test("that is absent, a folder or not UTF-8 gets an error that says what to do", () => {
    expect(() => readText(join(folder, "absent.txt"))).toThrow(/ENOENT.*Check the path/);
    expect(() => readText(join(folder, "absent.txt"))).toThrow(MissingError);
    expect(() => readText(write("latin.txt", Uint8Array.of(0xe9, 0x20)))).toThrow("iconv -f latin1 -t utf-8");
    const folderNamedText = mkdtempSync(join(folder, "folder-"));
    expect(() => readText(`${folderNamedText}/../absent/.txt`)).toThrow(MissingError);
  });
});

describeWithSharedData("tiny-shakespeare", "tinyshakespeare.txt", (path) => {
  test("has its 1,115,394 characters, 65 of them distinct", () => {
    const { name, text } = readText(path);
    expect(name).toBe("tinyshakespeare");
    expect(text).toHaveLength(1_115_394);
    expect(characters(text).size).toBe(65);
  });
});
