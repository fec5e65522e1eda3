/** @file Gated linear attention: every channel of the keys forgets at a rate that the data choose. */
import { type PartFactory } from "../base/part.ts";
import { type Tensor64 } from "../base/tensor.ts";
import { decayInputs, decayLogs, keyInputs, matrixState, queryInput } from "./rule-inputs.ts";
import {
  type ChunkOption,
  coreOf,
  defineLifted,
  mapped,
  type RecurrentRule,
  stateGradient,
  stateOf,
} from "./rule.ts";

/**
 * M_t = diag(α_t)·M_{t−1} + k_tᵀv_t, o_t = q_t·M_t/√D, with α_t in (0, 1) per channel of the keys: the input `decay`
 * [B, G, N, D], or its logarithm `logDecay`.
 *
 * @param options - `chunk`: tokens of a chunk, which must divide N
 * @example
 * ```ts
 * import { gla, recurrence, tensor } from "qklab";
 * const attend = recurrence({ rule: gla() });
 * const q = tensor([1, 0, 0, 1], [1, 1, 2, 2]);
 * const { out } = await attend({ q, k: q, v: q, decay: tensor([0.9, 0.9, 0.5, 0.9], [1, 1, 2, 2]) });
 * ```
 */
export const gla: PartFactory<RecurrentRule, ChunkOption> = defineLifted(
  {
    selector: "gla",
    formula: "M_t = diag(α_t)·M_{t−1} + k_tᵀv_t, o_t = q_t·M_t/√D, α_t in (0, 1)",
    source: "Yang et al. 2024, Gated Linear Attention Transformers, equation 3",
  },
  () => ({
    inputs: [queryInput, ...keyInputs, ...decayInputs("channel and token"), matrixState],
    lift: (call) => {
      const { q, k, v } = call.inputs;
      const scale = call.sizes.width ** -0.5;
      const { logs, pullBack } = decayLogs(call.inputs);
      return {
        core: coreOf({ decay: "channel" }),
        inputs: { q: mapped(q, (x) => x * scale), k, v, logDecay: logs, ...stateOf(call) },
        pullBack: (gradients) => ({
          inputs: {
            q: mapped(gradients.q, (x) => x * scale),
            k: gradients.k,
            v: gradients.v,
            ...pullBack(gradients.logDecay as Tensor64),
            ...stateGradient(call, gradients.state),
          },
          parameters: {},
        }),
      };
    },
  }),
);
