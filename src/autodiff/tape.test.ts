/** @file The tape: gradients of whole models, sums over uses, what it frees, what it refuses. */
import { grad, numpy as np, tree } from "@jax-js/jax";
import { beforeAll, describe, expect, test } from "vitest";
import { compose, type Composition, initialParameters } from "../attention/index.ts";
import { random } from "../base/random.ts";
import { composedAttention, startJax } from "../kernels/jax/index.ts";
import { softmax } from "../normalisers/index.ts";
import { causal } from "../patterns/index.ts";
import { rope } from "../positions/index.ts";
import { cauchy } from "../similarities/index.ts";
import { attentionOperation } from "./attention-operation.ts";
import { type Arrays } from "./operation.ts";
import { lossStage, stage } from "./stage.ts";
import { Tape } from "./tape.ts";
import { type Value } from "./value.ts";

beforeAll(() => startJax());

const [batch, heads, keyHeads, length, headWidth, classes] = [2, 4, 2, 6, 4, 5];
const width = heads * headWidth;

const composition: Composition = compose({
  similarity: cauchy({ tau: "learned" }),
  position: rope({ theta: 100 }),
  pattern: causal(),
  normaliser: softmax({ sink: "learned" }),
});

type ParameterName = "table" | "query" | "key" | "value" | "out" | "beta" | "tau" | "softmax.sink";

function drawParameters(): Record<ParameterName, np.Array> {
  const stream = random("tape");
  const normal = (shape: number[]): np.Array => {
    const size = shape.reduce((product, extent) => product * extent);
    return np.array(stream.normals(size, 0.5), { shape });
  };
  const own = initialParameters(composition, { heads, width: headWidth });
  const ofAttention = (name: string): np.Array => np.array(Float32Array.from(own[name].data));
  return {
    table: normal([classes, width]),
    query: normal([width, width]),
    key: normal([width, (width * keyHeads) / heads]),
    value: normal([width, (width * keyHeads) / heads]),
    out: normal([width, width]),
    beta: ofAttention("beta"),
    tau: ofAttention("tau"),
    "softmax.sink": ofAttention("softmax.sink"),
  };
}

const tokens = (): np.Array => {
  const stream = random("tokens");
  return np.array(
    Int32Array.from({ length: batch * length }, () => stream.integer(classes)),
    { shape: [batch, length] },
  );
};

const split = (rows: np.Array): np.Array =>
  rows.reshape([batch, length, rows.shape[2] / headWidth, headWidth]).transpose([0, 2, 1, 3]);

type Weights = "table" | "query" | "key" | "value";

/** Token embeddings, and from them queries, keys and values. */
const project = ({
  ids,
  table,
  query,
  key,
  value,
}: Arrays<"ids" | Weights>): Arrays<"x" | "q" | "k" | "v"> => {
  const x = np.take(table, ids, 0);
  return {
    q: split(np.matmul(x.ref, query)),
    k: split(np.matmul(x.ref, key)),
    v: split(np.matmul(x.ref, value)),
    x,
  };
};

/** Back to rows, on to classes by the same table, and the mean of their squares. */
const finish = ({
  attended,
  x,
  out,
  table,
}: Arrays<"attended" | "x" | "out" | "table">): Arrays<"loss" | "largest"> => {
  const rows = attended.transpose([0, 2, 1, 3]).reshape([batch, length, width]);
  const logits = np.matmul(np.matmul(rows, out).add(x), np.transpose(table));
  return { loss: logits.ref.mul(logits.ref).mean(), largest: logits.max() };
};

const operations = {
  project: stage("project", project),
  attend: attentionOperation(composition),
  finish: lossStage("finish", finish),
};

async function forward(
  tape: Tape,
  parameters: Arrays<ParameterName>,
): Promise<Record<"loss" | "largest", Value>> {
  const p = Object.fromEntries(
    Object.entries(parameters).map(([name, array]) => [name, tape.parameter(name, array)]),
  ) as Record<ParameterName, Value>;
  const { table, query, key, value, out, beta, tau } = p;
  const { x, q, k, v } = await tape.run(operations.project, {
    ids: tape.constant(tokens()),
    table,
    query,
    key,
    value,
  });
  const { out: attended } = await tape.run(operations.attend, {
    q,
    k,
    v,
    beta,
    tau,
    "softmax.sink": p["softmax.sink"],
  });
  return tape.run(operations.finish, { attended, x, out, table });
}

/** The same model as one jax-js function. */
function wholeLoss(parameters: Arrays<ParameterName>): np.Array {
  const { table, query, key, value, out, beta, tau } = parameters;
  const { x, q, k, v } = project({ ids: tokens(), table: table.ref, query, key, value });
  const attend = composedAttention(composition);
  const { out: attended } = attend({
    q,
    k,
    v,
    parameters: { beta, tau, "softmax.sink": parameters["softmax.sink"] },
  });
  const { loss, largest } = finish({ attended, x, out, table });
  largest.dispose();
  return loss;
}

