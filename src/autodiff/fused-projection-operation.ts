/** @file The projections around an attention on an engine as operations of a tape. */
import {
  fusedMerge,
  fusedMergeBackward,
  fusedProjection,
  fusedProjectionBackward,
  type MergeInputs,
  type ProjectedGroup,
  type ProjectionInputs,
  type WasmEngine,
} from "../kernels/wasm/index.ts";
import { type Operation, type Tensors } from "./operation.ts";
import { normEpsilon } from "../kernels/reference/norm.ts";
import { onlyWanted, tensorOperation } from "./tensor-operation.ts";

/** Heads that share an attention, and the names of their queries, keys, values and outputs. */
export interface NamedGroup extends ProjectedGroup {
  readonly names: Readonly<Record<"q" | "k" | "v" | "out", string>>;
}

/**
 * Queries, keys and values of norm(x): inputs `x` [B, N, width], `gain`, `shift` (LayerNorm) [width], and weights `q`, `k`, `v`
 * [heads·D, width], of which `k` may be absent, for layers that make keys otherwise; outputs [B, heads, N, D] under the groups'
 * names, and `x` itself: who reads that one, such as the merge, has its gradient summed with the projection's in one pass.
 *
 * @param engine - what computes it
 * @param epsilon - of the norm
 */
export function fusedProjectionOperation(
  engine: WasmEngine,
  groups: readonly NamedGroup[],
  epsilon: number = normEpsilon,
): Operation<string, string> {
  const inputsOf = (tensors: Tensors): ProjectionInputs => ({
    ...(tensors as unknown as ProjectionInputs),
    epsilon,
  });
  return tensorOperation("project", {
    forward(inputs) {
      const heads = fusedProjection(engine, inputsOf(inputs), groups);
      const named = groups.map(({ names: { q, k, v } }, group) => ({
        [q]: heads[group].q,
        ...(heads[group].k === undefined ? {} : { [k]: heads[group].k }),
        [v]: heads[group].v,
      }));
      return { outputs: Object.assign({ x: inputs["x"] }, ...named) as Tensors };
    },
    backward(inputs, gradients, wanted) {
      const ofHeads = groups.map(({ names: { q, k, v } }) => {
        const given = { q: gradients[q], k: gradients[k], v: gradients[v] };
        return onlyWanted(given, new Set(Object.keys(given)));
      });
      const given = fusedProjectionBackward(engine, inputsOf(inputs), groups, ofHeads, gradients["x"]);
      return onlyWanted({ ...given }, wanted);
    },
  });
}

/**
 * out = x + weight·o with the outputs o of all heads side by side: inputs `x` [B, N, width], outputs [B, heads, N, E] under the
 * groups' names, `weight` [width, H·E]; output `out` [B, N, width].
 *
 * @param engine - what computes it
 */
export function fusedMergeOperation(
  engine: WasmEngine,
  groups: readonly NamedGroup[],
): Operation<string, "out"> {
  const inputsOf = (tensors: Tensors): MergeInputs => ({
    x: tensors["x"],
    heads: groups.map(({ names }) => tensors[names.out]),
    weight: tensors["weight"],
  });
  return tensorOperation("merge", {
    forward: (inputs) => ({ outputs: { out: fusedMerge(engine, inputsOf(inputs)) } }),
    backward(inputs, { out }, wanted) {
      const { heads, weight } = fusedMergeBackward(engine, inputsOf(inputs), out!);
      const ofHeads = groups.map(({ names }, group) => [names.out, heads[group]] as const);
      return onlyWanted({ x: out!, weight, ...Object.fromEntries(ofHeads) }, wanted);
    },
  });
}
