/** @file The delta rule with a gate: the whole state of a head is forgotten a little before it is corrected. */
import { type PartFactory } from "../base/part.ts";
import { type Tensor64 } from "../base/tensor.ts";
import {
  added,
  betaInput,
  decayInputs,
  decayLogs,
  keyInputs,
  matrixState,
  queryInput,
  rowDots,
  timesRows,
  unitRows,
} from "./rule-inputs.ts";
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
 * M_t = α_t(M_{t−1} − β_t k̂_tᵀ(k̂_t M_{t−1})) + β_t k̂_tᵀv_t, o_t = q̂_t·M_t, with the inputs `decay` α in (0, 1) (or
 * `logDecay`) and `beta` in [0, 1], both [B, G, N].
 *
 * @param options - `chunk`: tokens of a chunk, which must divide N
 * @example
 * ```ts
 * import { gatedDeltanet, recurrence, tensor } from "qklab";
 * const attend = recurrence({ rule: gatedDeltanet() });
 * const q = tensor([1, 0, 0, 1], [1, 1, 2, 2]);
 * const [beta, decay] = [tensor([1, 1], [1, 1, 2]), tensor([0.9, 0.9], [1, 1, 2])];
 * const { out } = await attend({ q, k: q, v: q, beta, decay });
 * ```
 */
export const gatedDeltanet: PartFactory<RecurrentRule, ChunkOption> = defineLifted(
  {
    selector: "gated-deltanet",
    formula: "M_t = α_t·(M_{t−1} − β_t·k̂_tᵀ(k̂_t·M_{t−1})) + β_t·k̂_tᵀv_t, o_t = q̂_t·M_t",
    source: "Yang et al. 2025, Gated Delta Networks, equation 10",
  },
  () => ({
    inputs: [queryInput, ...keyInputs, ...decayInputs("head and token"), betaInput, matrixState],
    lift: (call) => {
      const { q, k, v, beta } = call.inputs;
      const [queries, keys] = [unitRows(q), unitRows(k)];
      const { logs, pullBack } = decayLogs(call.inputs);
      const decayed = mapped(beta, (strength, place) => strength * Math.exp(logs.data[place]));
      const removed = timesRows(keys.rows, decayed, -1);
      return {
        core: coreOf({ decay: "head", correction: true }),
        inputs: {
          q: queries.rows,
          k: timesRows(keys.rows, beta),
          v,
          logDecay: logs,
          a: removed,
          b: keys.rows,
          ...stateOf(call),
        },
        pullBack: (gradients) => {
          const [da, db] = [gradients.a as Tensor64, gradients.b as Tensor64];
          // a is −β·w·k̂: its part of ∂log w is ⟨∂a, a⟩, and that of ∂β is −w⟨∂a, k̂⟩.
          const dKeys = added(timesRows(gradients.k, beta), timesRows(da, decayed, -1), db);
          const alongKeys = rowDots(da, keys.rows, beta);
          const dBeta = mapped(
            rowDots(gradients.k, keys.rows, beta),
            (sum, place) => sum - Math.exp(logs.data[place]) * alongKeys.data[place],
          );
          const dLogs = added(gradients.logDecay as Tensor64, rowDots(da, removed, beta));
          return {
            inputs: {
              q: queries.pullBack(gradients.q),
              k: keys.pullBack(dKeys),
              v: gradients.v,
              beta: dBeta,
              ...pullBack(dLogs),
              ...stateGradient(call, gradients.state),
            },
            parameters: {},
          };
        },
      };
    },
  }),
);
