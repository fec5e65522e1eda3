/** @file Positions that add a number to the score by head and distance: a table over distances, laid out over the pairs. */
import { jvp, numpy as np } from "@jax-js/jax";
import { type AttentionSizes } from "../../attention/index.ts";
import { UnsupportedError } from "../../base/errors.ts";
import { type BiasPosition, logSpacedDistance } from "../../positions/index.ts";
import { logistic } from "./stable-functions.ts";

type Parameters = Readonly<Record<string, np.Array>>;

/** Biases of all pairs, [1, H, Q, S], and how they change with the position's parameters. */
export interface PairBias {
  readonly value: np.Array;
  readonly tangent: (changes: Parameters) => np.Array | undefined;
}

/**
 * The biases of a position.
 *
 * @param parameters - the position's, by name
 * @param offset - the place of the first query
 */
export function positionBias(
  position: BiasPosition,
  { heads, queries, keys }: AttentionSizes,
  offset: number,
  parameters: Parameters,
): PairBias {
  // One distance more than occurs, so that a row of the skewed table has room for all keys.
  const count = queries + keys;
  const deltas = Int32Array.from({ length: count }, (_, index) => offset + queries - 1 - index);
  const table = tableOf(position, heads, deltas, parameters);
  const overPairs = (values: np.Array): np.Array => {
    // Row i of the pairs is the table from place Q−1−i on: Q copies of the table, read with rows one shorter.
    const copies = np.broadcastTo(values.reshape([heads, 1, count]), [heads, queries, count]);
    const start = queries - 1;
    const skewed = copies.reshape([heads, queries * count]).slice([], [start, start + queries * (count - 1)]);
    const rows = skewed.reshape([heads, queries, count - 1]).slice([], [], [0, keys]);
    return rows.reshape([1, heads, queries, keys]);
  };
  return {
    value: overPairs(table.value),
    tangent(changes) {
      const change = table.tangent(changes);
      return change === undefined ? undefined : overPairs(change);
    },
  };
}

/** A table of [heads, deltas]. */
function tableOf(
  position: BiasPosition,
  heads: number,
  deltas: Int32Array,
  parameters: Parameters,
): PairBias {
  if (position.name === "log-cpb") return logCpbTable(position, deltas, parameters);
  if (position.parameters.length > 0) {
    throw new UnsupportedError(
      "jax-position",
      `Cannot use '${position.name}' on jax-js as only log-cpb among learned biases is written for it: ` +
        `'${position.name}' learns ${position.parameters.map(({ name }) => name).join(", ")}. Use the reference backend`,
    );
  }
  const numbers = Float32Array.from(position.table(heads, deltas, {}));
  return { value: np.array(numbers, { shape: [heads, deltas.length] }), tangent: () => undefined };
}

const largestBias = 16;

/** 16·σ(MLP(log-spaced distance)). */
function logCpbTable({ options }: BiasPosition, deltas: Int32Array, parameters: Parameters): PairBias {
  const window = Number(options["window"] ?? 64);
  const distances = Float32Array.from(deltas, (delta) => logSpacedDistance(delta, window));
  const names = ["log-cpb.hiddenWeight", "log-cpb.hiddenBias", "log-cpb.outWeight"] as const;
  const logitsOf = (hiddenWeight: np.Array, hiddenBias: np.Array, outWeight: np.Array): np.Array => {
    const column = (x: np.Array): np.Array => x.reshape([x.shape[0], 1]);
    const hidden = np.maximum(column(hiddenWeight).mul(np.array(distances)).add(column(hiddenBias)), 0);
    return np.matmul(outWeight, hidden);
  };
  const [hiddenWeight, hiddenBias, outWeight] = names.map((name) => parameters[name]);
  const gate = logistic(logitsOf(hiddenWeight.ref, hiddenBias.ref, outWeight.ref));
  return {
    value: gate.ref.mul(largestBias),
    tangent(changes) {
      if (!names.some((name) => changes[name] !== undefined)) return undefined;
      const [first, second, third] = names.map(
        (name) => changes[name]?.ref ?? np.zerosLike(parameters[name].ref),
      );
      const primals = [hiddenWeight.ref, hiddenBias.ref, outWeight.ref] as [np.Array, np.Array, np.Array];
      const [logits, change] = jvp(logitsOf, primals, [first, second, third]);
      logits.dispose();
      return gate.ref.mul(gate.ref.neg().add(1)).mul(change).mul(largestBias);
    },
  };
}
