/** @file The public recurrence: calls, steps, gradients, and what it refuses. */
import { describe, expect, it } from "vitest";
import { random } from "../base/random.ts";
import { sizeOf, type Tensor, tensor } from "../base/tensor.ts";
import { causal, full } from "../patterns/index.ts";
import { nope, rope } from "../positions/index.ts";
import { type RecurrenceBackend, recurrentReference } from "./backend.ts";
import { deltanet } from "./deltanet.ts";
import { gla } from "./gla.ts";
import { linear } from "./linear.ts";
import { performer } from "./performer.ts";
import { recurrence } from "./recurrence.ts";
import { retnet } from "./retnet.ts";
import { rwkv4 } from "./rwkv4.ts";

const stream = random("recurrence");
const normals = (...shape: readonly number[]): Tensor => tensor(stream.normals(sizeOf(shape)), shape);
const uniforms = (...shape: readonly number[]): Tensor =>
  tensor(
    Array.from({ length: sizeOf(shape) }, () => 0.1 + 0.8 * stream.uniform()),
    shape,
  );
const code = (expected: string, name: string): unknown => expect.objectContaining({ name, code: expected });
const filled = (value: number, shape: readonly number[]): Tensor =>
  tensor(new Float32Array(sizeOf(shape)).fill(value), shape);

const [q, k, v] = [normals(2, 4, 6, 8), normals(2, 4, 6, 8), normals(2, 4, 6, 5)];
const decay = uniforms(2, 4, 6, 8);

describe("a recurrence", () => {
  it("returns outputs and the last state, and has a selector", async () => {
    const attend = recurrence({ rule: gla({ chunk: 3 }), pattern: causal() });
    const { out, state } = await attend({ q, k, v, decay });
    expect(out.shape).toEqual([2, 4, 6, 5]);
    expect(state.shape).toEqual([2, 4, 8, 5]);
    expect(attend.selector).toBe("gla:chunk=3");
  });

  it.each([nope(), rope({ theta: 50 })])(
    "steps through tokens in the memory of one state: $name",
    async (position) => {
      const attend = recurrence({ rule: retnet({ chunk: 3 }), position });
      const whole = await attend({ q, k, v });
      const at = ({ data, shape }: Tensor, t: number): Tensor =>
        tensor(
          data.filter((_, place) => Math.floor(place / shape[3]) % 6 === t),
          [2, 4, 1, shape[3]],
        );
      let state: Tensor | undefined;
      for (let t = 0; t < 6; t++) {
        const place = position.name === "rope" ? { offset: t } : {};
        const token = { q: at(q, t), k: at(k, t), v: at(v, t), ...place };
        const result = await attend.step(state === undefined ? token : { ...token, state });
        // The state is rounded to f32 between tokens.
        const expected = at(whole.out, t);
        result.out.data.forEach((x, place) => expect(Math.abs(x - expected.data[place])).toBeLessThan(1e-5));
        ({ state } = result);
        expect(state.shape).toEqual([2, 4, 8, 5]);
      }
      await expect(attend.step({ q, k, v })).rejects.toThrow(code("step-length", "ShapeError"));
    },
  );

  it("keeps its digits from call to call where the state has scales of any size", async () => {
    // The largest logarithms are about −300²/(2√8) = −16,000, which float32 knows to 1e-3 only; queries opposite to keys
    // let all features count alike, so that every scale shows in the outputs.
    const far = (tensor: Tensor, side: number): Tensor => ({
      ...tensor,
      data: tensor.data.map((x, at) => (at % 8 === 0 ? 300 * side : x)),
    });
    const tokens = ({ data, shape }: Tensor, isLater: boolean): Tensor =>
      tensor(
        data.filter((_, at) => Math.floor(at / shape[3]) % 6 >= 3 === isLater),
        [2, 4, 3, shape[3]],
      );
    const inputs = { q: far(q, -1), k: far(k, 1), v };
    const half = (isLater: boolean): Record<"q" | "k" | "v", Tensor> => ({
      q: tokens(inputs.q, isLater),
      k: tokens(inputs.k, isLater),
      v: tokens(inputs.v, isLater),
    });
    const attend = recurrence({ rule: performer({ features: 8 }) });
    const whole = tokens((await attend(inputs)).out, true);
    const { state } = await attend(half(false));
    const rest = await attend({ ...half(true), state });
    rest.out.data.forEach((x, at) => expect(Math.abs(x - whole.data[at])).toBeLessThan(2e-6));
  });

  it("names gradients by inputs, of those that were given alone", async () => {
    const attend = recurrence({ rule: gla() });
    const dOut = normals(2, 4, 6, 5);
    const gradients = await attend.backward({ q, k, v, decay, dOut });
    expect(Object.keys(gradients).sort()).toEqual(["dDecay", "dParameters", "dk", "dq", "dv"]);
    const state = normals(2, 4, 8, 5);
    const logDecay = filled(-0.5, decay.shape);
    const others = await attend.backward({ q, k, v, logDecay, state, dOut, dState: state });
    expect(Object.keys(others).sort()).toEqual(["dLogDecay", "dParameters", "dState", "dk", "dq", "dv"]);
  });

  it("learns its parameters, which start as declared", async () => {
    const attend = recurrence({ rule: linear({ map: "hedgehog" }) });
    const { dParameters } = await attend.backward({ q, k, v, dOut: normals(2, 4, 6, 5) });
    expect(dParameters["projection"].shape).toEqual([4, 8, 8]);
    await expect(attend({ q, k, v, parameters: { w: q } })).rejects.toThrow(
      code("unknown-parameter", "DomainError"),
    );
  });

  it("lets queries see everything where it is asked for", async () => {
    const attend = recurrence({ rule: linear(), pattern: full() });
    const { out } = await attend({ q: normals(2, 4, 3, 8), k, v });
    expect(out.shape).toEqual([2, 4, 3, 5]);
    expect(attend.selector).toBe("linear+full");
  });

  it("runs on the backend that it is given", async () => {
    const calls: string[] = [];
    const backend: RecurrenceBackend = {
      ...recurrentReference,
      forward: (composition, call) => {
        calls.push(`${composition.rule.name} ${composition.rule.chunk ?? "own"} ${call.sizes.tokens}`);
        return recurrentReference.forward(composition, call);
      },
    };
    await recurrence({ rule: retnet({ chunk: 2 }) }, { backend })({ q, k, v });
    expect(calls).toEqual(["retnet 2 6"]);
  });

  it("shares keys among queries where that is allowed", async () => {
    const [shared, values] = [normals(2, 2, 6, 8), normals(2, 2, 6, 5)];
    const attend = recurrence({ rule: retnet() });
    await expect(attend({ q, k: shared, v: values })).rejects.toThrow(code("gqa", "ShapeError"));
    const { out } = await attend({ q, k: shared, v: values, enableGqa: true });
    expect(out.shape).toEqual([2, 4, 6, 5]);
  });
});

