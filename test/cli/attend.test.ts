import { link, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readSafetensors } from "../../src/checkpoints/safetensors-file.node.ts";
import { calibrate, compose, completeSelector, parseSelector, tensor64 } from "../../src/index.ts";
import {
  drawInputs,
  expectedResults,
  expectFile,
  oddSizes,
  usedParameters,
  writeInputs,
} from "./attention-file.ts";
import { cli, cliJson, temporaryFolder, useBuiltCli } from "./run-cli.ts";

useBuiltCli();
const folder = temporaryFolder();
const at = (name: string): string => join(folder, name);

/** One rounding of a float32. */
const float32Rounding = 2 ** -24;
/** Nothing is rounded between the library and the file. */
const exact = 0;
/** float32 kernels: sums of a few dozen products, each with one rounding, and functions of them. */
const float32Kernel = 2e-5;

const tensors = drawInputs(oddSizes, "F32");
const input = await writeInputs(folder, "in.safetensors", tensors);

describe("attend on the reference", () => {
  test.each([
    "dot+full",
    "l2+rope+causal",
    "cosine:beta=learned+alibi+causal+topk:k=2",
    "lorentz+causal+centroid",
    "poincare+window:w=2",
    "mahalanobis+causal+softmax:sink=learned",
    "dot+full+sigmoid:bias=learned",
    "tropical+full+maxplus",
  ])("writes what the library computes for %s, forward and backward", async (selector) => {
    const out = at(`${selector.replaceAll(/\W/g, "-")}.safetensors`);
    const { code, stdout, stderr } = await cli([
      "attend",
      "--spec",
      selector,
      "--in",
      input,
      "--out",
      out,
      "--backward",
    ]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    expect(stderr).toMatch(/\nNext: .* inspect /);
    await expectFile(
      out,
      expectedResults(selector, tensors, { parameters: await usedParameters(out) }),
      float32Rounding,
    );
    const { metadata } = await readSafetensors(out);
    expect(Object.fromEntries(metadata)).toEqual({
      selector,
      device: "reference",
      version: expect.any(String) as string,
    });
  });

  test("reads and writes float64 without rounding, the scale too", async () => {
    const doubles = drawInputs(oddSizes, "F64");
    const [path, out] = [await writeInputs(folder, "in64.safetensors", doubles), at("out64.safetensors")];
    await cli(["attend", "--spec", "dot+full", "--in", path, "--out", out, "--backward", "--scale", "0.1"]);
    const scale = tensor64(new Float64Array(oddSizes.heads).fill(0.1), [oddSizes.heads]);
    await expectFile(out, expectedResults("dot+full", doubles, { parameters: { scale } }), exact);
    const { tensors: written } = await readSafetensors(out);
    expect(written.get("out")?.dtype).toBe("F64");
    expect(written.get("param.scale")?.data[0]).toBe(0.1);
  });

  test("takes bias, mask, key lengths, parameters and an offset", async () => {
    const { batch, heads, queries, keys } = oddSizes;
    const bias = {
      shape: [1, heads, queries, keys],
      data: Float32Array.from({ length: heads * queries * keys }, (_, i) => Math.sin(i)),
    };
    const mask = {
      shape: [1, 1, queries, keys],
      data: Uint8Array.from({ length: queries * keys }, (_, i) => (i % 4 === 3 ? 0 : 1)),
    };
    const lengths = { shape: [batch], data: Int32Array.of(5, 3) };
    const beta = { shape: [heads], data: Float32Array.of(0.5, 1, 1.5, 2) };
    const path = await writeInputs(folder, "more.safetensors", {
      ...tensors,
      bias,
      mask,
      key_lengths: lengths,
      "param.beta": beta,
    });
    const out = at("more-out.safetensors");
    await cli(["attend", "--spec", "l2+causal", "--in", path, "--out", out, "--backward", "--offset", "2"]);
    const wanted = expectedResults("l2+causal", tensors, {
      bias: tensor64(Float64Array.from(bias.data), bias.shape),
      mask,
      keyLengths: [5, 3],
      offset: 2,
      parameters: { beta: tensor64(Float64Array.from(beta.data), beta.shape) },
    });
    await expectFile(out, wanted, float32Rounding);
  });

  test("takes key lengths as a flag, and writes scores and weights when asked to", async () => {
    const out = at("weights.safetensors");
    const flags = ["--key-lengths", "2,5", "--return", "scores,weights"];
    await cli(["attend", "--spec", "dot+full", "--in", input, "--out", out, ...flags]);
    const { tensors: written } = await readSafetensors(out);
    expect([...written.keys()].sort()).toEqual(["lse", "out", "param.scale", "scores", "weights"]);
    expect(Array.from<number | bigint>(written.get("weights")?.data.slice(2, 5) ?? [])).toEqual([0, 0, 0]);
    expect(Array.from<number | bigint>(written.get("scores")?.data.slice(2, 5) ?? [])).toEqual([
      -Infinity,
      -Infinity,
      -Infinity,
    ]);
  });

  test("a row without keys gives zeros, log-sum-exp −∞ and no gradient", async () => {
    const out = at("empty-row.safetensors");
    await cli([
      "attend",
      "--spec",
      "dot+full",
      "--in",
      input,
      "--out",
      out,
      "--backward",
      "--key-lengths",
      "0,5",
    ]);
    await expectFile(
      out,
      expectedResults("dot+full", tensors, { keyLengths: [0, 5], parameters: await usedParameters(out) }),
      float32Rounding,
    );
    const { tensors: written } = await readSafetensors(out);
    expect(written.get("lse")?.data[0]).toBe(-Infinity);
  });

  test("calibrates `auto` on its inputs and writes the temperature used", async () => {
    const out = at("auto.safetensors");
    await cli(["attend", "--spec", "l2:beta=auto+full", "--in", input, "--out", out]);
    const { tensors: written } = await readSafetensors(out);
    const composition = compose(completeSelector(parseSelector("l2:beta=auto+full"), {}));
    const { q, k, v } = tensors as Record<"q" | "k" | "v", { data: Float32Array; shape: readonly number[] }>;
    const { beta } = calibrate(composition, { q, k, v });
    expect(written.get("param.beta")?.data).toEqual(Float32Array.from(beta?.data ?? []));
  });

  test("a seed decides drawn parameters, which are written", async () => {
    const drawn: unknown[] = [];
    for (const seed of ["3", "3", "4"]) {
      const out = at(`seed-${drawn.length}.safetensors`);
      await cli([
        "attend",
        "--spec",
        "dot+log-cpb:hidden=4+full",
        "--in",
        input,
        "--out",
        out,
        "--seed",
        seed,
      ]);
      drawn.push((await readSafetensors(out)).tensors.get("param.log-cpb.outWeight")?.data);
    }
    expect(drawn[0]).toEqual(drawn[1]);
    expect(drawn[0]).not.toEqual(drawn[2]);
  });

  test("widens half floats", async () => {
    const halves = (bits: number): Buffer => Buffer.from(Uint16Array.from({ length: 4 }, () => bits).buffer);
    const header = (dtype: string): string =>
      JSON.stringify(
        Object.fromEntries(
          ["q", "k", "v"].map((name, i) => [
            name,
            { dtype, shape: [1, 1, 2, 2], data_offsets: [8 * i, 8 * i + 8] },
          ]),
        ),
      );
    for (const [dtype, one] of [
      ["F16", 0x3c00],
      ["BF16", 0x3f80],
    ] as const) {
      const text = Buffer.from(header(dtype));
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(text.length));
      const path = at(`${dtype}.safetensors`);
      await writeFile(path, Buffer.concat([length, text, halves(one), halves(one), halves(one)]));
      const out = at(`${dtype}-out.safetensors`);
      expect((await cli(["attend", "--spec", "dot+full", "--in", path, "--out", out])).code).toBe(0);
      expect((await readSafetensors(out)).tensors.get("out")?.data).toEqual(Float32Array.of(1, 1, 1, 1));
    }
  });

  test("names tensors that it did not use", async () => {
    const path = await writeInputs(folder, "extra.safetensors", {
      ...tensors,
      spare: { shape: [1], data: Float32Array.of(1) },
    });
    const out = at("extra-out.safetensors");
    const document = await cliJson<{ unread: string[] }>([
      "attend",
      "--spec",
      "dot+full",
      "--in",
      path,
      "--out",
      out,
    ]);
    expect(document.unread.sort()).toEqual(["dout", "spare"]);
  });

  test("gives the same bytes again", async () => {
    const [one, two] = [at("one.safetensors"), at("two.safetensors")];
    for (const out of [one, two])
      await cli(["attend", "--spec", "cauchy+causal", "--in", input, "--out", out, "--backward"]);
    expect(await readFile(one)).toEqual(await readFile(two));
  });
});

