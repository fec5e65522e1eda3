/** @file A feed-forward block on an engine as an operation of a tape. */
import {
  type FeedForwardInputs,
  fusedFeedForward,
  fusedFeedForwardBackward,
  keepHidden,
  type KeptHidden,
  releaseHidden,
  type WasmEngine,
} from "../kernels/wasm/index.ts";
import { normEpsilon } from "../kernels/reference/norm.ts";
import { type Operation, type Tensors } from "./operation.ts";
import { onlyWanted, tensorOperation } from "./tensor-operation.ts";

/**
 * out = x + down·(silu(gate·n)⊙up·n), or x + down·gelu(up·n) where there is no gate, of n = norm(x): inputs `x` [..., width],
 * `gain`, `shift` (LayerNorm) [width], `up` and `gate` [hidden, width], `down` [width, hidden]; output `out` [..., width].
 *
 * @param engine - what computes it
 * @param epsilon - of the norm
 */
export function fusedFeedForwardOperation(
  engine: WasmEngine,
  epsilon: number = normEpsilon,
): Operation<string, "out"> {
  const inputsOf = (tensors: Tensors): FeedForwardInputs => ({
    ...(tensors as unknown as FeedForwardInputs),
    epsilon,
  });
  return tensorOperation("feed-forward", {
    forward(tensors, wanted) {
      const inputs = inputsOf(tensors);
      const kept = wanted.size > 0 ? keepHidden(engine, inputs) : undefined;
      const outputs = { out: fusedFeedForward(engine, inputs, kept) };
      return kept === undefined ? { outputs } : { outputs, state: kept };
    },
    backward: (inputs, { out }, wanted, kept) =>
      onlyWanted({ ...fusedFeedForwardBackward(engine, inputsOf(inputs), out!, kept) }, wanted),
    free: (kept: KeptHidden) => releaseHidden(engine, kept),
  });
}
