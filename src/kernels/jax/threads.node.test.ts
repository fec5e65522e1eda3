/** @file jax-js on several threads in Node: the numbers of one thread, and a process that ends by itself. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { pathToFileURL } from "node:url";
import { Worker as Thread } from "node:worker_threads";
import type * as jax from "@jax-js/jax";
import type { numpy as np } from "@jax-js/jax";
import { ModuleKind, ScriptTarget, transpileModule } from "typescript";
import { expect, test } from "vitest";
import { compose, referenceForward } from "../../attention/index.ts";
import { random } from "../../base/random.ts";
import { tensor } from "../../base/tensor.ts";
import { causal } from "../../patterns/index.ts";
import { topk } from "../../selections/index.ts";
import { guards, poincare } from "../../similarities/index.ts";
import { startJax } from "./start.ts";

/** Kernels that are split among threads, with and without reduction; also as text, for jax-js in other threads. */
async function work({ numpy, jit }: typeof jax): Promise<number[]> {
  const numbers = numpy.arange(96 * 128).astype(numpy.float32);
  const x = numbers.reshape([96, 128]).mul(1e-3);
  const f = jit((x: np.Array) => numpy.exp(numpy.matmul(x.ref, numpy.transpose(x)).mul(-1e-3)));
  return [...(await f(x).data())];
}

const library = pathToFileURL(join(process.cwd(), "node_modules/@jax-js/jax/dist/index.js")).href;
const polyfill = pathToFileURL(join(process.cwd(), "node_modules/core-js/actual/iterator/index.js")).href;

/** A thread has modules of its own, and no Worker global: jax-js runs there on that one thread. */
async function onOneThread(): Promise<number[]> {
  const thread = new Thread(
    `import(${JSON.stringify(polyfill)})
      .then(() => import(${JSON.stringify(library)}))
      .then(${work})
      .then((numbers) => require("node:worker_threads").parentPort.postMessage(numbers));`,
    { eval: true },
  );
  const numbers = await new Promise<number[]>((resolve, reject) => {
    thread.once("message", resolve);
    thread.once("error", reject);
  });
  await thread.terminate();
  return numbers;
}

test("two threads give the numbers of one, bit for bit", async () => {
  await startJax({ threads: 2 });
  expect(typeof Worker).toBe("function");
  const together = await work(await import("@jax-js/jax"));
  expect(together).toEqual(await onOneThread());
  expect(together.every(Number.isFinite)).toBe(true);
});

test("attention runs on two threads, forward and backward", async () => {
  await startJax({ threads: 2 });
  const { jaxBackend } = await import("./backend.ts");
  const composition = compose({ similarity: poincare(), pattern: causal(), selection: topk({ k: 5 }) });
  const stream = random("threads");
  const x = tensor(stream.normals(2 * 4 * 16 * 8), [2, 4, 16, 8]);
  const { out } = await jaxBackend.forward(composition, { q: x, k: x, v: x }, []);
  const expected = referenceForward(composition, { q: x, k: x, v: x }, { guard: guards.f32 });
  // Points that meet themselves: a distance of zero is √(rounding of ‖q‖² + ‖k‖² − 2q·k), about 1e-3.
  const farthest = out.data.reduce(
    (most, value, place) => Math.max(most, Math.abs(value - expected.out.data[place])),
    0,
  );
  expect(farthest).toBeLessThan(1e-2);
  const { dq } = await jaxBackend.backward(composition, { q: x, k: x, v: x }, {}, out);
  expect(dq.data.every(Number.isFinite)).toBe(true);
});

test("idle threads do not keep the process alive, and working ones do", async () => {
  const folder = await mkdtemp(join(tmpdir(), "qklab-threads-"));
  try {
    const source = await readFile(new URL("threads.node.ts", import.meta.url), "utf8");
    const { outputText } = transpileModule(source, {
      compilerOptions: { target: ScriptTarget.ES2022, module: ModuleKind.ESNext },
    });
    await writeFile(join(folder, "threads.mjs"), outputText);
    await writeFile(
      join(folder, "main.mjs"),
      `import ${JSON.stringify(polyfill)};
       import { provideWorkers } from "./threads.mjs";
       const { restoreNavigator, started } = provideWorkers(2);
       const jax = await import(${JSON.stringify(library)});
       restoreNavigator();
       const numbers = await (${work})(jax);
       console.log(numbers.length, started());`,
    );
    const { stdout } = await promisify(execFile)(process.execPath, [join(folder, "main.mjs")], {
      timeout: 30_000,
    });
    expect(stdout.trim()).toBe(`${96 * 96} 2`);
  } finally {
    await rm(folder, { recursive: true });
  }
});
