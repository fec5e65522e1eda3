/** @file Checks a similarity by the laws that every built-in one keeps, on every backend given; reports, does not throw. */
import { type Random, random } from "../base/random.ts";
import { sizeOf, type Tensor } from "../base/tensor.ts";
import { type Normaliser, sigmoid, softmax } from "../normalisers/index.ts";
import { causal, full, type Pattern } from "../patterns/index.ts";
import { guards, type Similarity } from "../similarities/index.ts";
import { type AttentionBackend, referenceBackend } from "./backend.ts";
import { gradientErrors, randomDirections } from "./central-differences.ts";
import { compose, type Composition, parametersOf } from "./composition.ts";
import { type AttentionInputs } from "./inputs.ts";
import { printSelector } from "./selector.ts";
import { type LawReport, type SimilarityReport } from "./similarity-report.ts";
import { referenceBackward, referenceForward } from "./reference.ts";

/** How to check. */
export interface CheckOptions {
  /** Default: the reference alone. */
  readonly backends?: readonly AttentionBackend[];
  /** D, as the similarity needs it (default 8). */
  readonly width?: number;
  /** How far a backend may be from the reference (default 1e-4: float32 sums of some ten terms and an exponential). */
  readonly tolerance?: number;
  readonly seed?: number;
}

/** The tolerance of gradients in f64 against central differences, and of laws that hold up to rounding. */
const gradientTolerance = 1e-6;

/** One call of an attention, with the gradient of its output. */
interface Call {
  readonly composition: Composition;
  readonly inputs: AttentionInputs<Tensor>;
  readonly dOut: Tensor;
}

/**
 * Runs the laws: gradient = central differences, temperature ∝ score, finite at edges (all in the f64 reference); then on
 * every backend outputs and gradients = reference, causality bit for bit, empty rows zero, permutation of keys.
 *
 * @param mine - a similarity, or the function that makes it with its defaults; parameters are varied around their values
 * @param options - backends to hold against the reference, width, tolerance, seed
 * @returns a report; `printReport` makes a table of it
 * @throws ShapeError when the similarity does not take the width
 * @example
 * ```ts
 * import { checkSimilarity, printReport, similarity } from "qklab";
 * const overlap = similarity("overlap", { inner: "l1", score: ({ s }) => s.neg() });
 * const report = await checkSimilarity(overlap);
 * report.passed; // true
 * printReport(report).split("\n").length > 5; // true
 * ```
 */
export async function checkSimilarity(
  mine: Similarity | (() => Similarity),
  options: CheckOptions = {},
): Promise<SimilarityReport> {
  const { backends = [referenceBackend], width = 8, tolerance = 1e-4, seed = 0 } = options;
  const similarity = typeof mine === "function" ? mine() : mine;
  const stream = random(seed, "check", similarity.name);
  similarity.terms(width);
  const call = (pattern: Pattern, normaliser: Normaliser = softmax()): Call =>
    draw(compose({ similarity, pattern, normaliser }), width, stream);
  const laws: LawReport[] = [];
  const check = async (
    backend: string,
    law: string,
    allowed: number,
    measure: () => number | Promise<number>,
  ): Promise<void> => {
    laws.push(await measured(backend, law, allowed, measure));
  };

  await check("reference", "gradient = central differences", gradientTolerance, () =>
    gradientError(call(causal()), stream),
  );
  if (similarity.temperature !== undefined) {
    await check("reference", "score ∝ temperature^power", gradientTolerance, () =>
      temperatureError(call(full())),
    );
  }
  for (const [name, edge] of Object.entries(edges)) {
    await check("reference", `finite for inputs ${name}`, 0, () => edgeError(call(full()), edge));
  }
  for (const backend of backends) {
    const { name } = backend;
    await check(name, "outputs = reference", tolerance, () => outputError(backend, call(causal())));
    await check(name, "gradients = reference", tolerance, () => backwardError(backend, call(causal())));
    // Softmax does not see what is the same for a whole row of scores; a sigmoid does.
    await check(name, "outputs = reference, sigmoid", tolerance, () =>
      outputError(backend, call(causal(), sigmoid())),
    );
    await check(name, "gradients = reference, sigmoid", tolerance, () =>
      backwardError(backend, call(causal(), sigmoid())),
    );
    await check(name, "causality, bit for bit", 0, () => causalityError(backend, call(causal())));
    await check(name, "empty rows are zero", 0, () => emptyRowError(backend, call(full())));
    await check(name, "keys are a set", tolerance, () => permutationError(backend, call(full()), stream));
  }
  return {
    similarity: printSelector({ similarity, patterns: [] }),
    laws,
    passed: laws.every(({ passed }) => passed),
  };
}

