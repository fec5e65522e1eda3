/**
 * @file Features e^ℓ that are carried as logarithms, so that none overflows or vanishes: every feature of a head keeps its
 * largest key logarithm so far, m_t = max(m_{t−1}, ℓ(k_t)), and its row of the state is scaled by e^{−m_t}. In the core's
 * terms
 *
 *     k_t = e^{ℓ(k_t) − m_t},   log w_t = m_{t−1} − m_t,   q_t = e^{ℓ(q_t) + m_t − max_r(ℓ(q_t) + m_t)}
 *
 * which the division cancels exactly. A maximum over keys of the future, as in a whole tensor at once, would leak
 * them through rounding. The sum that is divided by is at least 1, as the largest feature of a row meets its largest key.
 * A feature whose sum in a given state is 0, as in a state of zeros, holds nothing and has no largest key yet.
 */
import { type Tensor64, zeros64 } from "../base/tensor.ts";
import { type FeatureMap, mapRows } from "./feature-map.ts";
import { coreOf, type Lifted, mapped, type RuleCall, type RuleInput, type RuleSizes } from "./rule.ts";
import { stateInput } from "./rule-inputs.ts";

/** Shape of the state: numerators, their sum, and the largest key logarithm of each feature. */
export function logState(features: (width: number) => number): (sizes: RuleSizes) => readonly number[] {
  return ({ batch, heads, width, valueWidth }) => [batch, heads, features(width), valueWidth + 2];
}

/** The state as an input. */
export function logStateInput(features: (width: number) => number): RuleInput {
  return stateInput(logState(features), "features", "E + 2");
}

/** A call of a rule whose map gives the logarithms of its features. */
export function liftLogs(map: FeatureMap, call: RuleCall): Lifted {
  const { q, k, v, state } = call.inputs;
  const { batch, heads, tokens, queries } = call.sizes;
  const columns = call.sizes.valueWidth + 1;
  const [ofQueries, ofKeys] = [mapRows(map, q, heads), mapRows(map, k, heads)];
  const features = ofKeys.rows.shape[3];
  const first = state === undefined ? undefined : storedRows(state);
  const largest = runningLargest(ofKeys.rows, state);
  const scales = call.whole ? largest.last : largest.running;
  const scaleAt = (row: number, r: number): number => {
    const head = Math.floor(row / (call.whole ? queries : tokens));
    return call.whole ? largest.last[head * features + r] : scales[row * features + r];
  };
  const queryFeatures = mapped(ofQueries.rows, () => 0);
  for (let row = 0; row < batch * heads * queries; row++) {
    const logs = Float64Array.from(
      { length: features },
      (_, r) => ofQueries.rows.data[row * features + r] + scaleAt(row, r),
    );
    const most = logs.reduce((a, b) => Math.max(a, b), -Infinity);
    queryFeatures.data.set(
      logs.map((log) => Math.exp(log - most)),
      row * features,
    );
  }
  const keyFeatures = mapped(ofKeys.rows, (log, place) => {
    const head = Math.floor(place / (tokens * features));
    const scale = call.whole ? largest.last[head * features + (place % features)] : scales[place];
    return Math.exp(log - scale);
  });
  /** What a whole call's first state is multiplied by; in order of time the first decay does it. */
  const rescaled =
    first === undefined || !call.whole
      ? first
      : mapped(first, (value, place) => {
          const row = Math.floor(place / columns);
          return value * Math.exp(largest.before[row] - largest.last[row]);
        });
  return {
    core: coreOf({ decay: call.whole ? "none" : "channel", normalised: true }),
    inputs: {
      q: queryFeatures,
      k: keyFeatures,
      v,
      ...(call.whole ? {} : { logDecay: largest.logDecay }),
      ...(rescaled === undefined ? {} : { state: rescaled }),
    },
    close: (last) => joinColumns(last, largest.last),
    open: (dState) => splitColumns(dState, columns),
    pullBack: (gradients, ending) => {
      // The division makes the outputs free of m_t, so no gradient flows through it but from the last state itself.
      const dQueries = mapped(gradients.q, (x, place) => x * queryFeatures.data[place]);
      const dKeys = mapped(gradients.k, (x, place) => x * keyFeatures.data[place]);
      const dFirst = state === undefined ? undefined : zeros64(state.shape);
      for (let row = 0; row < batch * heads * features; row++) {
        if (dFirst !== undefined && first !== undefined && largest.before[row] > -Infinity) {
          const factor = call.whole ? Math.exp(largest.before[row] - largest.last[row]) : 1;
          for (let e = 0; e < columns; e++) {
            const gradient = factor * gradients.state.data[row * columns + e];
            dFirst.data[row * (columns + 1) + e] = gradient;
            dFirst.data[row * (columns + 1) + columns] += gradient * first.data[row * columns + e];
          }
        }
        if (ending === undefined) continue;
        let dLargest = ending.dState.data[row * (columns + 1) + columns];
        for (let e = 0; e < columns; e++) {
          dLargest -= ending.dState.data[row * (columns + 1) + e] * ending.last.data[row * columns + e];
        }
        const winner = largest.winners[row];
        if (winner >= 0) {
          const head = Math.floor(row / features);
          dKeys.data[(head * tokens + winner) * features + (row % features)] += dLargest;
        } else if (dFirst !== undefined) dFirst.data[row * (columns + 1) + columns] += dLargest;
      }
      return {
        inputs: {
          q: ofQueries.pullBack(dQueries).gradient,
          k: ofKeys.pullBack(dKeys).gradient,
          v: gradients.v,
          ...(dFirst === undefined ? {} : { state: dFirst }),
        },
        parameters: {},
      };
    },
  };
}

