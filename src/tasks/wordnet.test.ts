import { describe, expect, test } from "vitest";
import fc from "fast-check";
import { MissingError } from "../base/errors.ts";
import { readNouns } from "./wordnet.node.ts";
import { mammalHierarchy, nounHierarchy, parseNouns, subtree, type Nouns } from "./wordnet.ts";

describe("WordNet 3.0", () => {
  const nouns = readNouns();

  test("the mammals are the published 1,180 nodes and 6,540 pairs", () => {
    const { names, pairs, neighbours } = mammalHierarchy(nouns);
    expect(names).toHaveLength(1_180);
    expect(pairs).toHaveLength(2 * 6_540);
    expect(new Set(names).size).toBe(1_180);
    expect(names).not.toContain("tusker.n.01");
    expect(names).not.toContain("female_mammal.n.01");

    const ancestorsOf = (name: string): string[] =>
      [...neighbours[names.indexOf(name)]].map((ancestor) => names[ancestor]).sort();
    expect(ancestorsOf("mammal.n.01")).toEqual([]);
    expect(ancestorsOf("dog.n.01")).toEqual([
      "canine.n.02",
      "carnivore.n.01",
      "mammal.n.01",
      "placental.n.01",
    ]);
  });

  test("without the two omissions the mammals have 1,182 nodes and 6,542 pairs", () => {
    const { names, pairs } = subtree("all mammals", nouns, "mammal.n.01");
    expect([names.length, pairs.length / 2]).toEqual([1_182, 6_542]);
  });

  test("all nouns have 82,115 synsets with distinct names and 743,241 pairs", () => {
    const { names, pairs } = nounHierarchy(nouns);
    expect([names.length, pairs.length / 2, new Set(names).size]).toEqual([82_115, 743_241, 82_115]);
  });

  test("names and synsets are inverse", () => {
    for (let synset = 0; synset < nouns.offsets.length; synset += 997) {
      expect(nouns.find(nouns.nameOf(synset))).toBe(synset);
    }
  });
});

/** Two files with a licence line, a root with two children, and an instance below one of them. */
function smallFiles(): { data: string; index: string } {
  const licence = "  1 licence  \n";
  const line = (offset: number, words: string, pointers: string): string =>
    `${String(offset).padStart(8, "0")} 03 n ${words} ${pointers} | gloss with | bars; @ 99999999 n  \n`;
  const word = (...lemmas: string[]): string =>
    `${lemmas.length.toString(16).padStart(2, "0")} ${lemmas.map((lemma) => `${lemma} 0`).join(" ")}`;
  const at = (offset: number): string => String(offset).padStart(8, "0");
  // The lengths of the lines do not depend on the offsets, so a first pass finds them.
  const build = ([root, left, right, instance]: number[]): string[] => [
    line(root, word("Thing", "object"), `002 ~ ${at(left)} n 0000 ~ ${at(right)} n 0000`),
    line(left, word("left"), `001 @ ${at(root)} n 0000`),
    line(right, word("right"), `003 @ ${at(root)} n 0000 ~i ${at(instance)} n 0000 + 00000001 v 0101`),
    line(instance, word("left"), `001 @i ${at(right)} n 0000`),
  ];
  const lengths = build([0, 0, 0, 0]).map(({ length }) => length);
  const offsets = lengths.map((_, place) =>
    lengths.slice(0, place).reduce((sum, length) => sum + length, licence.length),
  );
  return {
    data: licence + build(offsets).join(""),
    index: [
      `${licence}left n 2 1 @ 2 0 ${at(offsets[3])} ${at(offsets[1])}  `,
      `object n 1 1 ~ 1 0 ${at(offsets[0])}  `,
      `right n 1 1 @ 1 0 ${at(offsets[2])}  `,
      `thing n 1 0 1 0 ${at(offsets[0])}  \n`,
    ].join("\n"),
  };
}

test("names take the first lemma in lower case and its sense's place; instances are edges, other pointers are not", () => {
  const { data, index } = smallFiles();
  const nouns = parseNouns(data, index);
  const { names, pairs } = nounHierarchy(nouns);
  expect(names).toEqual(["thing.n.01", "left.n.02", "right.n.01", "left.n.01"]);
  expect([...pairs]).toEqual([1, 0, 2, 0, 3, 0, 3, 2]);
  expect(subtree("right", nouns, "right.n.01").names).toEqual(["right.n.01", "left.n.01"]);
});

test("a file cut short anywhere, or with a byte lost or changed, gives one clear error or as many nouns", () => {
  const { data, index } = smallFiles();
  const outcome = (read: () => Nouns): string => {
    try {
      return `${nounHierarchy(read()).names.length} nouns`;
    } catch (error) {
      return (error as MissingError).code;
    }
  };
  const damage = fc.record({
    inData: fc.boolean(),
    place: fc.nat(),
    kind: fc.constantFrom("cut", "lose", "change"),
    character: fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 1 }),
  });
  fc.assert(
    fc.property(damage, ({ inData, place, kind, character }) => {
      const source = inData ? data : index;
      const at = place % source.length;
      const rest = { cut: "", lose: source.slice(at + 1), change: character + source.slice(at + 1) }[kind];
      const damaged = source.slice(0, at) + rest;
      expect(outcome(() => (inData ? parseNouns(damaged, index) : parseNouns(data, damaged)))).toMatch(
        /^(4 nouns|wordnet-unreadable|hierarchy-cycle)$/,
      );
    }),
    { numRuns: 2_000 },
  );
});

test("what is wrong with a file is said, and how to get a good one", () => {
  const { data, index } = smallFiles();
  const attempt =
    (badData: string, badIndex = index) =>
    () =>
      nounHierarchy(parseNouns(badData, badIndex));
  expect(attempt("")).toThrow("data.noun must have synsets: it has none. Install it anew with: npm install");
  expect(attempt(data.slice(0, -1))).toThrow("every line must end");
  expect(attempt(data.slice(0, data.lastIndexOf("\n", data.length - 2) + 1))).toThrow(
    "every pointer must lead to a synset: none at offset",
  );
  expect(attempt(data.replace("02 Thing", "fe Thing"))).toThrow("as many words and pointers as it says");
  expect(attempt(data.replace("licence", "license!"))).toThrow("must stand at the offset that it gives");
  expect(attempt(data, index.replace("thing n", "thong n"))).toThrow("'thing' is not there");
  expect(attempt(data, index.replace("left n 2", "left n 3"))).toThrow("as many offsets as it says");
  expect(() => parseNouns(data, index).find("unicorn.n.01")).toThrow("'unicorn' is not there");
  expect(() => parseNouns(data, index).find("left.n.03")).toThrow("index.noun must have left.n.03");
  expect(() => parseNouns(data, index).find("left")).toThrow(MissingError);
});
