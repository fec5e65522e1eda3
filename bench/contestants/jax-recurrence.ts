/** @file The linear core on jax-js in the form that its operations have for it: the sum of all k_tᵀv_t up to every token. */
import { blockUntilReady, jit, numpy as np, type OwnedFunction, tree, vjp } from "@jax-js/jax";
import { type Problem } from "../protocol.ts";
import { type Inputs, type Prepared } from "./serve.ts";

type Arrays = Record<string, np.Array>;

/** A compiled recurrence on arrays that are already there. */
export async function prepareCumulativeSum(problem: Problem, inputs: Inputs): Promise<Prepared<Arrays>> {
  if (problem.kind !== "recurrence" || problem.terms !== "linear") {
    throw new Error("a cumulative sum is the linear core and no other problem");
  }
  const { length, width, heads } = problem;
  const shape = [heads, length, width];
  const arrays: Arrays = await blockUntilReady(
    Object.fromEntries(
      Object.entries(inputs).map(([name, data]) => [name, np.array(data!, { shape: [...shape] })]),
    ),
  );
  const recur = (q: np.Array, k: np.Array, v: np.Array): np.Array => {
    const products = np.multiply(
      np.reshape(k, [heads, length, width, 1]),
      np.reshape(v, [heads, length, 1, width]),
    );
    const states = np.cumsum(products, 1);
    return np.sum(np.multiply(np.reshape(q, [heads, length, width, 1]), states), 2);
  };
  const run = jit(((given: Arrays): Arrays => {
    const { q, k, v, dOut } = given;
    if (dOut === undefined) return { out: recur(q, k, v) };
    const [out, pull] = vjp(recur as never, [q, k, v] as never) as unknown as [
      np.Array,
      (dOut: np.Array) => [np.Array, np.Array, np.Array],
    ];
    const [dQ, dK, dV] = pull(dOut);
    return { out, dQ, dK, dV };
  }) as never) as unknown as OwnedFunction<(inputs: never) => Arrays>;
  return {
    run: async () => blockUntilReady(run(tree.ref(arrays as never))),
    read: async (results) => {
      const entries = await Promise.all(
        Object.entries(results).map(async ([name, array]) => [name, await array.data()] as const),
      );
      return Object.fromEntries(entries);
    },
    discard: (results) => tree.dispose(results as never),
    release: () => {
      tree.dispose(arrays as never);
      run.dispose();
    },
  };
}
