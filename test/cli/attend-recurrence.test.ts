/** @file `attend` with rules of the recurrent class: the files hold what the library computes. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  parseRecurrence,
  random,
  recurrenceBackward,
  recurrenceForward,
  type RecurrenceInputs,
  type Tensor64,
  tensor64,
} from "../../src/index.ts";
import { sayingFileNames } from "../../src/cli/attend/file-names.ts";
import { attendRecurrence } from "../../src/cli/attend/recurrence.ts";
import { expectFile, writeInputs } from "./attention-file.ts";
import { cli, temporaryFolder, useBuiltCli } from "./run-cli.ts";

useBuiltCli();
const folder = temporaryFolder();

/** Float64 in, float64 out: the same operations on the same numbers. */
const exact = 0;
/** Sums of some dozens of products in float32, of inputs that were rounded to it. */
const kernelRounding = 1e-5;
/** One rounding of a float32. */
const float32Rounding = 2 ** -24;

const stream = random("attend recurrence");
const draw = (shape: readonly number[], value = (): number => stream.normal()): Tensor64 =>
  tensor64(Float64Array.from({ length: shape.reduce((a, b) => a * b) }, value), shape);
const part = (): number => 0.1 + 0.8 * stream.uniform();

const [q, k, v] = [draw([2, 4, 6, 3]), draw([2, 2, 6, 3]), draw([2, 2, 6, 5])];
const [decay, beta] = [draw([2, 2, 6], part), draw([2, 2, 6], part)];
const rates = draw([2, 3], part);
const state = draw([2, 4, 3, 5]);
const [dout, dstate] = [draw([2, 4, 6, 5]), draw([2, 4, 3, 5])];

const attend = (spec: string, input: string, ...more: readonly string[]): ReturnType<typeof cli> =>
  cli(["attend", "--spec", spec, "--in", input, "--out", join(folder, "out.safetensors"), ...more]);

describe("attend with a recurrence", () => {
  test("writes out, the last state and gradients by every input of the file", async () => {
    const input = await writeInputs(folder, "gated", { q, k, v, decay, beta, state, dout, dstate });
    const { code, stdout } = await attend("gated-deltanet:chunk=3", input, "--backward");
    expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
    const composition = parseRecurrence("gated-deltanet:chunk=3");
    const inputs: RecurrenceInputs<Tensor64> = { q, k, v, decay, beta, state };
    const { out, state: last } = recurrenceForward(composition, inputs);
    const gradients = recurrenceBackward(composition, inputs, { dOut: dout, dState: dstate });
    const { dq, dk, dv, dDecay, dBeta, dState } = gradients as Required<typeof gradients>;
    const expected = { out, state: last, dq, dk, dv, ddecay: dDecay, dbeta: dBeta, dstate: dState };
    await expectFile(join(folder, "out.safetensors"), expected, exact);
  });

  test.each([
    ["reference", exact],
    ["wasm", kernelRounding],
  ])("turns queries and keys from the place that is given, on %s", async (device, tolerance) => {
    const input = await writeInputs(folder, "turned", { q, k, v, state, dout });
    const spec = "retnet+rope:theta=9,dims=2";
    const { code } = await attend(spec, input, "--backward", "--offset", "4", "--device", device);
    expect(code).toBe(0);
    const composition = parseRecurrence(spec);
    const inputs: RecurrenceInputs<Tensor64> = { q, k, v, state };
    const { out, state: last } = recurrenceForward(composition, inputs, undefined, 4);
    const gradients = recurrenceBackward(composition, inputs, { dOut: dout }, 4);
    const { dq, dk, dv, dState } = gradients as Required<typeof gradients>;
    const expected = { out, state: last, dq, dk, dv, dstate: dState };
    await expectFile(join(folder, "out.safetensors"), expected, tolerance);
  });

  test("rounds to F32 where the inputs are, and says what it did not use", async () => {
    const narrow = (tensor: Tensor64): { data: Float32Array; shape: readonly number[] } => ({
      data: Float32Array.from(tensor.data),
      shape: tensor.shape,
    });
    const short = { q: narrow(q), k: narrow(k), v: narrow(v) };
    const input = await writeInputs(folder, "short", { ...short, mask: narrow(q) });
    const { code, stderr } = await attend("linear:map=hedgehog", input);
    expect(code).toBe(0);
    expect(stderr).toMatch(/not used from .*: mask/);
    const { out, state: last } = recurrenceForward(parseRecurrence("linear:map=hedgehog"), short);
    await expectFile(join(folder, "out.safetensors"), { out, state: last }, float32Rounding);
  });

  test("computes on the fused kernels in float32, and says that it rounded", async () => {
    const input = await writeInputs(folder, "kernels", { q, k, v, decay, beta, state, dout, dstate });
    const { code, stderr } = await attend("gated-deltanet", input, "--backward", "--device", "wasm");
    expect(code).toBe(0);
    expect(stderr).toMatch(/wasm/);
    const composition = parseRecurrence("gated-deltanet");
    const inputs: RecurrenceInputs<Tensor64> = { q, k, v, decay, beta, state };
    const { out, state: last } = recurrenceForward(composition, inputs);
    const gradients = recurrenceBackward(composition, inputs, { dOut: dout, dState: dstate });
    const { dq, dk, dv, dDecay, dBeta, dState } = gradients as Required<typeof gradients>;
    const expected = { out, state: last, dq, dk, dv, ddecay: dDecay, dbeta: dBeta, dstate: dState };
    await expectFile(join(folder, "out.safetensors"), expected, kernelRounding);
  });

  test("refuses what it cannot do, in one line that says what to do", async () => {
    const input = await writeInputs(folder, "bare", { q, k, v });
    const refusals = await Promise.all([
      attend("gla", input),
      attend("retnet", input, "--device", "jax"),
      attend(
        "rwkv4:chunk=3",
        await writeInputs(folder, "channels", { k, v: k, decay: rates, u: rates }),
        "--device",
        "wasm",
      ),
      attend("retnet", input, "--return", "weights"),
      attend("retnet:chunk=4", input),
      attend("retnet+window:w=3", input),
      attend("retnt", input),
      attend("retnet", input, "--backward"),
      attend("rwkv4", input, "--device", "jax"),
    ]);
    expect(refusals.map(({ code }) => code)).toEqual([2, 4, 2, 2, 2, 2, 2, 3, 4]);
    const says = [
      /'decay' or 'log_decay'/,
      /reference and on wasm/,
      /chunks have 64 tokens/,
      /Drop it/,
      /left over/,
      /forget by decay/,
      /'retnet'/,
      /dout/,
      /the reference alone/,
    ];
    refusals.forEach(({ stderr }, index) => expect(stderr).toMatch(says[index] ?? "nothing"));
  });
});

