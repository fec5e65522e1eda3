/** @file What routing does to a batch: tokens dropped at the capacity of training, the load of every expert, the balance loss. */
import { type Tensor } from "../base/tensor.ts";
import { routeTokens, type RoutingRule } from "../kernels/wasm/index.ts";
import { type ScoreStatistics } from "./model.ts";

/** Collects the part of {@link ScoreStatistics} that is about experts, layer by layer. */
export function routingCollector(): {
  readonly add: (scores: Tensor, rule: RoutingRule) => void;
  /** Nothing where no layer has experts. */
  readonly statistics: () => Omit<ScoreStatistics, "largestLogit" | "entropy">;
} {
  const layers: { readonly load: Float64Array; readonly balance: number; readonly dropped: number }[] = [];
  return {
    add({ data, shape }, rule) {
      const experts = shape[shape.length - 1];
      const { load, balance, dropped, chosen } = routeTokens({ data, experts }, rule);
      layers.push({ load: load.toSorted((a, b) => b - a), balance, dropped: dropped / chosen.length });
    },
    statistics() {
      if (layers.length === 0) return {};
      const mean = (of: (layer: (typeof layers)[number]) => number): number =>
        layers.reduce((sum, layer) => sum + of(layer), 0) / layers.length;
      return {
        droppedShare: mean(({ dropped }) => dropped),
        balanceLoss: layers.length * mean(({ balance }) => balance),
        ...Object.fromEntries(
          Array.from(layers[0].load, (_, rank) => [`expertLoad${rank + 1}`, mean(({ load }) => load[rank])]),
        ),
      };
    },
  };
}
