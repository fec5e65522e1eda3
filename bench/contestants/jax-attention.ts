/** @file Attentions on jax-js in the form that its own training would use: compiled, gradients by vjp. */
import { blockUntilReady, jit, nn, numpy as np, type OwnedFunction, tree, vjp } from "@jax-js/jax";
import { compose, narrow, parseSelector, resolveParameters } from "../../src/index.ts";
import { attentionForward, attentionPullback } from "../../src/kernels/jax/composition.ts";
import { type AttentionProblem } from "../protocol.ts";
import { type Inputs, type Prepared } from "./serve.ts";

type Arrays = Record<string, np.Array>;
type Compiled = OwnedFunction<(inputs: never) => Arrays>;

/** A compiled attention on arrays that are already there. */
export function prepareJax(
  which: "dotProductAttention" | "composition",
  problem: AttentionProblem,
  inputs: Inputs,
): Prepared<Arrays> {
  return which === "composition" ? prepareComposition(problem, inputs) : prepareOwn(problem, inputs);
}

/** nn.dotProductAttention, whose arrays are [batch, length, heads, width]. */
function prepareOwn(problem: AttentionProblem, inputs: Inputs): Prepared<Arrays> {
  if (problem.similarity !== "dot") throw new Error(`jax-js has no attention by ${problem.similarity}`);
  const { batch, heads, length, width, isCausal } = problem;
  const moved = Object.fromEntries(
    Object.entries(inputs).map(([name, data]) => [
      name,
      np.transpose(np.array(data, { shape: [batch, heads, length, width] }), [0, 2, 1, 3]),
    ]),
  );
  const arrays = settled(moved);
  const attend = (q: np.Array, k: np.Array, v: np.Array): np.Array =>
    nn.dotProductAttention(q, k, v, { isCausal });
  const run = jit(((given: Arrays): Arrays => {
    if (given["dOut"] === undefined) return { out: attend(given["q"], given["k"], given["v"]) };
    const [out, pull] = vjp(attend as never, [given["q"], given["k"], given["v"]] as never) as unknown as [
      np.Array,
      (dOut: np.Array) => [np.Array, np.Array, np.Array],
    ];
    const [dq, dk, dv] = pull(given["dOut"]);
    return { out, dq, dk, dv };
  }) as never) as unknown as Compiled;
  return {
    run: async () => blockUntilReady(run(tree.ref((await arrays) as never))),
    read: async (results) => readAll(results, (array) => np.transpose(array, [0, 2, 1, 3])),
    discard: (results) => tree.dispose(results as never),
    release: async () => {
      tree.dispose((await arrays) as never);
      run.dispose();
    },
  };
}

/** The composition of src/kernels/jax; its backward uses what its forward found. */
function prepareComposition(problem: AttentionProblem, inputs: Inputs): Prepared<Arrays> {
  const { batch, heads, length, width } = problem;
  const { patterns, ...parts } = parseSelector(problem.selector);
  const composition = compose({ ...parts, pattern: patterns } as Parameters<typeof compose>[0]);
  const { dOut, ...rest } = Object.fromEntries(
    Object.entries(inputs).map(([name, data]) => [
      name,
      np.array(data, { shape: [batch, heads, length, width] }),
    ]),
  );
  const values = resolveParameters(composition, { heads, width }, undefined);
  const parameters: Arrays = Object.fromEntries(
    Object.entries(values).map(([name, value]) => {
      const { data, shape } = narrow(value);
      return [name, np.array(data, { shape: [...shape] })];
    }),
  );
  const arrays = settled({ ...rest, ...(dOut === undefined ? {} : { dOut }) });
  const forward = jit(attentionForward(composition) as never) as unknown as Compiled;
  const pullback = jit(attentionPullback(composition) as never) as unknown as Compiled;
  const run = async (): Promise<Arrays> => {
    const { q, k, v, dOut } = await arrays;
    const own = (): { q: np.Array; k: np.Array; v: np.Array } => ({ q: q.ref, k: k.ref, v: v.ref });
    const refs = (): Arrays => tree.ref(parameters as never);
    const known = forward({ ...own(), parameters: refs() } as never);
    if (dOut === undefined) {
      const { out, ...others } = known;
      tree.dispose(others as never);
      return blockUntilReady({ out });
    }
    const { out } = known;
    const gradients = pullback({
      wanted: { ...own(), parameters: {} },
      others: { parameters: refs() },
      dOut: dOut.ref,
      known: { ...known, out: out.ref },
    } as never);
    return blockUntilReady({ out, dq: gradients["q"], dk: gradients["k"], dv: gradients["v"] });
  };
  return {
    run,
    read: async (results) => readAll(results, (array) => array),
    discard: (results) => tree.dispose(results as never),
    release: async () => {
      tree.dispose((await arrays) as never);
      tree.dispose(parameters as never);
      forward.dispose();
      pullback.dispose();
    },
  };
}

/** Arrays that are computed, not waiting to be. */
async function settled(arrays: Arrays): Promise<Arrays> {
  return blockUntilReady(arrays);
}

async function readAll(
  arrays: Arrays,
  arrange: (array: np.Array) => np.Array,
): Promise<Record<string, Float32Array>> {
  const read: Record<string, Float32Array> = {};
  for (const [name, array] of Object.entries(arrays)) {
    read[name] = (await arrange(array).data()) as Float32Array;
  }
  return read;
}
