import { describe, expect, test } from "vitest";
import {
  add,
  type AttentionBackend,
  checkSimilarity,
  type Composition,
  full,
  log1p,
  mul,
  positive,
  printReport,
  referenceBackend,
  similarities,
  similarity,
  sqrt,
  sub,
  type Tensor,
} from "../index.ts";

/** interface.md's own example. */
const student = similarity("student", {
  inner: "dot",
  score: ({ s, q2, k2, tau }) => log1p(sub(add(q2, k2), mul(2, s)).div(tau)).neg(),
  params: { tau: positive(1) },
});

const failed = async (...call: Parameters<typeof checkSimilarity>): Promise<readonly string[]> =>
  (await checkSimilarity(...call)).laws
    .filter(({ passed }) => !passed)
    .map(({ backend, law }) => `${backend}: ${law}`);

const scaled = (tensor: Tensor, factor: number): Tensor => ({
  ...tensor,
  data: tensor.data.map((x) => factor * x),
});

describe("a right similarity", () => {
  test("keeps the laws", async () => {
    expect(await failed(student)).toEqual([]);
    expect(await failed(student({ tau: 3 }), { width: 5, seed: 7 })).toEqual([]);
  });

  test.each(similarities.filter(({ definition }) => definition.selector !== "product"))(
    "$definition.selector, as every built-in one",
    async (make) => {
      expect(await failed(() => make())).toEqual([]);
    },
  );

  test("is held to every backend that is given", async () => {
    const other: AttentionBackend = { ...referenceBackend, name: "other" };
    const { laws } = await checkSimilarity(student, { backends: [referenceBackend, other] });
    expect(laws.filter(({ backend }) => backend === "other")).toHaveLength(7);
  });
});

describe("wrong similarities", () => {
  test("a root without a guard has no gradient at coincidence", async () => {
    const bare = similarity("bare", {
      inner: "dot",
      score: ({ s, q2, k2 }) => sqrt(q2.add(k2).sub(s.mul(2))).neg(),
    });
    expect(await failed(bare)).toEqual([
      "reference: finite for inputs of zeros",
      "reference: finite for inputs that are all the same",
    ]);
    const guarded = similarity("guarded", {
      inner: "dot",
      score: ({ s, q2, k2, guard }) => sqrt(q2.add(k2).sub(s.mul(2)).add(guard)).neg(),
    });
    expect(await failed(guarded)).toEqual([]);
  });

  test("a declared temperature that is none is found", async () => {
    const shifted = similarity("shifted", {
      inner: "dot",
      score: ({ s, beta }) => s.mul(beta).add(1),
      params: { beta: positive(1) },
      temperature: { parameter: "beta", power: 1 },
    });
    expect(await failed(shifted)).toEqual(["reference: score ∝ temperature^power"]);
  });

  test("a score that overflows is found", async () => {
    const cubic = similarity("huge", { inner: "dot", score: ({ s }) => s.mul(s).mul(s).mul(1e300) });
    expect(await failed(cubic)).toContain("reference: finite for inputs of size 1e4");
  });

  test("a width that it does not take is refused before anything is computed", async () => {
    const pairs = similarity("pairs", { inner: "symplectic", score: ({ s }) => s });
    await expect(checkSimilarity(pairs, { width: 5 })).rejects.toThrow(
      expect.objectContaining({ code: "odd-width" }),
    );
    expect(await failed(pairs, { width: 4 })).toEqual([]);
  });
});

describe("wrong backends", () => {
  const wrong = (change: Partial<AttentionBackend>): AttentionBackend => ({
    ...referenceBackend,
    name: "wrong",
    ...change,
  });

  test("one with a wrong gradient", async () => {
    const backend = wrong({
      async backward(...call) {
        const gradients = await referenceBackend.backward(...call);
        return { ...gradients, dk: scaled(gradients.dk, 1.01) };
      },
    });
    expect(await failed(student, { backends: [backend] })).toEqual([
      "wrong: gradients = reference",
      "wrong: gradients = reference, sigmoid",
    ]);
  });

  test("one that forgets the gradient of a parameter", async () => {
    const backend = wrong({
      backward: async (...call) => ({ ...(await referenceBackend.backward(...call)), dParameters: {} }),
    });
    expect(await failed(student, { backends: [backend] })).toContain("wrong: gradients = reference");
  });

  test("one that sees the future", async () => {
    const open = (composition: Composition): Composition => ({ ...composition, patterns: [full()] });
    const backend = wrong({
      forward: (composition, ...rest) => referenceBackend.forward(open(composition), ...rest),
    });
    expect(await failed(student, { backends: [backend] })).toContain("wrong: causality, bit for bit");
  });

  test("one that ignores key lengths, and one that knows the order of keys", async () => {
    const lengthless = wrong({
      forward: (composition, { keyLengths: _keyLengths, ...inputs }, extras) =>
        referenceBackend.forward(composition, inputs, extras),
    });
    expect(await failed(student, { backends: [lengthless] })).toEqual(["wrong: empty rows are zero"]);
    const ordered = wrong({
      forward: (composition, inputs, extras) =>
        referenceBackend.forward(composition, { ...inputs, k: scaledByRow(inputs.k) }, extras),
    });
    expect(await failed(student, { backends: [ordered] })).toContain("wrong: keys are a set");
  });

  test("one that cannot compute it, which is told in its own words", async () => {
    const backend = wrong({
      forward: () => Promise.reject(new Error("Cannot run 'student' as this device has no log1p")),
    });
    const { laws, passed } = await checkSimilarity(student, { backends: [backend] });
    expect(passed).toBe(false);
    expect(laws.find(({ law }) => law === "outputs = reference")).toMatchObject({
      error: Infinity,
      problem: "Cannot run 'student' as this device has no log1p",
    });
  });
});

function scaledByRow(tensor: Tensor): Tensor {
  const width = tensor.shape[3];
  return { ...tensor, data: tensor.data.map((value, flat) => value * (1 + (Math.floor(flat / width) % 3))) };
}

test("a report prints as a table that says which laws hold", async () => {
  const lines = printReport(await checkSimilarity(student({ tau: 2 }))).split("\n");
  expect(lines[0]).toBe("student:tau=2: keeps the laws");
  expect(lines[1]).toMatch(/^backend +law +error +allowed$/);
  expect(lines).toHaveLength(2 + 5 + 7);
  expect(lines.slice(2).every((line) => /^reference +\S.* ok$/.test(line))).toBe(true);
  const unsafe = similarity("unsafe", { inner: "dot", score: ({ s, q2 }) => s.div(sqrt(q2)) });
  const text = printReport(await checkSimilarity(unsafe));
  expect(text).toMatch(/^unsafe: breaks a law/);
  expect(text).toMatch(/finite for inputs of zeros +Infinity +0 +FAILED/);
});

test("the same seed gives the same report", async () => {
  const first = await checkSimilarity(student, { seed: 3 });
  expect(await checkSimilarity(student, { seed: 3 })).toEqual(first);
});
