/** @file The composition as a jax-js function: differentiated by jax-js, by its pullback, and refused where it must be. */
import { grad, jit, numpy as np, tree } from "@jax-js/jax";
import { beforeAll, describe, expect, test } from "vitest";
import { all } from "../../selections/index.ts";
import {
  type AttentionInputs,
  compose,
  type Composition,
  initialParameters,
  parseSelector,
  completeSelector,
  referenceBackward,
  referenceForward,
} from "../../attention/index.ts";
import { random } from "../../base/random.ts";
import { sizeOf, type Tensor, tensor, tensor64 } from "../../base/tensor.ts";
import { full } from "../../patterns/index.ts";
import { alibi, sinusoidal } from "../../positions/index.ts";
import { dot, guards, l2 } from "../../similarities/index.ts";
import { attentionScores } from "./attention-scores.ts";
import { attentionForward, attentionPullback, composedAttention } from "./composition.ts";
import { type ComposedInputs, type ComposedOutputs } from "./evaluation.ts";
import { startJax } from "./start.ts";

beforeAll(() => startJax());

const sizes = { batch: 2, heads: 4, keyHeads: 2, queries: 5, keys: 7, width: 8, valueWidth: 6 };

/**
 * Sums of some ten products of numbers about 1 and functions exact to 3e-7, a few 1e-6 together; hyperbolic sines at radii
 * 2‖q‖ of about 6 multiply a relative error of their argument by as much, in the slope by its square.
 */
const TOLERANCE = 1e-4;

function read(selector: string): Composition {
  return compose(completeSelector(parseSelector(selector), { patterns: [full()] }));
}

function draw(...key: readonly string[]): (shape: readonly number[]) => Tensor {
  const stream = random("composition", ...key);
  return (shape) => tensor(stream.normals(sizeOf(shape)), shape);
}

function drawInputs(composition: Composition): AttentionInputs<Tensor> & { readonly dOut: Tensor } {
  const normal = draw("inputs");
  const { batch, heads, keyHeads, queries, keys, width, valueWidth } = sizes;
  const initial = Object.entries(initialParameters(composition, sizes));
  return {
    q: normal([batch, heads, queries, width]),
    k: normal([batch, keyHeads, keys, width]),
    v: normal([batch, keyHeads, keys, valueWidth]),
    bias: normal([1, heads, queries, keys]),
    parameters: Object.fromEntries(initial.map(([name, { data, shape }]) => [name, tensor(data, shape)])),
    dOut: normal([batch, heads, queries, valueWidth]),
  };
}

const arrayOf = ({ data, shape }: Tensor): np.Array => np.array(data, { shape: [...shape] });

function toArrays({ q, k, v, bias, parameters = {} }: AttentionInputs<Tensor>): ComposedInputs {
  return {
    q: arrayOf(q),
    k: arrayOf(k),
    v: arrayOf(v),
    ...(bias === undefined ? {} : { bias: arrayOf(bias) }),
    parameters: Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, arrayOf(value)])),
  };
}

async function expectClose(actual: np.Array, expected: { readonly data: ArrayLike<number> }): Promise<void> {
  const numbers = await actual.data();
  const largest = Math.max(
    1,
    ...Array.from(expected.data, (value) => (Number.isFinite(value) ? Math.abs(value) : 0)),
  );
  const distances = Array.from(expected.data, (value, place) =>
    value === numbers[place] ? 0 : Math.abs(value - numbers[place]),
  );
  expect(Math.max(...distances) / largest).toBeLessThanOrEqual(TOLERANCE);
}

const selectors = [
  "dot:scale=learned+rope",
  "l2+causal+topk:k=3",
  "l1+alibi",
  "tropical+none+maxplus",
  "poincare:c=learned+causal+centroid:c=learned",
  "cosine+log-cpb:hidden=4+softmax:sink=learned",
  "mahalanobis+sigmoid:bias=learned",
  "complex:part=im+none:map=exp",
];

describe("gradients by jax-js's grad of the function equal the reference", () => {
  test.each(selectors)("%s", async (selector) => {
    const composition = read(selector);
    const { dOut, ...inputs } = drawInputs(composition);
    const weigh = arrayOf(dOut);
    const attend = composedAttention(composition);
    const gradient = jit(
      grad((given: ComposedInputs) => attend(given).out.mul(weigh.ref).sum()) as never,
    ) as unknown as (given: ComposedInputs) => ComposedInputs;
    const { q, k, v, bias, parameters } = gradient(toArrays(inputs));
    const expected = referenceBackward(composition, inputs, tensor64(dOut.data, dOut.shape), {
      guard: guards.f32,
    });
    await expectClose(q, expected.dq);
    await expectClose(k, expected.dk);
    await expectClose(v, expected.dv);
    await expectClose(bias!, expected.dBias!);
    for (const [name, value] of Object.entries(expected.dParameters))
      await expectClose(parameters[name], value);
  });
});

