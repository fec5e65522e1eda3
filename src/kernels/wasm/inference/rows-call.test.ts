/** @file Norms and linear maps whose weights stay in an engine, against f64: formats, odd sizes, few and many rows, threads, poison. */
import { afterAll, expect, test } from "vitest";
import { draw, nested } from "../../../../test/dense-block.ts";
import { random } from "../../../base/random.ts";
import { type QuantisedMatrix } from "../../../base/quantised-matrix.ts";
import { type Tensor } from "../../../base/tensor.ts";
import { exactGelu } from "../../reference/gelu.ts";
import { referenceFeedForward } from "../../reference/feed-forward.ts";
import { type Matrix } from "../../reference/matrix.ts";
import { nodeEngine } from "../engine/pool.node.ts";
import { keepLinear, keepNorm, type KeptLinear } from "./kept-weights.ts";
import { inRowsCall } from "./rows-call.ts";

/** Products of a hundred terms and of as many again in float32, 2^-24 each, a norm before them and an exponential between. */
const TOLERANCE = 1e-5;

const engines = [
  nodeEngine({ threads: 1, relaxed: false }),
  nodeEngine({ threads: 1 }),
  nodeEngine({ threads: 2 }),
];
afterAll(() => {
  for (const engine of engines) engine.close();
});

/** 8-bit numbers, and the float32 matrix that they stand for. */
function quantised(
  name: string,
  rows: number,
  columns: number,
  isSigned: boolean,
): [QuantisedMatrix, Tensor] {
  const draws = random("linear", name, rows, columns);
  const bytes = Array.from({ length: rows * columns }, () => draws.integer(256) - (isSigned ? 128 : 0));
  const data = isSigned ? Int8Array.from(bytes) : Uint8Array.from(bytes);
  const [scale, zeroPoint] = [Math.fround(0.01 * columns ** -0.5), isSigned ? -3 : 128];
  const wide = Float32Array.from(data, (value) => scale * (value - zeroPoint));
  return [
    { data, shape: [rows, columns], scale, zeroPoint },
    { data: wide, shape: [rows, columns] },
  ];
}

function weights(kind: "f32" | "i8" | "u8", name: string, rows: number, columns: number) {
  if (kind !== "f32") return quantised(name, rows, columns, kind === "i8");
  const matrix = draw(name, [rows, columns], columns ** -0.5);
  return [matrix, matrix] as const;
}

const sizes = [
  [1, 1, 1],
  [3, 5, 7],
  [2, 24, 136],
  [5, 16, 40],
  [130, 18, 72],
] as const;

for (const kind of ["f32", "i8", "u8"] as const) {
  for (const feedForward of ["swiglu", "gelu"] as const) {
    test.each(sizes)(
      `${feedForward} of ${kind} weights is the reference's: %d rows, width %d, hidden %d`,
      (rows, width, hidden) => {
        const x = draw("x", [rows, width]);
        const isLayer = feedForward === "gelu";
        const norm = { gain: draw("gain", [width]), ...(isLayer ? { shift: draw("shift", [width]) } : {}) };
        const [up, wideUp] = weights(kind, "up", hidden, width);
        const [down, wideDown] = weights(kind, "down", width, hidden);
        const [gate, wideGate] = weights(kind, "gate", hidden, width);
        const matrix = (tensor: Tensor): Matrix => nested(tensor) as Matrix;
        const expected = referenceFeedForward({
          x: matrix(x),
          gain: [...norm.gain.data],
          ...(norm.shift === undefined ? {} : { shift: [...norm.shift.data] }),
          ...(isLayer ? {} : { gate: matrix(wideGate) }),
          up: matrix(wideUp),
          down: matrix(wideDown),
        }).flat();
        const outputs = engines.map((engine) => {
          const kept = {
            norm: keepNorm(engine, { ...norm, epsilon: 1e-5 }),
            up: keepLinear(engine, up),
            gate: isLayer ? undefined : keepLinear(engine, gate),
            down: keepLinear(engine, down),
          };
          engine.arena.poison();
          const run = (from: number, count: number): Float32Array =>
            inRowsCall(engine, count, (call) => {
              const stream = call.put(x.data.subarray(from * width, (from + count) * width), width);
              call.addLinear(stream, call.activated(call.normalise(stream, kept.norm), kept), kept.down);
              return call.read(stream);
            });
          const together = run(0, rows);
          // A row alone gives the bits that it gives among others.
          for (const row of [0, rows - 1]) {
            expect(run(row, 1)).toEqual(together.slice(row * width, (row + 1) * width));
          }
          for (const own of Object.values(kept)) own?.dispose();
          return together;
        });
        const largest = Math.max(1, ...expected.map(Math.abs));
        for (const output of outputs) {
          const error = Math.max(...expected.map((value, place) => Math.abs(value - output[place])));
          expect(error / largest).toBeLessThan(TOLERANCE);
        }
        expect(outputs[2]).toEqual(outputs[1]);
      },
    );
  }
}