/** Two compiled orders of some hundred float32 operations on numbers about 1. */
const TWO_ORDERS = 2e-5;

describe("a model of two stages around an attention", () => {
  test("has the gradients of the whole function by jax-js's grad, a parameter of two stages summed", async () => {
    const parameters = drawParameters();
    const tape = new Tape();
    const { loss } = await forward(tape, parameters);
    const gradients = await tape.backward(loss);
    tape.dispose();
    const gradient = grad(wholeLoss as never) as unknown as (given: object) => Arrays<ParameterName>;
    const expected = gradient(tree.ref(parameters));
    expect(Object.keys(gradients).toSorted()).toEqual(Object.keys(parameters).toSorted());
    for (const [name, gradient] of Object.entries(gradients)) {
      const wanted = (await expected[name as ParameterName].data()) as Float32Array;
      const actual = (await gradient.data()) as Float32Array;
      const largest = Math.max(1, ...wanted.map(Math.abs));
      const farthest = Math.max(...actual.map((number, place) => Math.abs(number - wanted[place])));
      expect(farthest / largest, `gradient of ${name}`).toBeLessThanOrEqual(TWO_ORDERS);
    }
  });

  test("has the gradients of central differences", async () => {
    const parameters = drawParameters();
    const lossAt = async (changed: Arrays<ParameterName>): Promise<number> => {
      const tape = new Tape({ gradient: false });
      const { loss } = await forward(tape, changed);
      const [number] = await loss.read();
      tape.dispose();
      return number;
    };
    const tape = new Tape();
    const gradients = await tape.backward((await forward(tape, parameters)).loss);
    tape.dispose();
    // A difference of float32 losses of about 3 over a step of 2^-5 is exact to 3·2^-23·2^5 = 1e-5, its curvature term
    // to the square of the step; the gradients are about 1.
    const step = 2 ** -5;
    for (const name of Object.keys(parameters) as ParameterName[]) {
      const data = (await parameters[name].ref.data()) as Float32Array;
      const shape = [...parameters[name].shape];
      const moved = (by: number): Promise<number> => {
        const copy = Float32Array.from(data);
        copy[1] += by;
        return lossAt({ ...parameters, [name]: np.array(copy, { shape }) });
      };
      const slope = ((await moved(step)) - (await moved(-step))) / (2 * step);
      const gradient = (await gradients[name].data())[1];
      expect(Math.abs(gradient - slope), `slope by ${name}`).toBeLessThanOrEqual(
        1e-2 * Math.max(1, Math.abs(slope)),
      );
    }
  });
});

const scale = stage("scale", ({ x, w }: Arrays<"x" | "w">) => ({ y: x.ref.mul(w.ref), z: x.add(w) }));
const total = lossStage("total", ({ y }: Arrays<"y">) => ({ loss: y.sum() }));

async function smallModel(
  tape: Tape,
  weight: np.Array,
): Promise<{ x: Value; w: Value; y: Value; z: Value; loss: Value }> {
  const x = tape.constant(np.array([3, 4]));
  const w = tape.parameter("w", weight);
  const { y, z } = await tape.run(scale, { x, w });
  const { loss } = await tape.run(total, { y });
  return { x, w, y, z, loss };
}

describe("what the tape keeps and frees", () => {
  test("values that operations read are freed in backward; the loss and what nobody read stay", async () => {
    const tape = new Tape();
    const { x, y, z, loss } = await smallModel(tape, np.array([2]));
    expect([...(await y.read())]).toEqual([6, 8]);
    await tape.backward(loss);
    expect(() => x.array).toThrow("its tape has freed it: shape [2]. Read it before backward()");
    expect(() => y.array).toThrow("freed");
    expect([...(await z.read())]).toEqual([5, 6]);
    expect([...(await loss.read())]).toEqual([14]);
    tape.dispose();
    expect(() => loss.array).toThrow("freed");
  });

  test("a released value goes at once without gradient, and in backward with one", async () => {
    const weight = np.array([2]);
    const measuring = new Tape({ gradient: false });
    const measured = await smallModel(measuring, weight);
    measuring.release(measured.x, measured.y);
    expect(() => measured.y.array).toThrow("freed");
    measuring.dispose();

    const training = new Tape();
    const trained = await smallModel(training, weight);
    training.release(trained.x, trained.y, trained.z);
    expect(() => trained.z.array).toThrow("freed");
    expect([...(await trained.y.read())]).toEqual([6, 8]);
    const { w } = await training.backward(trained.loss);
    expect([...(await w.data())]).toEqual([7]);
    training.dispose();
  });

  test("parameters stay their owner's", async () => {
    const weight = np.array([2]);
    const tape = new Tape();
    await tape.backward((await smallModel(tape, weight)).loss);
    tape.dispose();
    expect(weight.refCount).toBe(1);
    expect([...(await weight.data())]).toEqual([2]);
  });

  test("a parameter without influence has zeros", async () => {
    const tape = new Tape();
    tape.parameter("idle", np.array([1, 1, 1]));
    const { idle } = await tape.backward((await smallModel(tape, np.array([2]))).loss);
    expect([...(await idle.data())]).toEqual([0, 0, 0]);
    tape.dispose();
  });

  test("outputs that nobody used have no gradient, and their operation is not asked", async () => {
    let asked: string[] = [];
    const watched = {
      ...scale,
      backward: (...given: Parameters<typeof scale.backward>) => {
        asked = Object.keys(given[2]);
        return scale.backward(...given);
      },
    };
    const tape = new Tape();
    const w = tape.parameter("w", np.array([2]));
    const { y } = await tape.run(watched, { x: tape.constant(np.array([3])), w });
    const unused = await tape.run({ ...watched, backward: () => expect.unreachable() }, { x: y, w });
    expect(unused.z.shape).toEqual([1]);
    await tape.backward((await tape.run(total, { y })).loss);
    expect(asked).toEqual(["y"]);
    tape.dispose();
  });
});

