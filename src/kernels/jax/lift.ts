/**
 * @file The lift of queries and keys before they are compared: rotation by place, with tables computed in f64, and the
 * diagonal metric of a similarity. Both are linear in queries and keys.
 */
import { numpy as np } from "@jax-js/jax";
import { type AttentionSizes, type Composition } from "../../attention/index.ts";
import { type RotaryPosition, rotaryTable } from "../../positions/index.ts";
import { computedOnce, repeatedHeads, sumOf } from "./array-tools.ts";

/** Queries [B, H, Q, D] and keys [B, G, S, D], or [B, H, S, D] where the lift differs from head to head. */
export interface Sides {
  readonly q: np.Array;
  readonly k: np.Array;
}

/** Lifted queries and keys, and how they change. */
export interface Lift extends Sides {
  readonly tangent: (changes: Partial<Sides>, metric: np.Array | undefined) => Partial<Sides>;
}

/**
 * Lifts queries and keys.
 *
 * @param sides - q and k as the attention gets them
 * @param offset - the place of the first query
 * @param metric - m of [H, D] where the similarity has one
 */
export function lift(
  { position }: Composition,
  sides: Sides,
  { heads, width, queries, keys }: AttentionSizes,
  offset: number,
  metric: np.Array | undefined,
): Lift {
  const places = {
    q: { first: offset, count: queries, role: "query", length: keys },
    k: { first: 0, count: keys, role: "key", length: keys },
  } as const;
  const turned = (side: keyof Sides, x: np.Array): np.Array =>
    position.place === "rotation" ? rotate(position, x, places[side]) : x.ref;
  const once = (x: np.Array): np.Array => (position.place === "rotation" ? computedOnce(x) : x);
  if (metric === undefined) {
    const tangent = ({ q, k }: Partial<Sides>): Partial<Sides> => ({
      ...(q === undefined ? {} : { q: turned("q", q) }),
      ...(k === undefined ? {} : { k: turned("k", k) }),
    });
    return { q: once(turned("q", sides.q)), k: once(turned("k", sides.k)), tangent };
  }

  const root = np.sqrt(metric.ref).reshape([1, heads, 1, width]);
  const perHead = (side: keyof Sides, x: np.Array): np.Array => repeatedHeads(turned(side, x), heads);
  const plain = { q: once(perHead("q", sides.q)), k: once(perHead("k", sides.k)) };
  const tangent: Lift["tangent"] = (changes, dMetric) => {
    const dRoot = dMetric?.ref.reshape([1, heads, 1, width]).div(root.ref.mul(2));
    const ofSide = (side: keyof Sides): np.Array | undefined => {
      const change = changes[side];
      return sumOf([
        change === undefined ? undefined : perHead(side, change).mul(root.ref),
        dRoot === undefined ? undefined : plain[side].ref.mul(dRoot.ref),
      ]);
    };
    const [q, k] = [ofSide("q"), ofSide("k")];
    return { ...(q === undefined ? {} : { q }), ...(k === undefined ? {} : { k }) };
  };
  const scaled = (x: np.Array): np.Array => computedOnce(x.ref.mul(root.ref));
  return { q: scaled(plain.q), k: scaled(plain.k), tangent };
}

/**
 * The partner of each coordinate of a pair, one of them negated: (a, b) ↦ (−b, a).
 *
 * @param x - [B, heads, N, an even width]
 */
export function quarterTurn(x: np.Array, layout: RotaryPosition["layout"]): np.Array {
  const { shape } = x;
  const half = shape[3] / 2;
  if (layout === "half") {
    const first = x.ref.slice([], [], [], [0, half]);
    return np.concatenate([x.ref.slice([], [], [], [half]).neg(), first], 3);
  }
  const pairs = x.ref.reshape([...shape.slice(0, 3), half, 2]);
  const first = pairs.ref.slice([], [], [], [], [0, 1]);
  return np.concatenate([pairs.slice([], [], [], [], [1]).neg(), first], 4).reshape(shape);
}

/** x·cos + quarterTurn(x)·sin over the leading coordinates that turn. */
function rotate(position: RotaryPosition, x: np.Array, places: Parameters<typeof rotaryTable>[2]): np.Array {
  const width = x.shape[3];
  const { cos, sin, pairs } = rotaryTable(position, width, places);
  const turning = 2 * pairs.length;
  const table = (values: Float64Array): np.Array => {
    const numbers = new Float32Array(places.count * turning);
    for (let place = 0; place < places.count; place++) {
      pairs.forEach(([a, b], m) => {
        const value = values[place * pairs.length + m];
        numbers[place * turning + a] = value;
        numbers[place * turning + b] = value;
      });
    }
    return np.array(numbers, { shape: [1, 1, places.count, turning] });
  };
  const moving = turning === width ? x.ref : x.ref.slice([], [], [], [0, turning]);
  const turned = moving.ref.mul(table(cos)).add(quarterTurn(moving, position.layout).mul(table(sin)));
  return turning === width ? turned : np.concatenate([turned, x.ref.slice([], [], [], [turning])], 3);
}
