/** @file The coverage tables of both READMEs name every part, rule and routing that there is, and say of each what the code does. */
import { describe, expect, test } from "vitest";
import {
  type AnyPartFactory,
  completeSelector,
  compose,
  parseRecurrence,
  parseSelector,
  partFactories,
  recurrences,
} from "../../src/index.ts";
import { emit } from "../../src/cli/emit/emit.ts";
import { type Session } from "../../src/cli/session.ts";
import { routingNames } from "../../src/kernels/reference/routing-rule.ts";
import { wasmCache, WasmEngine } from "../../src/kernels/wasm/index.ts";
import { requireOnEngine } from "../../src/kernels/wasm/recurrence/lifted-recurrence.ts";
import { values } from "../contract/legal-selectors.ts";
import { readSource } from "../docs/blocks.ts";

/** Parts that are nothing, or belong to the embeddings of models. */
const elsewhere: ReadonlySet<string> = new Set(["nope", "all", "learned", "sinusoidal"]);

const namesOf = (factories: readonly Pick<AnyPartFactory, "definition">[]): string[] =>
  factories.map(({ definition }) => definition.selector).filter((name) => !elsewhere.has(name));
const parts = Object.values(partFactories).flatMap(namesOf);
const rules = recurrences.map(({ definition }) => definition.selector);

interface Row {
  readonly names: readonly string[];
  /** reference, jax, wasm, decoding, emit. */
  readonly marks: readonly boolean[];
}

function rowsOf(page: string): Row[] {
  return readSource(page)
    .split("\n")
    .filter((line) => /^\|.*[🟢🔴]/u.test(line))
    .map((line) => {
      const [title = "", ...marks] = line.split("|").slice(1, -1);
      return {
        names: [...title.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name),
        marks: marks.map((mark) => mark.trim() === "🟢"),
      };
    });
}

const rows = rowsOf("README.md");
const marksOf = (name: string): readonly boolean[] | undefined =>
  rows.find(({ names }) => names.includes(name))?.marks;

test("every part, rule and routing has one row, the same in both languages", () => {
  expect(rows.flatMap(({ names }) => names).sort()).toEqual([...parts, ...rules, ...routingNames].sort());
  expect(rowsOf("README.zh.md")).toEqual(rows);
});

test("every part is in the contract suite, which the first three columns stand for", () => {
  const written = Object.values(values).flatMap((selectors) => selectors.flatMap((text) => text.split("+")));
  const tested = new Set(written.map((text) => text.split(":")[0]));
  expect(parts.filter((name) => !tested.has(name))).toEqual([]);
});

/** A selector with the part in it. */
function selectorWith(kind: string, name: string): string {
  const text = (values as Readonly<Record<string, readonly string[]>>)[kind]
    ?.flatMap((selector) => selector.split("+"))
    .find((part) => part.split(":")[0] === name);
  if (kind === "similarity") return `${text}+causal`;
  const similarity = name === "centroid" ? "lorentz" : name === "maxplus" ? "tropical+none" : "dot";
  return `${similarity}+${text}${kind === "pattern" ? "" : "+causal"}`;
}

const session = { terminal: {}, print: async () => undefined, tell: () => undefined, next: () => undefined };

async function isEmitted(spec: string): Promise<boolean> {
  const options = { spec, device: "wasm", width: 16, format: "wat", json: true } as const;
  return emit(options, session as unknown as Session).then(
    () => true,
    () => false,
  );
}

function works(act: () => unknown): boolean {
  try {
    act();
    return true;
  } catch {
    return false;
  }
}

const engine = new WasmEngine();

describe("a row says what happens", () => {
  const all = Object.entries(partFactories).flatMap(([kind, made]) =>
    namesOf(made).map((name) => [name, selectorWith(kind, name)] as const),
  );
  test.each(all)("of %s, as in %s", async (name, selector) => {
    const composition = compose(completeSelector(parseSelector(selector), {}));
    const isDecoded = works(() => wasmCache(engine, composition, { heads: 1, width: 16 }).dispose());
    expect([true, true, true, isDecoded, await isEmitted(selector)]).toEqual(marksOf(name));
  });

  test.each(rules)("of %s", async (name) => {
    const isOnEngine = works(() => requireOnEngine(parseRecurrence(name).rule));
    // A decoder keeps the state of every rule; jax-js has a form of none, which `attend` says.
    expect([true, false, isOnEngine, true, await isEmitted(name)]).toEqual(marksOf(name));
  });
});