describe("scores, weights and log-sum-exp are differentiable as well", () => {
  const step = 1e-5;
  test.each(["l2+causal", "dot+softmax:sink=learned", "cosine+sigmoid"])("%s", async (selector) => {
    const composition = read(selector);
    const inputs = drawInputs(composition);
    const isSoftmax = composition.normaliser.name === "softmax";
    const extras = isSoftmax ? (["scores", "weights", "lse"] as const) : (["scores", "weights"] as const);
    const attend = composedAttention(composition, { extras });
    for (const extra of extras) {
      const reference = referenceForward(composition, inputs, { guard: guards.f32 })[extra]!;
      const normal = draw(extra)(reference.shape);
      const sumOf = ({ data }: { readonly data: ArrayLike<number> }): number =>
        normal.data.reduce(
          (sum, factor, place) => sum + (data[place] === -Infinity ? 0 : factor * data[place]),
          0,
        );
      const total = (outputs: ComposedOutputs): np.Array => {
        const value = outputs[extra]!;
        return np.where(np.greater(value.ref, -Infinity), value, 0).mul(arrayOf(normal)).sum();
      };
      const { q, parameters } = (
        jit(grad((given: ComposedInputs) => total(attend(given))) as never) as unknown as (
          given: ComposedInputs,
        ) => ComposedInputs
      )(toArrays(inputs));
      const moved = (by: number): number => {
        const data = Float64Array.from(inputs.q.data);
        data[11] += by;
        const changed = { ...inputs, q: { ...inputs.q, data } } as unknown as AttentionInputs<Tensor>;
        return sumOf(referenceForward(composition, changed, { guard: guards.f32 })[extra]!);
      };
      const slope = (moved(step) - moved(-step)) / (2 * step);
      expect(Math.abs((await q.data())[11] - slope)).toBeLessThanOrEqual(
        10 * TOLERANCE * Math.max(1, Math.abs(slope)),
      );
      tree.dispose(parameters);
    }
  });
});

test("the pullback gives the same numbers from what forward kept as from nothing", async () => {
  const composition = read("lorentz:c=learned+causal+topk:k=4");
  const { dOut, ...inputs } = drawInputs(composition);
  const forward = jit(attentionForward(composition) as never) as unknown as (given: ComposedInputs) => never;
  const pullback = jit(attentionPullback(composition) as never) as unknown as (
    given: object,
  ) => ComposedInputs;
  const call = { wanted: toArrays(inputs), others: {}, dOut: arrayOf(dOut) };
  const alone = pullback(tree.ref(call as never));
  const kept = pullback({ ...call, known: forward(toArrays(inputs)) });
  for (const name of ["q", "k", "v"] as const)
    await expectClose(kept[name], { data: await alone[name].data() });
});

test("only what is wanted is differentiated", () => {
  const composition = read("l2:beta=learned");
  const { dOut, ...inputs } = drawInputs(composition);
  const { q, parameters, ...others } = toArrays(inputs);
  const pullback = jit(attentionPullback(composition) as never) as unknown as (given: object) => object;
  const gradients = pullback({ wanted: { q }, others: { ...others, parameters }, dOut: arrayOf(dOut) });
  expect(Object.keys(gradients)).toEqual(["q"]);
});

test("a position that belongs to embeddings has no part in an attention", async () => {
  const inputs = drawInputs(compose({ similarity: dot(), pattern: full() }));
  const run = (composition: Composition): np.Array =>
    (
      jit(composedAttention(composition, { gradient: false }) as never) as unknown as (
        given: ComposedInputs,
      ) => ComposedOutputs
    )(toArrays(inputs)).out;
  const plain = run(compose({ similarity: dot(), pattern: full() }));
  await expectClose(run(compose({ similarity: dot(), position: sinusoidal(), pattern: full() })), {
    data: await plain.data(),
  });
});

test("a score that looks at no key is spread over all of them", async () => {
  const composition = compose({
    similarity: { ...l2(), score: l2().score.mul(0).add(1) },
    pattern: full(),
  });
  const inputs = drawInputs(composition);
  const { weights } = await attentionScores(composition, {
    ...toArrays({ ...inputs, parameters: {} }),
    ...toArrays(inputs).parameters,
  } as unknown as Record<string, np.Array>);
  for (const weight of weights.data) expect(weight).toBeCloseTo(1 / sizes.keys, 6);
});

test("scores are those of the reference, −∞ where a pair does not take part", async () => {
  const composition = read("l2+causal");
  const { q, k, v } = drawInputs(composition);
  const given = { q, k, v };
  const beta = tensor(initialParameters(composition, sizes)["beta"].data, [sizes.heads]);
  const { scores } = await attentionScores(composition, {
    q: arrayOf(q),
    k: arrayOf(k),
    v: arrayOf(v),
    beta: arrayOf(beta),
  });
  await expectClose(arrayOf(scores), referenceForward(composition, given, { guard: guards.f32 }).scores);
});

describe("what does not fit is refused before anything is compiled", () => {
  const inputs = (): ComposedInputs => toArrays(drawInputs(read("l2")));

  test("a missing parameter", () => {
    expect(() => composedAttention(read("l2"))({ ...inputs(), parameters: {} })).toThrow("'beta' has none");
  });

  test("heads that do not divide", () => {
    const { k, v, ...rest } = inputs();
    const three = (x: np.Array): np.Array => np.concatenate([x.ref, x.slice([], [0, 1])], 1);
    expect(() => composedAttention(read("l2"))({ ...rest, k: three(k), v: three(v) })).toThrow(
      "G dividing H",
    );
  });

  test("parts that are not written for jax-js", () => {
    const composition = read("l2");
    const hash = { ...all(), name: "lsh" };
    expect(() => composedAttention({ ...composition, selection: hash })(inputs())).toThrow("select by 'lsh'");
    const normaliser = { ...composition.normaliser, name: "entmax" };
    expect(() => composedAttention({ ...composition, normaliser })(inputs())).toThrow(
      "normalise by 'entmax'",
    );
    const aggregation = { ...composition.aggregation, name: "median" };
    expect(() => composedAttention({ ...composition, aggregation })(inputs())).toThrow(
      "join values by 'median'",
    );
    const learned = { ...read("dot").similarity.parameters[0], name: "slope" };
    const position = { ...alibi(), name: "kerple", parameters: [learned] };
    const given = inputs();
    const parameters = { ...given.parameters, slope: np.ones([sizes.heads]) };
    expect(() => composedAttention({ ...composition, position })({ ...given, parameters })).toThrow(
      "'kerple' learns slope",
    );
  });
});
