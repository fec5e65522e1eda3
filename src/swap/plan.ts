/** @file What a comparison of swaps is asked for, and its cells: selectors × layers. */
import { type Calibration } from "./calibrate-swap.ts";
import { type BaseMeasurement, type SwapCell, type SwapMeasurement } from "./measure-swap.ts";

/** What is asked for; everything that a resume needs. */
export interface SwapPlan {
  readonly model: string;
  readonly selectors: readonly string[];
  /** All where absent. */
  readonly layers?: readonly number[];
  readonly heads?: readonly number[];
  /** Whether each layer is swapped alone, in place of all together. */
  readonly eachLayer: boolean;
  readonly calibration: Calibration;
  readonly seed: number;
  readonly text: string;
  /** Tokens of a window. */
  readonly context: number;
  /** At most so many tokens of the text. */
  readonly tokens: number;
  readonly prompt?: string;
  readonly newTokens: number;
  /** Tokens of a text that a fact is hidden in; 0 hides none. */
  readonly needleLength: number;
  readonly needleLanguage: "en" | "zh";
}

/** A comparison as far as it came. */
export interface SwapResults {
  readonly plan: SwapPlan;
  readonly base: BaseMeasurement;
  /** Those that are measured, in the order of the plan. */
  readonly cells: readonly SwapMeasurement[];
  readonly failures: readonly { readonly cell: SwapCell; readonly message: string }[];
  /** Cells that are not measured yet. */
  readonly left: number;
}

/** The cells of a plan: every selector in every layer, or in all of them together. */
export function cellsOf(
  { selectors, layers, heads, eachLayer }: SwapPlan,
  modelLayers: number,
): readonly SwapCell[] {
  const chosen = layers ?? Array.from({ length: modelLayers }, (_, layer) => layer);
  const places = eachLayer ? chosen.map((layer) => [layer]) : [chosen];
  return selectors.flatMap((selector) =>
    places.map((own) => ({ selector, layers: own, ...(heads === undefined ? {} : { heads }) })),
  );
}

/** Layers in short: `3`, `2–5`, `0, 4`. */
export function layersLabel(layers: readonly number[]): string {
  const isRun = layers.every((layer, at) => at === 0 || layer === layers[at - 1] + 1);
  return layers.length > 2 && isRun ? `${layers[0]}–${layers[layers.length - 1]}` : layers.join(", ");
}
