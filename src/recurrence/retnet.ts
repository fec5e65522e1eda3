/** @file Retention: a sum that every head forgets at its own fixed rate. */
import { type PartFactory } from "../base/part.ts";
import { tensor64 } from "../base/tensor.ts";
import { keyInputs, matrixState, queryInput } from "./rule-inputs.ts";
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
 * M_t = γ_h M_{t−1} + k_tᵀv_t, o_t = q_t·M_t/√D, with γ_h = 1 − 2^{−5−h}.
 *
 * @param options - `chunk`: tokens of a chunk, which must divide N
 * @example
 * ```ts
 * import { recurrence, retnet, tensor } from "qklab";
 * const retain = recurrence({ rule: retnet() });
 * const q = tensor([1, 0, 0, 1], [1, 1, 2, 2]); // [B, H, N, D]
 * const { out, state } = await retain({ q, k: q, v: q });
 * ```
 */
export const retnet: PartFactory<RecurrentRule, ChunkOption> = defineLifted(
  {
    selector: "retnet",
    formula: "M_t = γ_h·M_{t−1} + k_tᵀv_t, o_t = q_t·M_t/√D, γ_h = 1 − 2^(−5−h)",
    source: "Sun et al. 2023, Retentive Network, equations 5 and 8",
  },
  () => ({
    inputs: [queryInput, ...keyInputs, matrixState],
    lift: (call) => {
      const { q, k, v } = call.inputs;
      const scale = call.sizes.width ** -0.5;
      const { heads } = call.sizes;
      const logDecay = Float64Array.from({ length: heads }, (_, head) => Math.log1p(-(2 ** (-5 - head))));
      return {
        core: coreOf({ decay: "head" }),
        inputs: {
          q: mapped(q, (x) => x * scale),
          k,
          v,
          logDecay: tensor64(logDecay, [heads]),
          ...stateOf(call),
        },
        pullBack: (gradients) => ({
          inputs: {
            q: mapped(gradients.q, (x) => x * scale),
            k: gradients.k,
            v: gradients.v,
            ...stateGradient(call, gradients.state),
          },
          parameters: {},
        }),
      };
    },
  }),
);