describe("errors teach", () => {
  test("a loss from constants alone", async () => {
    const tape = new Tape();
    const { loss } = await tape.run(total, { y: tape.constant(np.array([1])) });
    await expect(tape.backward(loss)).rejects.toThrow(
      "it comes from constants alone. Add weights by parameter()",
    );
  });

  test("backward on a tape without gradient", async () => {
    const tape = new Tape({ gradient: false });
    const { loss } = await smallModel(tape, np.array([2]));
    await expect(tape.backward(loss)).rejects.toThrow("the tape was made without gradient");
  });

  test("a gradient of another shape than its value", async () => {
    const tape = new Tape();
    const x = tape.parameter("x", np.ones([2]));
    await expect(tape.backward(x, np.ones([3]))).rejects.toThrow(
      "[2] and [3]. Pass the gradient by this value",
    );
  });

  test("a loss that is no scalar", async () => {
    const tape = new Tape();
    const { y } = await smallModel(tape, np.array([2]));
    await expect(tape.backward(y)).rejects.toMatchObject({ code: "loss-shape", name: "ShapeError" });
  });

  test("a tape that has gone backward", async () => {
    const tape = new Tape();
    const { loss } = await smallModel(tape, np.array([2]));
    await tape.backward(loss);
    await expect(tape.backward(loss)).rejects.toThrow("it is gone backward. Make a new Tape for every step");
    expect(() => tape.constant(np.array([1]))).toThrow("Make a new Tape");
  });

  test("a value of another tape", async () => {
    const [tape, other] = [new Tape(), new Tape()];
    const y = other.constant(np.array([1]));
    await expect(tape.run(total, { y })).rejects.toThrow("its input 'y' must be a value of this tape");
  });

  test("a name that is taken, and a parameter of integers", () => {
    const tape = new Tape();
    tape.parameter("w", np.array([1]));
    expect(() => tape.parameter("w", np.array([1]))).toThrow("every name must be used once: 'w'");
    expect(() => tape.parameter("ids", np.array(Int32Array.of(1)))).toThrow(
      "only floats have gradients: int32",
    );
  });
});

test("a value that goes on elsewhere goes backward with the gradient by it, which stays its owner's", async () => {
  const square = stage("square", ({ x }: Arrays<"x">) => ({ y: x.ref.mul(x) }));
  const [x, gradient] = [np.array([1, 2, 3]), np.array([1, 10, 100])];
  const tape = new Tape();
  const { y } = await tape.run(square, { x: tape.parameter("x", x) });
  const gradients = await tape.backward(y, gradient);
  expect([...(await gradients["x"].data())]).toEqual([2, 40, 600]);
  tape.dispose();
  expect(gradient.refCount).toBe(1);
});

test("what it keeps is counted: values and what was saved, without parameters", async () => {
  const double = stage("double", ({ x }: Arrays<"x">) => ({ y: x.mul(2) }));
  const sum = lossStage("sum", ({ y }: Arrays<"y">) => ({ loss: y.sum() }));
  const tape = new Tape();
  const { y } = await tape.run(double, { x: tape.parameter("x", np.ones([3, 5])) });
  expect(tape.keptNumbers).toBe(15);
  const { loss } = await tape.run(sum, { y });
  // The loss saves its gradient by y.
  expect(tape.keptNumbers).toBe(15 + 1 + 15);
  await tape.backward(loss);
  expect(tape.keptNumbers).toBe(1);
  tape.dispose();
  expect(tape.keptNumbers).toBe(0);
});