/** The largest key logarithm of each feature, before the first token, at every token and after the last. */
interface Largest {
  /** [B, H, N, features] */
  readonly running: Float64Array;
  readonly logDecay: Tensor64;
  /** [B, H, features] */
  readonly before: Float64Array;
  readonly last: Float64Array;
  /** Which token it came from, −1 for the first state. */
  readonly winners: Int32Array;
}

function runningLargest(logs: Tensor64, state: Tensor64 | undefined): Largest {
  const [batch, heads, tokens, features] = logs.shape;
  const running = new Float64Array(logs.data.length);
  const logDecay = zeros64(logs.shape);
  const before = new Float64Array(batch * heads * features).fill(-Infinity);
  const columns = state?.shape[3] ?? 0;
  if (state !== undefined) {
    for (let row = 0; row < before.length; row++) {
      if (isEmpty(state, row)) continue;
      before[row] = state.data[(row + 1) * columns - 1];
    }
  }
  const last = before.slice();
  const winners = new Int32Array(last.length).fill(-1);
  for (let row = 0; row < last.length; row++) {
    const [head, r] = [Math.floor(row / features), row % features];
    for (let t = 0; t < tokens; t++) {
      const place = (head * tokens + t) * features + r;
      const previous = last[row];
      if (logs.data[place] > previous) {
        last[row] = logs.data[place];
        winners[row] = t;
      }
      running[place] = last[row];
      // Nothing was stored before the first token of all.
      logDecay.data[place] = previous === -Infinity ? 0 : previous - last[row];
    }
  }
  return { running, logDecay, before, last, winners };
}

/** Whether nothing is stored under a feature: its sum, the column before the last, is 0. */
function isEmpty({ data, shape }: Tensor64, row: number): boolean {
  return data[(row + 1) * shape[3] - 2] === 0;
}

/** Numerators and sums of a state, those of empty features 0. */
function storedRows(state: Tensor64): Tensor64 {
  const columns = state.shape[3] - 1;
  return mapped(splitColumns(state, columns), (value, place) =>
    isEmpty(state, Math.floor(place / columns)) ? 0 : value,
  );
}

/** The first columns of rows that have one more. */
function splitColumns({ data, shape }: Tensor64, columns: number): Tensor64 {
  const cut = zeros64([...shape.slice(0, 3), columns]);
  return mapped(cut, (_, place) => data[Math.floor(place / columns) * (columns + 1) + (place % columns)]);
}

function joinColumns({ data, shape }: Tensor64, column: Float64Array): Tensor64 {
  const columns = shape[3];
  const wide = zeros64([...shape.slice(0, 3), columns + 1]);
  return mapped(wide, (_, place) => {
    const row = Math.floor(place / (columns + 1));
    const at = place % (columns + 1);
    return at === columns ? column[row] : data[row * columns + at];
  });
}
