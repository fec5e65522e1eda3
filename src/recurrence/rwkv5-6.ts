/** @file RWKV-5 and RWKV-6: decays of channels, and a bonus for the token itself in place of its own write. */
import { type PartFactory } from "../base/part.ts";
import { type Tensor64 } from "../base/tensor.ts";
import { bonusInput, decayInputs, decayLogs, keyInputs, matrixState, queryInput } from "./rule-inputs.ts";
import {
  type ChunkOption,
  coreOf,
  defineLifted,
  type LiftedRule,
  type RecurrentRule,
  type RuleDefinition,
  stateGradient,
  stateOf,
} from "./rule.ts";

function bonusRule(
  definition: RuleDefinition,
  per: "channel" | "channel and token",
): PartFactory<RecurrentRule, ChunkOption> {
  return defineLifted<ChunkOption>(definition, (): LiftedRule => ({
    inputs: [queryInput, ...keyInputs, ...decayInputs(per), bonusInput, matrixState],
    lift: (call) => {
      const { q, k, v, u } = call.inputs;
      const { logs, pullBack } = decayLogs(call.inputs);
      return {
        core: coreOf({ decay: "channel", read: "bonus" }),
        inputs: { q, k, v, u, logDecay: logs, ...stateOf(call) },
        pullBack: (gradients) => ({
          inputs: {
            q: gradients.q,
            k: gradients.k,
            v: gradients.v,
            u: gradients.u as Tensor64,
            ...pullBack(gradients.logDecay as Tensor64),
            ...stateGradient(call, gradients.state),
          },
          parameters: {},
        }),
      };
    },
  }));
}

/**
 * o_t = q_t·(M_{t−1} + diag(u)·k_tᵀv_t), then M_t = diag(w)·M_{t−1} + k_tᵀv_t, with the inputs `decay` w in (0, 1) (or
 * `logDecay`) and `u`, both [H, D].
 *
 * @param options - `chunk`: tokens of a chunk, which must divide N
 * @example
 * ```ts
 * import { recurrence, rwkv5, tensor } from "qklab";
 * const attend = recurrence({ rule: rwkv5() });
 * const q = tensor([1, 0, 0, 1], [1, 1, 2, 2]);
 * const [decay, u] = [tensor([0.9, 0.5], [1, 2]), tensor([1, 1], [1, 2])];
 * const { out } = await attend({ q, k: q, v: q, decay, u });
 * ```
 */
export const rwkv5: PartFactory<RecurrentRule, ChunkOption> = bonusRule(
  {
    selector: "rwkv5",
    formula: "o_t = q_t·(M_{t−1} + diag(u)·k_tᵀv_t), M_t = diag(w)·M_{t−1} + k_tᵀv_t",
    source: "Peng et al. 2024, Eagle and Finch, equation 8",
  },
  "channel",
);

/**
 * As rwkv5, with a decay that the data choose: `decay` w_t in (0, 1) (or `logDecay`) is [B, G, N, D].
 *
 * @param options - `chunk`: tokens of a chunk, which must divide N
 * @example
 * ```ts
 * import { recurrence, rwkv6, tensor } from "qklab";
 * const attend = recurrence({ rule: rwkv6() });
 * const q = tensor([1, 0, 0, 1], [1, 1, 2, 2]);
 * const [decay, u] = [tensor([0.9, 0.5, 0.8, 0.7], [1, 1, 2, 2]), tensor([1, 1], [1, 2])];
 * const { out } = await attend({ q, k: q, v: q, decay, u });
 * ```
 */
export const rwkv6: PartFactory<RecurrentRule, ChunkOption> = bonusRule(
  {
    selector: "rwkv6",
    formula: "o_t = q_t·(M_{t−1} + diag(u)·k_tᵀv_t), M_t = diag(w_t)·M_{t−1} + k_tᵀv_t",
    source: "Peng et al. 2024, Eagle and Finch, equation 17",
  },
  "channel and token",
);