describe.each(["jax", "wasm"])("attend on %s", (device) => {
  test.each(["l2+rope+causal", "lorentz:c=learned+centroid+full", "dot+softmax:sink=learned+causal"])(
    "equals the reference for %s, with shared keys, forward and backward",
    async (selector) => {
      const out = at(`${device}.safetensors`);
      const { code, stderr } = await cli([
        "attend",
        "--spec",
        selector,
        "--in",
        input,
        "--out",
        out,
        "--backward",
        "--device",
        device,
      ]);
      expect({ code, stderr }).toMatchObject({ code: 0 });
      await expectFile(out, expectedResults(selector, tensors), float32Kernel);
    },
  );

  test("says that it rounds float64", async () => {
    const path = await writeInputs(folder, `in64-${device}.safetensors`, drawInputs(oddSizes, "F64"));
    const { stderr } = await cli([
      "attend",
      "--spec",
      "dot+full",
      "--in",
      path,
      "--out",
      at("o.safetensors"),
      "--device",
      device,
    ]);
    expect(stderr).toContain("F64 inputs are rounded to F32");
  });
});

describe("what attend leaves behind", () => {
  test("never replaces its input, by whatever name", async () => {
    const alias = at("alias.safetensors");
    await link(input, alias);
    const before = await readFile(input);
    for (const out of [input, alias, at("./in.safetensors")]) {
      const { code, stderr } = await cli(["attend", "--spec", "dot+full", "--in", input, "--out", out]);
      expect(code).toBe(2);
      expect(stderr).toContain("both are one file");
    }
    expect(await readFile(input)).toEqual(before);
  });

  test("no temporary files", async () => {
    expect((await readdir(folder)).filter((name) => name.includes(".tmp"))).toEqual([]);
  });
});
