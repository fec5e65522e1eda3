/**
 * @file Feature maps φ of queries and keys, one vector at a time with its gradient, and their use on whole tensors:
 * φ(q)·φ(k) is the kernel that a linear attention compares by.
 */
import { type Tensor64, zeros64 } from "../base/tensor.ts";
import { sharedHead } from "./core.ts";

/** A map of vectors of width D. */
export interface FeatureMap {
  /** Numbers of φ(x) for D numbers of x. */
  readonly features: (width: number) => number;
  /** Writes φ(x); `weight` is the head's own, for maps that are learned. */
  readonly forward: (x: Float64Array, out: Float64Array, weight: Float64Array) => void;
  /** Adds the gradients of Σ φ(x)·dOut; `features` is φ(x). */
  readonly backward: (
    x: Float64Array,
    dOut: Float64Array,
    dx: Float64Array,
    weight: Float64Array,
    dWeight: Float64Array,
    features: Float64Array,
  ) => void;
}

/** Maps that are no logarithms. */
export type FeatureMapName = "elu1" | "relu" | "taylor2" | "hedgehog" | "identity";

/** φ of every vector of a tensor, with the way back. */
export interface MappedRows {
  readonly rows: Tensor64;
  readonly pullBack: (dRows: Tensor64) => {
    readonly gradient: Tensor64;
    readonly weight: Tensor64 | undefined;
  };
}

/** What maps without weights are given; one for all rows, as there are many. */
const noWeight = new Float64Array(0);

/**
 * φ of every vector of [B, heads, N, D], for `heads` heads: those of a shared tensor are mapped once for each query head
 * where weights or states differ between them.
 */
export function mapRows(map: FeatureMap, tensor: Tensor64, heads: number, weight?: Tensor64): MappedRows {
  const [batch, ownHeads, tokens, width] = tensor.shape;
  const features = map.features(width);
  const rows = zeros64([batch, heads, tokens, features]);
  const weightSize = weight === undefined ? 0 : weight.data.length / heads;
  const each = (visit: (from: number, to: number, head: number) => void): void => {
    for (let row = 0; row < batch * heads * tokens; row++) {
      const head = Math.floor(row / tokens) % heads;
      const entry = Math.floor(row / (tokens * heads));
      const own = (entry * ownHeads + sharedHead(head, heads, ownHeads)) * tokens + (row % tokens);
      visit(own * width, row * features, head);
    }
  };
  const weightOf = (all: Tensor64 | undefined, head: number): Float64Array =>
    all?.data.subarray(head * weightSize, (head + 1) * weightSize) ?? noWeight;
  each((from, to, head) =>
    map.forward(
      tensor.data.subarray(from, from + width),
      rows.data.subarray(to, to + features),
      weightOf(weight, head),
    ),
  );
  return {
    rows,
    pullBack: (dRows) => {
      const gradient = zeros64(tensor.shape);
      const dWeight = weight === undefined ? undefined : zeros64(weight.shape);
      each((from, to, head) =>
        map.backward(
          tensor.data.subarray(from, from + width),
          dRows.data.subarray(to, to + features),
          gradient.data.subarray(from, from + width),
          weightOf(weight, head),
          weightOf(dWeight, head),
          rows.data.subarray(to, to + features),
        ),
      );
      return { gradient, weight: dWeight };
    },
  };
}

/** A map of each number on its own. */
function elementwise(value: (x: number) => number, slope: (x: number) => number): FeatureMap {
  return {
    features: (width) => width,
    forward: (x, out) => {
      for (let d = 0; d < x.length; d++) out[d] = value(x[d]);
    },
    backward: (x, dOut, dx) => {
      for (let d = 0; d < x.length; d++) dx[d] += dOut[d] * slope(x[d]);
    },
  };
}

/** elu(x) + 1: x + 1 above zero and e^x below. */
export const elu1: FeatureMap = elementwise(
  (x) => (x > 0 ? x + 1 : Math.exp(x)),
  (x) => (x > 0 ? 1 : Math.exp(x)),
);

/** max(x, 0). */
export const relu: FeatureMap = elementwise(
  (x) => Math.max(x, 0),
  (x) => (x > 0 ? 1 : 0),
);

/** x itself; also log φ of the map exp. */
export const identity: FeatureMap = elementwise(
  (x) => x,
  () => 1,
);

/** [1, x/D^¼, vec(xxᵀ)/√(2D)]: its kernel is the second-order Taylor polynomial of e^{q·k/√D}. */
export const taylor2: FeatureMap = {
  features: (width) => 1 + width + width ** 2,
  forward: (x, out) => {
    const width = x.length;
    const square = (2 * width) ** -0.5;
    out[0] = 1;
    for (let d = 0; d < width; d++) {
      out[1 + d] = x[d] * width ** -0.25;
      for (let e = 0; e < width; e++) out[1 + width + d * width + e] = x[d] * x[e] * square;
    }
  },
  backward: (x, dOut, dx) => {
    const width = x.length;
    const square = (2 * width) ** -0.5;
    for (let d = 0; d < width; d++) {
      dx[d] += dOut[1 + d] * width ** -0.25;
      for (let e = 0; e < width; e++) {
        const gradient = dOut[1 + width + d * width + e] * square;
        dx[d] += gradient * x[e];
        dx[e] += gradient * x[d];
      }
    }
  },
};

/** [softmax(Wx), softmax(−Wx)] with a learned W [D, D] of each head. */
export const hedgehog: FeatureMap = {
  features: (width) => 2 * width,
  forward: (x, out, weight) => {
    writeHedgehog(product(weight, x), out);
  },
  backward: (x, dOut, dx, weight, dWeight, features) => {
    const width = x.length;
    let [above, below] = [0, 0];
    for (let r = 0; r < width; r++) {
      above += features[r] * dOut[r];
      below += features[width + r] * dOut[width + r];
    }
    for (let r = 0; r < width; r++) {
      const dScore = features[r] * (dOut[r] - above) - features[width + r] * (dOut[width + r] - below);
      for (let d = 0, place = r * width; d < width; d++, place++) {
        dx[d] += dScore * weight[place];
        dWeight[place] += dScore * x[d];
      }
    }
  },
};

/** W·x for W [R, D]. */
export function product(weight: Float64Array, x: Float64Array): Float64Array {
  const width = x.length;
  const result = new Float64Array(weight.length / width);
  for (let row = 0, place = 0; row < result.length; row++) {
    let sum = 0;
    for (let d = 0; d < width; d++, place++) sum += weight[place] * x[d];
    result[row] = sum;
  }
  return result;
}

/** [softmax(s), softmax(−s)]. */
function writeHedgehog(scores: Float64Array, out: Float64Array): void {
  const width = scores.length;
  let [most, least] = [-Infinity, Infinity];
  for (const score of scores) {
    most = Math.max(most, score);
    least = Math.min(least, score);
  }
  let [above, below] = [0, 0];
  for (let r = 0; r < width; r++) {
    above += out[r] = Math.exp(scores[r] - most);
    below += out[width + r] = Math.exp(least - scores[r]);
  }
  for (let r = 0; r < width; r++) {
    out[r] /= above;
    out[width + r] /= below;
  }
}
