/**
 * @file The fused recurrence against its f64 reference: outputs, last state and gradients of every core at odd sizes, on
 * one thread and on two, on memory full of NaN; causality to the bit; decays that leave nothing.
 */
import { afterAll, describe, expect, test } from "vitest";
import { random } from "../../../base/random.ts";
import { narrow, type Tensor, type Tensor64, tensor } from "../../../base/tensor.ts";
import { cores, randomCall } from "../../../recurrence/core-fixtures.ts";
import { coreBackward, coreForward } from "../../../recurrence/index.ts";
import { type Core, type CoreInputs } from "../../../recurrence/core.ts";
import { hasRelaxedSimd } from "../engine/engine.ts";
import { nodeEngine } from "../engine/pool.node.ts";
import { fusedRecurrence, fusedRecurrenceBackward } from "./fused-recurrence.ts";

/** Sums of hundreds of products in float32, 2⁻²⁴ each, over the largest number of the tensor. */
const TOLERANCE = 3e-5;

const engines = [
  nodeEngine({ threads: 1, relaxed: false }),
  ...(hasRelaxedSimd() ? [nodeEngine({ threads: 1 })] : []),
  nodeEngine({ threads: 2 }),
];
afterAll(() => {
  for (const engine of engines) engine.close();
});
const [one, two] = engines.slice(-2);

const lengths = [1, 3, 17, 63, 64, 65, 100];
/** D and E of the cores, in turn. */
const widths = [
  [1, 3],
  [3, 1],
  [8, 8],
  [8, 16],
  [16, 8],
  [33, 16],
  [16, 33],
  [64, 8],
  [8, 64],
  [33, 33],
] as const;
const named = Object.entries(cores).map(([name, core], index) => {
  const [width, valueWidth] = widths[index % widths.length];
  return { name, core, width, valueWidth };
});

type Call = CoreInputs<Tensor>;

const narrowed = (call: CoreInputs<Tensor64>): Call =>
  Object.fromEntries(
    Object.entries(call).map(([name, value]) => [name, narrow(value as Tensor64)]),
  ) as unknown as Call;

const likeness = ({ shape, data }: Tensor | Tensor64, seed: string): Tensor => ({
  data: random("cotangent", seed).normals(data.length),
  shape,
});

function expectClose(what: string, expected: Tensor64, found: Tensor): void {
  expect([what, found.shape]).toEqual([what, expected.shape]);
  let worst = 0;
  let largest = 1;
  expected.data.forEach((value, place) => {
    const error = Math.abs(value - found.data[place]);
    worst = error <= worst ? worst : error;
    largest = Math.max(largest, Math.abs(value));
  });
  const error = worst / largest;
  expect([what, error <= TOLERANCE ? "close" : error]).toEqual([what, "close"]);
}

/** Holds a call against the reference on all engines, with and without what the forward pass saved. */
function expectReference(core: Core, call: Call): void {
  const expected = coreForward(core, call);
  const cotangents = { out: likeness(expected.out, "out"), state: likeness(expected.state, "state") };
  const gradients = Object.entries(coreBackward(core, call, cotangents)) as [keyof Call, Tensor64][];
  engines.forEach((engine, index) => {
    engine.arena.poison();
    const { out, state, saved } = fusedRecurrence(engine, core, call, { saves: index !== 0 });
    expectClose("out", expected.out, out);
    expectClose("state", expected.state, state);
    engine.arena.poison();
    const found = fusedRecurrenceBackward(engine, core, call, cotangents, saved);
    for (const [name, gradient] of gradients) expectClose(`gradient of ${name}`, gradient, found[name]!);
  });
}

describe("outputs, states and gradients are the reference's", () => {
  test.each(named)("$name, D = $width, E = $valueWidth", ({ name, core, width, valueWidth }) => {
    for (const tokens of lengths) {
      expectReference(core, narrowed(randomCall(core, name, { tokens, width, valueWidth })));
    }
  });

  test.each([
    ["none sum after normalised", 2],
    ["head correction after raw", 2],
    ["channel correction bonus raw", 1],
  ] as const)("keys that heads share: %s, %d of 4", (name, keyHeads) => {
    const sizes = { batch: 2, heads: 4, keyHeads, tokens: 70, width: 8, valueWidth: 8 };
    expectReference(cores[name], narrowed(randomCall(cores[name], name, sizes)));
  });

  test("decays that all tokens share", () => {
    const ofHeads = cores["head sum after raw"];
    const sizes = { batch: 2, heads: 2, tokens: 65, width: 8, valueWidth: 8 };
    const call = narrowed(randomCall(ofHeads, "shared", sizes));
    expectReference(ofHeads, { ...call, logDecay: tensor([-0.03, -0.5], [2]) });
    const ofChannels = cores["channel sum after raw"];
    const logs = random("logs")
      .normals(16)
      .map((value) => -Math.abs(value));
    expectReference(ofChannels, { ...call, logDecay: tensor(logs, [2, 8]) });
  });

  test("without a first state, and with gradients of outputs alone", () => {
    const core = cores["channel correction after raw"];
    const { state: _, ...call } = narrowed(
      randomCall(core, "empty", { tokens: 66, width: 8, valueWidth: 8 }),
    );
    const { out } = coreForward(core, call);
    const cotangents = { out: likeness(out, "alone") };
    const expected = coreBackward(core, call, cotangents);
    const found = fusedRecurrenceBackward(one, core, call, cotangents);
    for (const [name, gradient] of Object.entries(expected) as [keyof Call, Tensor64][]) {
      expectClose(`gradient of ${name}`, gradient, found[name]!);
    }
  });
});

