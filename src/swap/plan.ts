/** @file What a comparison of swaps is asked for, and its cells: selectors × layers, and adapters with and without what they learned. */
import { type Bilingual, same } from "../compare/bilingual.ts";
import { type Calibration } from "./calibrate-swap.ts";
import {
  type AdapterCell,
  type BaseMeasurement,
  type SwapCell,
  type SwapMeasurement,
} from "./measure-swap.ts";

/** The text that models are measured on, without the text. */
export interface TextFacts {
  /** The name of its file; absent where it was given itself. */
  readonly name?: string;
  /** Of its UTF-8, in hexadecimal digits. */
  readonly sha256: string;
  /** Code points. */
  readonly characters: number;
  /** The first of them. */
  readonly beginning: string;
}

/** An adapter that is asked for. */
export interface PlannedAdapter {
  /** As it was asked for. */
  readonly folder: string;
  /** Of its files. */
  readonly hash: string;
}

/** What is asked for; everything that a resume needs but the text. */
export interface SwapPlan {
  readonly model: string;
  readonly selectors: readonly string[];
  readonly adapters: readonly PlannedAdapter[];
  /** All where absent. */
  readonly layers?: readonly number[];
  readonly heads?: readonly number[];
  /** Whether each layer is swapped alone, in place of all together. */
  readonly eachLayer: boolean;
  readonly calibration: Calibration;
  readonly seed: number;
  readonly text: TextFacts;
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

/** How much of what its attentions cost an adapter has won back. */
export interface Recovery {
  readonly adapter: string;
  /** (Δ' − Δ)/Δ', with Δ' the bits that the attentions cost before they learned, and Δ those with what they learned. */
  readonly share: number;
}

/** A comparison as far as it came. */
export interface SwapResults {
  readonly plan: SwapPlan;
  readonly base: BaseMeasurement;
  /** Those that are measured, in the order of the plan. */
  readonly cells: readonly SwapMeasurement[];
  readonly recovered: readonly Recovery[];
  readonly failures: readonly { readonly cell: SwapCell; readonly message: string }[];
  /** Cells that are not measured yet. */
  readonly left: number;
}

/**
 * The cells of a plan: every selector in every layer, or in all of them together; then each adapter's attentions as they were before
 * they learned, and the adapter.
 *
 * @param changed - the layers that each adapter changes
 */
export function cellsOf(
  { selectors, adapters, layers, heads, eachLayer }: SwapPlan,
  modelLayers: number,
  changed: readonly (readonly number[])[] = [],
): readonly SwapCell[] {
  const chosen = layers ?? Array.from({ length: modelLayers }, (_, layer) => layer);
  const places = eachLayer ? chosen.map((layer) => [layer]) : [chosen];
  const ofSelectors = selectors.flatMap((selector) =>
    places.map((own) => ({ selector, layers: own, ...(heads === undefined ? {} : { heads }) })),
  );
  const ofAdapters = adapters.flatMap(({ folder, hash }, index): AdapterCell[] =>
    [false, true].map((isLearned) => ({ adapter: folder, hash, isLearned, layers: changed[index] ?? [] })),
  );
  return [...ofSelectors, ...ofAdapters];
}

/** Of adapters whose attentions cost something before they learned. */
export function recoveries(cells: readonly SwapMeasurement[]): readonly Recovery[] {
  return cells.flatMap(({ cell, difference: learned }) => {
    if ("selector" in cell || !cell.isLearned) return [];
    const before = cells.find(
      ({ cell: other }) => !("selector" in other) && other.hash === cell.hash && !other.isLearned,
    )?.difference;
    if (before === undefined || !(before.bitsPerCharacter > 0)) return [];
    const share = 1 - learned.bitsPerCharacter / before.bitsPerCharacter;
    return [{ adapter: cell.adapter, share }];
  });
}

/** What a swap is called: its selector, or its adapter. */
export function cellTitle(cell: SwapCell): Bilingual {
  if ("selector" in cell) return same(cell.selector);
  const { adapter, isLearned } = cell;
  return isLearned ? same(adapter) : { en: `${adapter}, before it learned`, zh: `${adapter}（学习之前）` };
}

/** Layers in short: `3`, `2–5`, `0, 4`. */
export function layersLabel(layers: readonly number[]): string {
  const isRun = layers.every((layer, at) => at === 0 || layer === layers[at - 1] + 1);
  return layers.length > 2 && isRun ? `${layers[0]}–${layers[layers.length - 1]}` : layers.join(", ");
}

/** The heads of a swap whose temperature is cut at its largest value, as `layer.head`. */
export function cutHeads({ temperatures }: SwapMeasurement): readonly string[] {
  return temperatures.flatMap(({ layer, cut }) => cut.map(({ head }) => `${layer}.${head}`));
}
