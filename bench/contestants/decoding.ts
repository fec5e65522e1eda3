/** @file One token over a key/value cache as a problem of ours, held against the f64 reference before it is timed. */
import { causal, compose, dot, random, referenceForward, type Tensor } from "../../src/index.ts";
import { type WasmEngine, wasmCache } from "../../src/kernels/wasm/index.ts";
import { guards } from "../../src/similarities/index.ts";
import { type DecodingProblem } from "../protocol.ts";
import { type Prepared } from "./serve.ts";

/** Calls of a run, so that it is long enough to be timed. */
const callsPerRun = 32;
/** Sums of thousands of products in float32. */
const tolerance = 1e-4;

export function prepareDecoding(
  engine: WasmEngine,
  { heads, length, width }: DecodingProblem,
): Prepared<Record<string, Float32Array>> {
  const composition = compose({ similarity: dot(), pattern: causal() });
  const stream = random("bench", "decoding");
  const normals = (count: number): Tensor => ({
    data: stream.normals(heads * count * width),
    shape: [1, heads, count, width],
  });
  const [q, k, v] = [normals(1), normals(length), normals(length)];
  const cache = wasmCache(engine, composition, { heads, width, capacity: length });
  cache.append(k, v);
  const out = cache.attend(q).out.data;
  const expected = referenceForward(composition, { q, k, v, offset: length - 1 }, { guard: guards.f32 }).out
    .data;
  const error = expected.reduce((most, value, place) => Math.max(most, Math.abs(value - out[place])), 0);
  if (!(error <= tolerance)) throw new Error(`decoding is ${error} off the reference`);
  return {
    run: () => {
      for (let call = 1; call < callsPerRun; call++) cache.attend(q);
      return { out: cache.attend(q).out.data };
    },
    read: () => ({}),
    facts: () => ({ bytes: callsPerRun * 2 * 4 * heads * length * width }),
    release: () => cache.dispose(),
  };
}