async function measured(
  backend: string,
  law: string,
  tolerance: number,
  measure: () => number | Promise<number>,
): Promise<LawReport> {
  try {
    const error = await measure();
    return { backend, law, error, tolerance, passed: error <= tolerance };
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return { backend, law, error: Infinity, tolerance, passed: false, problem };
  }
}

function draw(composition: Composition, width: number, stream: Random): Call {
  const [batch, heads, keyHeads, count, valueWidth] = [2, 2, 1, 6, 3];
  const normals = (...shape: readonly number[]): Tensor => ({ data: stream.normals(sizeOf(shape)), shape });
  const parameters = Object.fromEntries(
    parametersOf(composition).map((parameter) => {
      const shape = parameter.shape({ heads, width });
      const data = Float32Array.from(parameter.initial({ heads, width }, stream), (value) =>
        parameter.domain === "positive"
          ? value * Math.exp(0.2 * stream.normal())
          : value + 0.2 * stream.normal(),
      );
      return [parameter.name, { data, shape }];
    }),
  );
  return {
    composition,
    inputs: {
      q: normals(batch, heads, count, width),
      k: normals(batch, keyHeads, count, width),
      v: normals(batch, keyHeads, count, valueWidth),
      parameters,
    },
    dOut: normals(batch, heads, count, valueWidth),
  };
}

function gradientError({ composition, inputs, dOut }: Call, stream: Random): number {
  const errors = gradientErrors(composition, inputs, dOut, randomDirections(stream, 3));
  return Math.max(...errors.map(({ error }) => error));
}

/** Doubling the temperature must multiply every score by 2^power, or calibration would be wrong. */
function temperatureError({ composition, inputs }: Call): number {
  const { parameters: names, power } = composition.similarity.temperature!;
  const doubled = Object.fromEntries(
    Object.entries(inputs.parameters ?? {}).map(([name, tensor]) => [
      name,
      names.includes(name) ? { ...tensor, data: tensor.data.map((value) => 2 * value) } : tensor,
    ]),
  );
  const scores = referenceForward(composition, inputs).scores.data;
  const scaled = referenceForward(composition, { ...inputs, parameters: doubled }).scores.data;
  return distance(
    scaled,
    scores.map((score) => score * 2 ** power),
  );
}

const edges: Readonly<Record<string, (value: number, coordinate: number) => number>> = {
  "of zeros": () => 0,
  "that are all the same": (_, coordinate) => (coordinate + 1) / 8,
  "of size 1e4": (value) => 5e3 * Math.tanh(value) * 2,
  denormal: (value) => 1e-41 * value,
};

/** 0 when the output and all gradients are finite, else infinite. */
function edgeError(
  { composition, inputs, dOut }: Call,
  edge: (value: number, coordinate: number) => number,
): number {
  const width = inputs.q.shape[3];
  const moved = (tensor: Tensor): Tensor => ({
    ...tensor,
    data: tensor.data.map((x, flat) => edge(x, flat % width)),
  });
  const call = { ...inputs, q: moved(inputs.q), k: moved(inputs.k) };
  const { out } = referenceForward(composition, call);
  const gradients = referenceBackward(composition, call, { ...dOut, data: Float64Array.from(dOut.data) });
  const { dq, dk, dv, dParameters } = gradients;
  const all = [out, dq, dk, dv, ...Object.values(dParameters)];
  return all.every(({ data }) => data.every((value) => Number.isFinite(value))) ? 0 : Infinity;
}

