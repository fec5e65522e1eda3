import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { compose, completeSelector, parseSelector } from "../../src/index.ts";
import { describeKernel } from "../../src/kernels/wasm/index.ts";
import { emit } from "../../src/cli/emit/emit.ts";
import { openSession } from "../../src/cli/session.ts";
import { allowRelaxedSimd } from "../../src/kernels/wasm/engine/pool.node.ts";
import { cli, cliJson, temporaryFolder, useBuiltCli } from "./run-cli.ts";

useBuiltCli();
allowRelaxedSimd();
const folder = temporaryFolder();

interface EmittedDocument {
  readonly selector: string;
  readonly hash: string;
  readonly functions: readonly { name: string; comment: string; instructions: number }[];
  readonly bytes: number;
}

describe("emit", () => {
  test("prints the golden text, and nothing else on stdout", async () => {
    const golden = await readFile(new URL("../golden/dot-causal.wat", import.meta.url), "utf8");
    const { code, stdout, stderr } = await cli(["emit", "--spec", "dot+causal", "--width", "16"]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: golden });
    expect(stderr).toMatch(/^Kernel [0-9a-f]{8} of dot\+causal: .*\nNext: [^\n]+\n$/);
  });

  test("--only prints the functions that it names, and --json tells of them", async () => {
    const flags = ["emit", "--spec", "l2:beta=learned+causal", "--width", "16", "--only", "^rowTerms$"];
    const [{ stdout }, document] = await Promise.all([cli(flags), cliJson<EmittedDocument>(flags)]);
    expect([...stdout.matchAll(/\(func \$(\S+)/g)].slice(0, 1).map(([, name]) => name)).toEqual(["rowTerms"]);
    expect(document.functions.map(({ name }) => name)).toEqual(["rowTerms"]);
    expect(stdout).toContain(`;; ${document.functions[0]?.comment}`);
    expect(stdout).toContain(document.hash);
    // Every instruction is one word after a bracket; a loop's body is printed once.
    const body = stdout.split("\n  (export")[0] ?? "";
    const written = [...body.matchAll(/\(([a-z][\w.]*)/g)].map(([, word]) => word ?? "");
    const structure = new Set(["module", "import", "memory", "func", "param", "local", "then", "else"]);
    const instructions = written.filter((word) => !structure.has(word));
    const comments = [...body.matchAll(/;;.*/g)].flatMap(([line]) => [...line.matchAll(/\(([a-z][\w.]*)/g)]);
    expect(document.functions[0]?.instructions).toBe(instructions.length - comments.length);
  });

  test("--format wasm writes a module that is valid and has the functions of the text", async () => {
    const out = join(folder, "kernel.wasm");
    const flags = ["emit", "--spec", "cosine+alibi+causal+topk:k=8", "--plain-simd", "--bias", "--mask"];
    const document = await cliJson<EmittedDocument>([...flags, "--format", "wasm", "--out", out]);
    const bytes = new Uint8Array(await readFile(out));
    expect(WebAssembly.validate(bytes)).toBe(true);
    expect(document.bytes).toBe(bytes.length);
    expect(namesIn(bytes)).toEqual(document.functions.map(({ name }) => name));
    const { stdout } = await cli(flags);
    expect([...stdout.matchAll(/^ {2}\(func \$([\w.]+)/gm)].map(([, name]) => name)).toEqual(namesIn(bytes));
    expect(WebAssembly.Module.exports(new WebAssembly.Module(bytes)).map(({ name }) => name)).toEqual(
      [...stdout.matchAll(/\(export "(\w+)"/g)].map(([, name]) => name),
    );
  });

  test("options change the code that they are about", async () => {
    const of = async (...flags: readonly string[]): Promise<EmittedDocument> =>
      cliJson(["emit", "--spec", "l2+full", "--width", "8", ...flags]);
    const plain = await of();
    const others = await Promise.all(
      [["--bias"], ["--mask"], ["--plain-simd"], ["--value-width", "16"], ["--width", "16"]].map((flags) =>
        of(...flags),
      ),
    );
    expect(new Set([plain, ...others].map(({ hash }) => hash)).size).toBe(6);
    const kernel = describeKernel(compose(completeSelector(parseSelector("l2+full"), {})), { width: 8 });
    expect({ ...plain, selector: "" }).toEqual({
      selector: "",
      hash: kernel.hash,
      functions: kernel.functions,
      bytes: kernel.bytes.length,
    });
  });

  test("prints the kernel of a recurrence under its own formula", async () => {
    const golden = await readFile(new URL("../golden/rwkv4.wat", import.meta.url), "utf8");
    const { code, stdout, stderr } = await cli(["emit", "--spec", "rwkv4", "--width", "16"]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: golden });
    expect(stderr).toMatch(/^Kernel [0-9a-f]{8} of rwkv4: .*\nNext: [^\n]+ inspect rwkv4\n$/);
  });

  test("prints the kernel of a recurrence's feature map, which the other names", async () => {
    const golden = await readFile(new URL("../golden/feature-map-hedgehog.wat", import.meta.url), "utf8");
    const flags = ["emit", "--spec", "linear:map=hedgehog", "--width", "10", "--only", "Features|Halves"];
    const { stdout, stderr } = await cli([...flags, "--feature-map"]);
    expect(stdout).toBe(golden);
    const [, hash] = /^Kernel ([0-9a-f]{8}) of linear:map=hedgehog:/.exec(stderr)!;
    const own = await cli(["emit", "--spec", "linear:map=hedgehog", "--width", "10", "--only", "^scan$"]);
    expect(own.stdout).toContain(`φ(q) and φ(k) are made by kernel ${hash}, feature map hedgehog`);
  });

  test("refuses bytes on a terminal, and only there", async () => {
    const printed: (string | Uint8Array)[] = [];
    const session = openSession("en", {});
    const onTerminal = {
      ...session,
      terminal: { ...session.terminal, tableColumns: 80 },
      tell: () => undefined,
      next: () => undefined,
      print: (data: string | Uint8Array) => Promise.resolve(void printed.push(data)),
    };
    const options = { spec: "dot+full", device: "wasm", width: 8, format: "wasm" } as const;
    await expect(emit(options, onTerminal)).rejects.toThrow(/a terminal shows text only/);
    expect(printed).toEqual([]);
    await emit({ ...options, format: "wat" }, onTerminal);
    await emit(options, { ...onTerminal, terminal: { ...session.terminal, tableColumns: undefined } });
    expect(printed).toHaveLength(2);
    expect(WebAssembly.validate(Uint8Array.from(printed[1] as Uint8Array))).toBe(true);
  });

  test("tells in Chinese where that is the language", async () => {
    const { stderr } = await cli(["emit", "--spec", "dot+full", "--device", "webgpu", "--lang", "zh"]);
    expect(stderr).toContain("请用 --device wasm");
  });
});

describe("what cannot be emitted", () => {
  const out = join(folder, "never-written");
  test.each([
    [["--spec", "cosin+full"], 2, "Did you mean 'cosine'"],
    [["--spec", "dot"], 2, "Write dot+full or dot+causal"],
    [["--spec", "dot+sinusoidal+full"], 2, "Use rope, alibi or log-cpb"],
    [["--spec", "complex+full", "--width", "5"], 2, "Use an even head width"],
    [["--spec", "gal"], 2, "Did you mean 'gla'"],
    [["--spec", "gla", "--mask"], 2, "--mask was given. Leave it out"],
    [["--spec", "rwkv4", "--width", "8", "--value-width", "9"], 2, "v must be [B, H, N, D] = [1, 1, 1, 8]"],
    [["--spec", "gla", "--feature-map"], 2, "mapped by no kernel"],
    [["--spec", "dot+full", "--feature-map"], 2, "--feature-map was given. Leave it out"],
    [["--spec", "gla:chunk=16"], 2, "chunks have 64 tokens"],
    [[], 2, "needs --spec SELECTOR"],
    [["--spec", "dot+full", "--device", "webgpu"], 4, "not built yet"],
    [["--spec", "dot+full", "--device", "jax"], 4, "no kernels of its own"],
    [["--spec", "dot+full", "--device", "cuda"], 2, "one of wasm"],
    [["--spec", "dot+full", "--only", "("], 2, "a regular expression"],
    [["--spec", "dot+full", "--only", "nothing"], 2, "matches none of packKeys"],
    [["--spec", "dot+full", "--only", "forward", "--format", "wasm"], 2, "Drop one of them"],
    [["--spec", "dot+full", "--format", "wast"], 2, "one of wat, wasm"],
    [["--spec", "dot+full", "--width", "0"], 2, "--width"],
    [["--spec", "dot+full", "--out", join(folder, "no-such-folder", "x")], 3, "Make the folder first"],
  ])("%j", async (flags, code, words) => {
    const result = await cli(["emit", "--out", out, ...flags]);
    expect(result.stderr).toMatch(/^Error: Cannot [^\n]+\n$/);
    expect(result.stderr).toContain(words);
    const left = (await readdir(folder)).filter((name) => /never-written|\.tmp/.test(name));
    expect({ code: result.code, stdout: result.stdout, left }).toEqual({ code, stdout: "", left: [] });
  });
});

/** The functions' names of a module's name section, in order. */
function namesIn(bytes: Uint8Array<ArrayBuffer>): string[] {
  const [section] = WebAssembly.Module.customSections(new WebAssembly.Module(bytes), "name");
  const data = new Uint8Array(section ?? new ArrayBuffer(0));
  let at = 1;
  const number = (): number => {
    let [value, shift] = [0, 0];
    for (;;) {
      const byte = data[at++] ?? 0;
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
      shift += 7;
    }
  };
  expect(data[0]).toBe(1);
  number();
  return Array.from({ length: number() }, () => {
    number();
    const length = number();
    at += length;
    return new TextDecoder().decode(data.subarray(at - length, at));
  });
}
