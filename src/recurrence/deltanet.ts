/** @file The delta rule: before a value is written under a key, part of what was stored under that key is taken back. */
import { type PartFactory } from "../base/part.ts";
import { type Tensor64 } from "../base/tensor.ts";
import {
  added,
  betaInput,
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
  type RecurrentRule,
  stateGradient,
  stateOf,
} from "./rule.ts";

/**
 * M_t = M_{t−1} − β_t k̂_tᵀ(k̂_t M_{t−1}) + β_t k̂_tᵀv_t, o_t = q̂_t·M_t, with x̂ = x/max(‖x‖, 1e-12) and the input
 * `beta` [B, G, N] in [0, 1]. With β = 1 and orthonormal keys M is an exact dictionary.
 *
 * @param options - `chunk`: tokens of a chunk, which must divide N
 * @example
 * ```ts
 * import { deltanet, recurrence, tensor } from "qklab";
 * const attend = recurrence({ rule: deltanet() });
 * const q = tensor([1, 0, 0, 1], [1, 1, 2, 2]);
 * const { out } = await attend({ q, k: q, v: q, beta: tensor([1, 1], [1, 1, 2]) });
 * ```
 */
export const deltanet: PartFactory<RecurrentRule, ChunkOption> = defineLifted(
  {
    selector: "deltanet",
    formula: "M_t = M_{t−1} − β_t·k̂_tᵀ(k̂_t·M_{t−1}) + β_t·k̂_tᵀv_t, o_t = q̂_t·M_t",
    source: "Yang et al. 2024, Parallelizing Linear Transformers with the Delta Rule, equation 2",
  },
  () => ({
    inputs: [queryInput, ...keyInputs, betaInput, matrixState],
    lift: (call) => {
      const { q, k, v, beta } = call.inputs;
      const [queries, keys] = [unitRows(q), unitRows(k)];
      const written = timesRows(keys.rows, beta);
      return {
        core: coreOf({ correction: true }),
        inputs: {
          q: queries.rows,
          k: written,
          v,
          a: timesRows(keys.rows, beta, -1),
          b: keys.rows,
          ...stateOf(call),
        },
        pullBack: ({ q: dq, k: dk, v: dv, a: da, b: db, state }) => {
          // k is β·k̂ and a is −β·k̂.
          const dWritten = added(dk, timesMinusOne(da as Tensor64));
          return {
            inputs: {
              q: queries.pullBack(dq),
              k: keys.pullBack(added(timesRows(dWritten, beta), db as Tensor64)),
              v: dv,
              beta: rowDots(dWritten, keys.rows, beta),
              ...stateGradient(call, state),
            },
            parameters: {},
          };
        },
      };
    },
  }),
);

const timesMinusOne = ({ data, shape }: Tensor64): Tensor64 => ({ data: data.map((x) => -x), shape });