async function outputError(backend: AttentionBackend, { composition, inputs }: Call): Promise<number> {
  const { out } = await backend.forward(composition, inputs, []);
  return distance(out.data, referenceForward(composition, inputs, { guard: guardOf(backend) }).out.data);
}

async function backwardError(
  backend: AttentionBackend,
  { composition, inputs, dOut }: Call,
): Promise<number> {
  const { out, lse } = await backend.forward(
    composition,
    inputs,
    composition.normaliser.name === "softmax" ? ["lse"] : [],
  );
  const actual = await backend.backward(
    composition,
    inputs,
    { out, ...(lse === undefined ? {} : { lse }) },
    dOut,
  );
  const wide = { ...dOut, data: Float64Array.from(dOut.data) };
  const expected = referenceBackward(composition, inputs, wide, { guard: guardOf(backend) });
  const errors = [
    ...(["dq", "dk", "dv"] as const).map((name) => distance(actual[name].data, expected[name].data)),
    ...Object.entries(expected.dParameters).map(([name, { data }]) =>
      distance(actual.dParameters[name]?.data ?? [], data),
    ),
  ];
  return Math.max(...errors);
}

/** The error of rows before a token when that token changes. */
async function causalityError(backend: AttentionBackend, { composition, inputs }: Call): Promise<number> {
  const [token, before] = [inputs.q.shape[2] - 1, await backend.forward(composition, inputs, [])];
  const changed = (tensor: Tensor): Tensor =>
    mapRows(tensor, (value, row) => (row === token ? 1 - value : value));
  const call = { ...inputs, q: changed(inputs.q), k: changed(inputs.k), v: changed(inputs.v) };
  const after = await backend.forward(composition, call, []);
  const earlier = (tensor: Tensor): Tensor => mapRows(tensor, (value, row) => (row === token ? 0 : value));
  return distance(earlier(after.out).data, earlier(before.out).data);
}

/** The largest number of a batch entry without keys. */
async function emptyRowError(backend: AttentionBackend, { composition, inputs }: Call): Promise<number> {
  const [batch] = inputs.q.shape;
  const keyLengths = Array.from({ length: batch }, () => 0);
  const { out } = await backend.forward(composition, { ...inputs, keyLengths }, []);
  return out.data.reduce((largest, value) => (value === 0 ? largest : Math.max(largest, Math.abs(value))), 0);
}

async function permutationError(
  backend: AttentionBackend,
  { composition, inputs }: Call,
  stream: Random,
): Promise<number> {
  const order = stream.distinct(inputs.k.shape[2], inputs.k.shape[2]);
  const permuted = (tensor: Tensor): Tensor => {
    const [, , count, width] = tensor.shape;
    const from = (flat: number): number => {
      const row = Math.floor(flat / width);
      return (row - (row % count) + order[row % count]) * width + (flat % width);
    };
    return { ...tensor, data: tensor.data.map((_, flat) => tensor.data[from(flat)]) };
  };
  const straight = await backend.forward(composition, inputs, []);
  const turned = await backend.forward(
    composition,
    { ...inputs, k: permuted(inputs.k), v: permuted(inputs.v) },
    [],
  );
  return distance(turned.out.data, straight.out.data);
}

function mapRows(tensor: Tensor, change: (value: number, row: number) => number): Tensor {
  const [, , count, width] = tensor.shape;
  return {
    ...tensor,
    data: tensor.data.map((value, flat) => change(value, Math.floor(flat / width) % count)),
  };
}

function guardOf(backend: AttentionBackend): number {
  return backend === referenceBackend ? guards.f64 : guards.f32;
}

/** The largest |a − b| over the largest |b|, infinite where lengths differ or numbers are not finite. */
function distance(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let [difference, largest] = [0, Number.MIN_VALUE];
  for (let place = 0; place < expected.length; place++) {
    const error = Math.abs(actual[place] - expected[place]);
    if (actual[place] !== expected[place] && !(error < Infinity)) return Infinity;
    if (actual[place] !== expected[place]) difference = Math.max(difference, error);
    if (Number.isFinite(expected[place])) largest = Math.max(largest, Math.abs(expected[place]));
  }
  return difference / largest;
}