describe("decays", () => {
  test.each([
    ["that leave e⁻⁵⁰ of the state", -50],
    ["that leave nothing", -1e30],
    ["that leave a tenth", Math.log(0.1)],
    ["that leave nearly all", -1e-6],
    ["of one", 0],
  ])("%s", (_, log) => {
    for (const name of ["head sum bonus raw", "channel correction after raw", "channel sum bonus raw"]) {
      const core = cores[name];
      const call = narrowed(randomCall(core, name, { tokens: 130, width: 8, valueWidth: 8 }));
      const logDecay = { ...call.logDecay!, data: call.logDecay!.data.map(() => log) };
      expectReference(core, { ...call, logDecay });
    }
  });

  test("one token that forgets all hides everything before it", () => {
    const core = cores["channel sum after raw"];
    const call = narrowed(randomCall(core, "wall", { tokens: 100, width: 8, valueWidth: 8 }));
    const walled = call.logDecay!.data.map((log, place) => (Math.floor(place / 8) === 70 ? -200 : log));
    expectReference(core, { ...call, logDecay: { ...call.logDecay!, data: walled } });
  });
});

test("two threads give the bits of one", () => {
  for (const name of [
    "channel correction bonus normalised",
    "none sum after raw",
    "head correction after raw",
  ]) {
    const core = cores[name];
    const call = narrowed(randomCall(core, name, { tokens: 300, width: 16, valueWidth: 33 }));
    const [first, second] = [one, two].map((engine) => fusedRecurrence(engine, core, call, { saves: true }));
    expect(second).toEqual(first);
    const cotangents = { out: likeness(first.out, name) };
    const [a, b] = [one, two].map((engine) => fusedRecurrenceBackward(engine, core, call, cotangents));
    expect(b).toEqual(a);
    expect(fusedRecurrenceBackward(two, core, call, cotangents, second.saved)).toEqual(a);
  }
});

test.each(named)("later tokens leave earlier outputs alone, to the bit: $name", (each) => {
  const { name, core, width, valueWidth } = each;
  const tokens = 100;
  const [call, other] = ["before", "changed"].map((seed) =>
    narrowed(randomCall(core, `${name} ${seed}`, { tokens, width, valueWidth })),
  );
  const split = 75;
  const mixed = Object.fromEntries(
    Object.entries(call).map(([key, value]: [string, Tensor]) => {
      if (key === "u" || key === "state") return [key, value];
      const row = value.data.length / tokens;
      const replaced = other[key as keyof Call]!.data;
      return [key, { ...value, data: value.data.map((x, at) => (at < split * row ? x : replaced[at])) }];
    }),
  ) as unknown as Call;
  const [a, b] = [call, mixed].map((inputs) => fusedRecurrence(one, core, inputs).out.data);
  const kept = split * valueWidth;
  expect(a.subarray(0, kept)).toEqual(b.subarray(0, kept));
  expect(a.subarray(kept)).not.toEqual(b.subarray(kept));
});

test("a call that is refused leaves nothing taken", () => {
  const core = cores["none sum after raw"];
  const call = narrowed(randomCall(core, "refused", { tokens: 5 }));
  const { mark } = one.arena;
  const cotangents = { out: tensor([1], [1, 1, 1, 1]) };
  expect(() => fusedRecurrenceBackward(one, core, call, cotangents)).toThrow("the gradient of out");
  expect(() => fusedRecurrence(one, core, { ...call, u: call.q })).toThrow("no term of this update");
  expect(one.arena.mark).toBe(mark);
});

test.each(["channel correction bonus normalised", "head sum after raw", "none correction after raw"])(
  "a number that is none is told by the name of its input: %s",
  (name) => {
    const core = cores[name];
    const call = narrowed(randomCall(core, "numbers", { tokens: 70, width: 3, valueWidth: 2 }));
    const { out, saved } = fusedRecurrence(one, core, call, { saves: true });
    const spoilt = ({ data, shape }: Tensor, place: number, number: number): Tensor => ({
      data: data.map((value, at) => (at === place ? number : value)),
      shape,
    });
    for (const [input, tensor] of Object.entries(call) as [keyof Call, Tensor][]) {
      for (const number of [Number.NaN, Infinity, -Infinity]) {
        for (const place of [0, tensor.data.length - 1]) {
          const bad = { ...call, [input]: spoilt(tensor, place, number) };
          expect(() => fusedRecurrence(one, core, bad)).toThrow(`Cannot use ${input} as`);
          expect(() => fusedRecurrenceBackward(one, core, bad, { out })).toThrow(`Cannot use ${input} as`);
        }
      }
    }
    const last = { out: spoilt(out, out.data.length - 1, Number.NaN) };
    expect(() => fusedRecurrenceBackward(one, core, call, last, saved)).toThrow("the gradient of out");
    if (call.logDecay === undefined) return;
    const growing = { ...call, logDecay: spoilt(call.logDecay, call.logDecay.data.length - 1, 1e-30) };
    expect(() => fusedRecurrence(two, core, growing)).toThrow("must not be above zero: 1");
  },
);

test("sums that vanish are told, not divided by", () => {
  const core = { ...cores["none sum after normalised"], epsilon: 0 };
  const { state: _, ...call } = narrowed(randomCall(core, "vanish", { tokens: 3 }));
  const q = { ...call.q, data: new Float32Array(call.q.data.length) };
  expect(() => fusedRecurrence(one, core, { ...call, q })).toThrow("the output of the recurrence");
});
