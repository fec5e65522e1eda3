/** @file A feed-forward block on an engine as an operation of a tape. */
import {
  type FeedForwardInputs,
  fusedFeedForward,
  fusedFeedForwardBackward,
  type WasmEngine,
} from "../kernels/wasm/index.ts";
import { type Operation, type Tensors } from "./operation.ts";
import { onlyWanted, tensorOperation } from "./tensor-operation.ts";

/**
 * out = x + down·(silu(gate·n)⊙up·n), or x + down·gelu(up·n) where there is no gate, of n = norm(x): inputs `x` [..., width],
 * `gain`, `shift` (LayerNorm) [width], `up` and `gate` [hidden, width], `down` [width, hidden]; output `out` [..., width].
 *
 * @param engine - what computes it
 */
export function fusedFeedForwardOperation(engine: WasmEngine): Operation<string, "out"> {
  return tensorOperation("feed-forward", {
    forward: (inputs) => ({ outputs: { out: fusedFeedForward(engine, inputsOf(inputs)) } }),
    backward: (inputs, { out }, wanted) =>
      onlyWanted({ ...fusedFeedForwardBackward(engine, inputsOf(inputs), out!) }, wanted),
  });
}

const inputsOf = (tensors: Tensors): FeedForwardInputs => tensors as unknown as FeedForwardInputs;
