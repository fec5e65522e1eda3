/**
 * @file The memory of training: a hundred steps of a model with attention must not make jax-js's WebAssembly memory grow,
 * which only happens when something is not freed. The memory is caught when jax-js is loaded.
 */
import { expect, test } from "vitest";
import { memoryBytes } from "../../test/watched-memory.ts";

test("a hundred steps, and a hundred evaluations, need no more memory than ten", async () => {
  const { compose } = await import("../attention/index.ts");
  const { startJax } = await import("../kernels/jax/index.ts");
  await startJax();
  const { numpy: np } = await import("@jax-js/jax");
  const { causal } = await import("../patterns/index.ts");
  const { l2 } = await import("../similarities/index.ts");
  const { attentionOperation, lossStage, stage, Tape } = await import("./index.ts");

  // Every array but the scalars is of a kilobyte at least: a hundred of them that stay fill a 64 KiB page.
  const [heads, length, headWidth, rowWidth] = [4, 32, 16, 16];
  const project = stage("project", ({ x, w }: Record<"x" | "w", InstanceType<typeof np.Array>>) => {
    const rows = np.matmul(x, w).reshape([1, length, heads, headWidth]).transpose([0, 2, 1, 3]);
    return { q: rows.ref, k: rows.ref, v: rows };
  });
  const attend = attentionOperation(compose({ similarity: l2({ beta: "learned" }), pattern: causal() }));
  const finish = lossStage("finish", ({ out }: Record<"out", InstanceType<typeof np.Array>>) => ({
    loss: out.ref.mul(out.ref).mean(),
    largest: out.max(),
  }));
  const weight = np.ones([rowWidth, heads * headWidth]);
  const beta = np.array([0.1, 0.2, 0.3, 0.4]);

  const step = async (gradient: boolean): Promise<void> => {
    const tape = new Tape({ gradient });
    const x = tape.constant(
      np
        .arange(length * rowWidth)
        .astype(np.float32)
        .reshape([length, rowWidth])
        .mul(1e-3),
    );
    const projected = await tape.run(project, { x, w: tape.parameter("w", weight) });
    const { out } = await tape.run(attend, { ...projected, beta: tape.parameter("beta", beta) });
    const { loss } = await tape.run(finish, { out });
    if (gradient) for (const array of Object.values(await tape.backward(loss))) array.dispose();
    tape.dispose();
  };
  for (let round = 0; round < 10; round++) {
    await step(true);
    await step(false);
  }
  const before = memoryBytes();
  expect(before).toBeGreaterThan(0);
  for (let round = 0; round < 100; round++) {
    await step(true);
    await step(false);
  }
  expect(memoryBytes()).toBe(before);
  expect([weight.refCount, beta.refCount]).toEqual([1, 1]);
});