describe("what does not fit a rule is one error on every device, by the names of the file", () => {
  const channels = draw([2, 2, 6, 3], part);
  const with7 = (value: number): Tensor64 => ({
    ...channels,
    data: channels.data.map((kept, place) => (place === 7 ? value : kept)),
  });
  test.each<[string, string, Record<string, Tensor64>, RegExp]>([
    ["a decay of 1", "gla", { decay: with7(1) }, /decay must be within \(0, 1\): 1\. .* log_decay/],
    ["a decay of 0", "gla", { decay: with7(0) }, /decay must be within \(0, 1\): 0\./],
    ["a decay below 0", "rwkv6", { decay: with7(-0.5), u: rates }, /decay must be within \(0, 1\): -0\.5/],
    ["a logarithm above 0", "gla", { log_decay: with7(0.1) }, /log_decay must be the logarithm of a decay/],
    ["both", "gla", { decay: channels, log_decay: with7(-1) }, /'decay' or 'log_decay': both were given/],
    ["a decay per head", "gla", { decay }, /decay must be \[B, G, N, D\] = \[2, 2, 6, 3\]: \[2, 2, 6\]/],
    [
      "a strength above 1",
      "deltanet",
      { beta: draw([2, 2, 6], () => 1.5) },
      /beta must be within \[0, 1\]: 1\.5/,
    ],
    [
      "a state of other widths",
      "retnet",
      { state: draw([2, 4, 5, 3]) },
      /state must be \[B, H, D, E\] = \[2, 4, 3, 5\]/,
    ],
    ["its gradient", "retnet", { dout, dstate: draw([2, 4, 5, 3]) }, /dstate must be \[2, 4, 3, 5\]/],
    [
      "a parameter of no rule",
      "retnet",
      { "param.tau": rates },
      /no such parameter: it has none\. Leave it out/,
    ],
  ])("%s", async (name, spec, tensors, message) => {
    const path = await writeInputs(folder, `misfit ${name}`, { q, k, v, ...tensors });
    for (const device of ["reference", "wasm"] as const) {
      const options = {
        spec,
        in: path,
        out: join(folder, "never"),
        device,
        seed: 0,
        backward: "dout" in tensors,
      };
      const failed = sayingFileNames(() => attendRecurrence(parseRecurrence(spec), options));
      await expect(failed).rejects.toThrow(message);
    }
  });
});

test("commands that compare pairs say where recurrences can be used", async () => {
  const { stderr, code } = await cli(["compare", "--task", "hierarchy", "--similarity", "l2,retnet"]);
  expect(code).toBe(2);
  expect(stderr).toMatch(/recurrent class.*attend, emit, inspect and list/);
});
