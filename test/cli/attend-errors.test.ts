import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { encodeSafetensors, type WritableTensor } from "../../src/checkpoints/index.ts";
import { drawInputs, oddSizes, writeInputs } from "./attention-file.ts";
import { cli, temporaryFolder, useBuiltCli } from "./run-cli.ts";

useBuiltCli();
const folder = temporaryFolder();
const tensors = drawInputs(oddSizes, "F32");
const good = await writeInputs(folder, "good.safetensors", tensors);
const outName = "never-written.safetensors";
const out = join(folder, outName);

/** One clear error: one line, worded as all are, and nothing else on stdout or on the disk. */
async function expectError(flags: readonly string[], code: number, words: string): Promise<void> {
  const result = await cli(["attend", "--out", out, ...flags]);
  expect(result.stderr).toMatch(/^Error: Cannot [^\n]+\n$/);
  expect(result.stderr).toContain(words);
  const left = (await readdir(folder)).filter((name) => name === outName || name.includes(".tmp"));
  expect({ code: result.code, stdout: result.stdout, left }).toEqual({ code, stdout: "", left: [] });
}

describe("a selector that cannot be used", () => {
  test.each([
    ["dot", 2, "Write dot+full or dot+causal"],
    ["cosin+full", 2, "Did you mean 'cosine'"],
    ["l1+rope+full", 2, "not invariant to rotations"],
    ["dot+maxplus+softmax+full", 2, "Use the normaliser none"],
    ["dot+sinusoidal+full", 2, "Use rope, alibi or log-cpb"],
  ])("%s", async (spec, code, words) => {
    await expectError(["--spec", spec, "--in", good], code, words);
  });
});

describe("flags that cannot be used", () => {
  test.each([
    [["--device", "cuda"], 2, "reference, jax, wasm"],
    [["--return", "lse"], 2, "scores, weights"],
    [["--offset", "half"], 2, "--offset"],
    [["--key-lengths", "5"], 2, "one length of"],
    [["--backwards"], 2, "Did you mean '--backward'"],
    [["--out", join(folder, "no-such-folder", "x")], 3, "Make the folder first"],
    [["--out", folder], 3, "regular file"],
  ])("%j", async (flags, code, words) => {
    await expectError(["--spec", "dot+full", "--in", good, ...flags], code, words);
  });

  test("a scale where no single factor is there", async () => {
    await expectError(
      ["--spec", "product:members=dot/l2+full", "--in", good, "--scale", "2"],
      2,
      "no single factor",
    );
  });
});

