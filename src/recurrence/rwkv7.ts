/** @file RWKV-7: decays of channels, and a removal along a direction of its own before the write. */
import { type PartFactory } from "../base/part.ts";
import { type Tensor64, zeros64 } from "../base/tensor.ts";
import {
  added,
  decayInputs,
  decayLogs,
  keyInputs,
  matrixState,
  queryInput,
  rateInput,
  removalInput,
  replacementInput,
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
 * M_t = diag(w_t)·M_{t−1} − (a_t⊙κ̂_t)ᵀ(κ̂_t·M_{t−1}) + k̃_tᵀv_t, o_t = q_t·M_t, with k̃ = k⊙(1 + (a − 1)⊙k_a) and
 * κ̂ = κ/max(‖κ‖, 1e-12). Inputs: `decay` w in (0, 1) (or `logDecay`) and `a` in [0, 1], both [B, G, N, D]; `kappa`
 * [B, G, N, D], k when absent; `ka` [G, D], 1 when absent.
 *
 * @param options - `chunk`: tokens of a chunk, which must divide N
 * @example
 * ```ts
 * import { recurrence, rwkv7, tensor } from "qklab";
 * const attend = recurrence({ rule: rwkv7() });
 * const q = tensor([1, 0, 0, 1], [1, 1, 2, 2]);
 * const [decay, a] = [tensor([0.9, 0.6, 0.8, 0.7], [1, 1, 2, 2]), tensor([1, 0, 0.5, 1], [1, 1, 2, 2])];
 * const { out } = await attend({ q, k: q, v: q, decay, a });
 * ```
 */
export const rwkv7: PartFactory<RecurrentRule, ChunkOption> = defineLifted(
  {
    selector: "rwkv7",
    formula:
      "M_t = diag(w_t)·M_{t−1} − (a_t⊙κ̂_t)ᵀ(κ̂_t·M_{t−1}) + k̃_tᵀv_t, o_t = q_t·M_t, k̃ = k⊙(1 + (a − 1)⊙k_a)",
    source: "Peng et al. 2025, RWKV-7 Goose, equations 11 to 17",
  },
  () => ({
    inputs: [
      queryInput,
      ...keyInputs,
      ...decayInputs("channel and token"),
      rateInput,
      removalInput,
      replacementInput,
      matrixState,
    ],
    lift: (call) => {
      const { q, k, v, a, kappa = k, ka } = call.inputs;
      const { width, tokens, keyHeads } = call.sizes;
      const removal = unitRows(kappa);
      const { logs, pullBack } = decayLogs(call.inputs);
      const mixPlace = (place: number): number =>
        (Math.floor(place / (width * tokens)) % keyHeads) * width + (place % width);
      const mixAt = (place: number): number => ka?.data[mixPlace(place)] ?? 1;
      const boost = mapped(a, (rate, place) => 1 + (rate - 1) * mixAt(place));
      return {
        core: coreOf({ decay: "channel", correction: true }),
        inputs: {
          q,
          k: mapped(k, (x, place) => x * boost.data[place]),
          v,
          logDecay: logs,
          a: mapped(a, (rate, place) => -rate * removal.rows.data[place]),
          b: removal.rows,
          ...stateOf(call),
        },
        pullBack: (gradients) => {
          const [da, db] = [gradients.a as Tensor64, gradients.b as Tensor64];
          const dk = mapped(gradients.k, (x, place) => x * boost.data[place]);
          const dRate = mapped(
            da,
            (x, place) =>
              gradients.k.data[place] * k.data[place] * mixAt(place) - x * removal.rows.data[place],
          );
          const dKappa = removal.pullBack(
            added(
              db,
              mapped(da, (x, place) => -x * a.data[place]),
            ),
          );
          return {
            inputs: {
              q: gradients.q,
              ...(call.inputs.kappa === undefined ? { k: added(dk, dKappa) } : { k: dk, kappa: dKappa }),
              v: gradients.v,
              a: dRate,
              ...(ka === undefined ? {} : { ka: mixGradient(ka, gradients.k, k, a, mixPlace) }),
              ...pullBack(gradients.logDecay as Tensor64),
              ...stateGradient(call, gradients.state),
            },
            parameters: {},
          };
        },
      };
    },
  }),
);

/** ∂k_a: every token's ∂k̃·k·(a − 1), added up. */
function mixGradient(
  ka: Tensor64,
  dWritten: Tensor64,
  k: Tensor64,
  a: Tensor64,
  mixPlace: (place: number) => number,
): Tensor64 {
  const gradient = zeros64(ka.shape);
  dWritten.data.forEach((x, place) => {
    gradient.data[mixPlace(place)] += x * k.data[place] * (a.data[place] - 1);
  });
  return gradient;
}