test("biases count, and heads are normalised one by one", () => {
  const [engine] = engines;
  const x = draw("x", [2, 16]);
  const bias = draw("bias", [16]);
  const weight = draw("w", [16, 16]);
  const gain = draw("gain", [8]);
  const map = keepLinear(engine, weight, bias);
  const norm = keepNorm(engine, { gain, epsilon: 1e-6 });
  const out = inRowsCall(engine, 2, (call) => {
    const y = call.linear(call.put(x.data, 16), map);
    call.normaliseHeads(y, norm);
    return call.read(y);
  });
  const expected = (nested(x) as Matrix).flatMap((row) => {
    const y = (nested(weight) as Matrix).map(
      (line, o) => line.reduce((sum, value, i) => sum + value * row[i], 0) + bias.data[o],
    );
    return [y.slice(0, 8), y.slice(8)].flatMap((head) => {
      const root = Math.sqrt(head.reduce((sum, value) => sum + value * value, 0) / 8 + 1e-6);
      return head.map((value, d) => (value / root) * gain.data[d]);
    });
  });
  expected.forEach((value, place) => expect(out[place]).toBeCloseTo(value, 4));
  map.dispose();
  norm.dispose();
});

test("several maps at once are each alone, and the exact GELU and ReLU are the reference's", () => {
  const [engine] = engines;
  const x = draw("x", [3, 8], 8);
  const [one, two] = [draw("one", [24, 8]), draw("two", [72, 8])].map((weight) => keepLinear(engine, weight));
  engine.arena.poison();
  inRowsCall(engine, 3, (call) => {
    const rows = call.put(x.data, 8);
    const both = call.linears(rows, [one, two]).map((out) => call.read(out));
    expect(both).toEqual([one, two].map((map) => call.read(call.linear(rows, map))));
    const reference = { "gelu-exact": exactGelu, relu: (h: number) => Math.max(h, 0) };
    for (const activation of ["gelu-exact", "relu"] as const) {
      const out = call.read(call.activated(rows, { up: two, activation }));
      // The error function is off by 1.5e-7, times values of up to 30.
      out.forEach((value, place) =>
        expect(Math.abs(value - reference[activation](both[1][place]))).toBeLessThan(1e-5),
      );
    }
  });
  for (const map of [one, two]) map.dispose();
});

test("a map has the same numbers at other places, after another end, and when its memory has another map's weights", () => {
  const [engine] = engines;
  const x = draw("x", [2, 16]);
  const [first, second] = [draw("first", [16, 16]), draw("second", [16, 16])];
  const run = (map: KeptLinear, before: number, row: number): readonly Float32Array[] =>
    inRowsCall(engine, 1, (call) => {
      call.put(new Float32Array(before), before);
      const rows = call.put(x.data.subarray(16 * row, 16 * (row + 1)), 16);
      const out = call.linear(rows, map);
      const sum = call.put(new Float32Array(16), 16);
      call.addLinear(sum, rows, map);
      return [
        call.read(out),
        call.read(sum),
        call.read(call.activated(rows, { up: map, activation: "relu" })),
      ];
    });
  const [one, two] = [first, second].map((weight) => {
    const map = keepLinear(engine, weight);
    const results = [8, 8, 800].map((before) => run(map, before, 0));
    const other = run(map, 8, 1);
    map.dispose();
    const [out, sum, positive] = results[0];
    expect(sum).toEqual(out);
    expect(positive).toEqual(out.map((value) => Math.max(value, 0)));
    for (const again of results) expect(again).toEqual(results[0]);
    expect(other[0]).not.toEqual(out);
    return out;
  });
  expect(one).not.toEqual(two);
});

test("what does not fit is refused with the sizes", () => {
  const [engine] = engines;
  expect(() => keepLinear(engine, { data: new Float32Array(5), shape: [2, 3] })).toThrow(
    "weights must be [out, in] and its bias [out]: 5 numbers of shape [2, 3]",
  );
  const map = keepLinear(engine, draw("w", [4, 3]));
  expect(() => inRowsCall(engine, 1, (call) => call.linear(call.put(new Float32Array(2), 2), map))).toThrow(
    "a linear map must have their width: 3 and 2",
  );
  map.dispose();
});