describe("tensors that do not fit", () => {
  const changed = (name: string, change: Partial<WritableTensor>): Record<string, WritableTensor> => ({
    ...tensors,
    [name]: { data: new Float32Array(), shape: [], ...tensors[name], ...change },
  });
  const nan = Float32Array.from(tensors["k"]?.data ?? []);
  nan[7] = Number.NaN;
  const tooFewHeads = { shape: [2, 3, 5, 6], data: new Float32Array(180) };
  const cases: readonly [string, Record<string, WritableTensor>, number, string][] = [
    [
      "no dout",
      Object.fromEntries(Object.entries(tensors).filter(([name]) => name !== "dout")),
      3,
      "must hold dout",
    ],
    ["three axes", changed("q", { shape: [8, 3, 6] }), 2, "[B, heads, N, width]"],
    [
      "an empty sequence",
      changed("q", { shape: [2, 4, 0, 6], data: new Float32Array() }),
      2,
      "without empty extents",
    ],
    ["unequal widths", changed("q", { shape: [2, 4, 6, 3] }), 2, "the width of q and k"],
    [
      "heads that do not divide",
      { ...tensors, k: tooFewHeads, v: { shape: [2, 3, 5, 3], data: new Float32Array(90) } },
      2,
      "key heads must divide",
    ],
    ["a NaN", changed("k", { data: nan }), 5, "must be finite: NaN at [0, 0, 1, 1]"],
    [
      "an infinity in dout",
      changed("dout", { data: new Float32Array(72).fill(Infinity) }),
      5,
      "must be finite",
    ],
    [
      "dout of another shape",
      changed("dout", { shape: [2, 4, 3, 1], data: new Float32Array(24) }),
      2,
      "shape of the output",
    ],
    ["integer q", changed("q", { data: new Int32Array(144) }), 2, "dtype must be F64, F32, F16 or BF16"],
    [
      "a float mask",
      { ...tensors, mask: { shape: [1, 1, 3, 5], data: new Float32Array(15) } },
      2,
      "dtype must be U8 or BOOL",
    ],
    [
      "float key lengths",
      { ...tensors, key_lengths: { shape: [2], data: new Float32Array(2) } },
      2,
      "an integer type",
    ],
    [
      "an unknown parameter",
      { ...tensors, "param.bet": { shape: [4], data: new Float32Array(4) } },
      2,
      "Did you mean 'scale'",
    ],
    [
      "a parameter outside its domain",
      { ...tensors, "param.scale": { shape: [4], data: new Float32Array(4) } },
      2,
      "above zero",
    ],
    ["results that overflow", changed("v", { data: new Float32Array(60).fill(3e38) }), 5, "must be finite"],
  ];

  test.each(cases)("%s", async (name, bad, code, words) => {
    const path = await writeInputs(folder, `bad-${name.replaceAll(" ", "-")}.safetensors`, bad);
    const spec = name === "results that overflow" ? "dot+sigmoid:bias=5+full" : "dot+full";
    await expectError(["--spec", spec, "--in", path, "--backward"], code, words);
  });

  test("an odd width under coordinates that come in pairs", async () => {
    const path = await writeInputs(folder, "odd.safetensors", drawInputs({ ...oddSizes, width: 5 }, "F32"));
    await expectError(["--spec", "complex+full", "--in", path], 2, "Use an even head width");
  });

  test("scores of all pairs that no memory holds", async () => {
    const long = { shape: [1, 1, 3_000_000, 1], data: new Float32Array(3_000_000) };
    const path = await writeInputs(folder, "long.safetensors", { q: long, k: long, v: long });
    await expectError(["--spec", "dot+full", "--in", path], 2, "must fit in memory");
  });

  test("key lengths from two places", async () => {
    const path = await writeInputs(folder, "twice.safetensors", {
      ...tensors,
      key_lengths: { shape: [2], data: Int32Array.of(1, 1) },
    });
    await expectError(["--spec", "dot+full", "--in", path, "--key-lengths", "1,1"], 2, "from one place");
  });

  test("a scale that the file gives too", async () => {
    const scale = { shape: [4], data: new Float32Array(4).fill(1) };
    const path = await writeInputs(folder, "scale.safetensors", { ...tensors, "param.scale": scale });
    await expectError(["--spec", "dot+full", "--in", path, "--scale", "2"], 2, "both were given");
  });
});

describe("files that are absent, cut short or hostile", () => {
  const bytes = encodeSafetensors(tensors);
  const withHeader = (header: unknown, dataBytes = 64): Uint8Array => {
    const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
    const file = new Uint8Array(8 + text.length + dataBytes);
    new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
    file.set(text, 8);
    return file;
  };
  const tensorAt = (begin: number, end: number, shape: readonly number[] = [1, 1, 1, 4]): object => ({
    dtype: "F32",
    shape,
    data_offsets: [begin, end],
  });
  const gigabyteHeader = new Uint8Array(16);
  new DataView(gigabyteHeader.buffer).setBigUint64(0, 2n ** 30n, true);
  const cases: readonly [string, Uint8Array, string][] = [
    ["empty", new Uint8Array(), "8-byte length"],
    ["cut short", bytes.slice(0, -5), "cover its data exactly once"],
    ["with a header of a gigabyte", gigabyteHeader, "at most 100000000 bytes"],
    [
      "overlapping",
      withHeader({ q: tensorAt(0, 16), k: tensorAt(8, 24), v: tensorAt(24, 40) }, 40),
      "an overlap",
    ],
    ["lying about its shape", withHeader({ q: tensorAt(0, 16, [1, 1, 1, 1e15]) }, 16), "shape"],
  ];

  test.each(cases)("%s", async (name, content, words) => {
    const path = join(folder, `hostile-${name.replaceAll(/\W/g, "-")}`);
    await writeFile(path, content);
    await expectError(["--spec", "dot+full", "--in", path], 3, words);
  });

  test.each([
    ["absent", join(folder, "absent"), "Check the path"],
    ["a folder", folder, "regular file"],
    ["a device", "/dev/zero", "regular file"],
  ])("%s", async (_, path, words) => {
    await expectError(["--spec", "dot+full", "--in", path], 3, words);
  });
});