describe("a recurrence refuses", () => {
  const gated = recurrence({ rule: gla() });
  const delta = recurrence({ rule: deltanet() });
  const chunked = recurrence({ rule: retnet({ chunk: 4 }) });
  const mix = recurrence({ rule: rwkv4() });
  const beta = uniforms(2, 4, 6);

  it.each([
    ["no decay", () => gated({ q, k, v }), "missing-input", "DomainError", /'decay' or 'logDecay'.*Pass one/],
    [
      "a decay twice",
      () => gated({ q, k, v, decay, logDecay: filled(-1, decay.shape) }),
      "input-twice",
      "DomainError",
      /both were given/,
    ],
    [
      "a decay of 1",
      () => gated({ q, k, v, decay: filled(1, decay.shape) }),
      "decay-domain",
      "DomainError",
      /within \(0, 1\): 1\. .*logDecay/,
    ],
    [
      "a decay of 0",
      () => gated({ q, k, v, decay: filled(0, decay.shape) }),
      "decay-domain",
      "DomainError",
      /within \(0, 1\): 0/,
    ],
    [
      "a log above 0",
      () => gated({ q, k, v, logDecay: filled(0.5, decay.shape) }),
      "decay-domain",
      "DomainError",
      /not above zero: 0.5/,
    ],
    [
      "a strength of 2",
      () => delta({ q, k, v, beta: filled(2, [2, 4, 6]) }),
      "input-domain",
      "DomainError",
      /\[0, 1\]/,
    ],
    ["another's input", () => delta({ q, k, v, beta, u: q }), "unused-input", "DomainError", /'u' was given/],
    [
      "a misspelt input",
      () => delta({ q, k, v, betta: beta } as unknown as Parameters<typeof delta>[0]),
      "unknown-input",
      "DomainError",
      /'beta'/,
    ],
    ["a query of rwkv4", () => mix({ q, k, v: k }), "unused-input", "DomainError", /'q' was given/],
    ["no query", () => delta({ k, v, beta }), "missing-input", "DomainError", /needs 'q'/],
    [
      "chunks that do not divide",
      () => chunked({ q, k, v }),
      "chunk-length",
      "DomainError",
      /6 tokens into chunks of 4/,
    ],
    [
      "a wrong state",
      () => delta({ q, k, v, beta, state: k }),
      "recurrence-shape",
      "ShapeError",
      /\[2, 4, 8, 5\]/,
    ],
    [
      "a wrong length",
      () => delta({ q: normals(2, 4, 5, 8), k, v, beta }),
      "recurrence-shape",
      "ShapeError",
      /q must/,
    ],
    [
      "an offset that nothing reads",
      () => delta({ q, k, v, beta, offset: 2 }),
      "unused-input",
      "DomainError",
      /add \+rope/,
    ],
    [
      "an offset below zero",
      () => recurrence({ rule: retnet(), position: rope() })({ q, k, v, offset: -1 }),
      "offset",
      "DomainError",
      /counts the tokens before the first one: -1/,
    ],
    ["NaN", () => delta({ q, k, v: filled(NaN, v.shape), beta }), "not-finite", "NumbersError", /v /],
    [
      "a wrong gradient",
      () => delta.backward({ q, k, v, beta, dOut: q }),
      "recurrence-shape",
      "ShapeError",
      /dOut must be \[2, 4, 6, 5\]/,
    ],
    [
      "a gradient that is no number",
      () => delta.backward({ q, k, v, beta, dOut: filled(NaN, v.shape) }),
      "not-finite",
      "NumbersError",
      /dOut/,
    ],
  ])("%s", async (_, call, expected, name, says) => {
    await expect(call()).rejects.toThrow(code(expected, name));
    await expect(call()).rejects.toThrow(says);
  });
});
