/**
 * @file How each attention looks in every plot: a colour of Okabe and Ito's palette, which all kinds of colour vision tell
 * apart, with a symbol of its own, so that colour is never the only difference.
 */
import { type SymbolName } from "@observablehq/plot";

/** The look of one attention. */
export interface SeriesStyle {
  /** A colour of the style sheet, so that it follows light and dark. */
  readonly colour: string;
  readonly symbol: SymbolName;
}

/** Okabe & Ito 2008 on white (yellow darkened until it can be seen), and the same hues on black. */
export const seriesColours: readonly { readonly light: string; readonly dark: string }[] = [
  { light: "#0072b2", dark: "#58b4f0" },
  { light: "#d55e00", dark: "#ff8c42" },
  { light: "#009e73", dark: "#35c99d" },
  { light: "#b85c94", dark: "#e69ac5" },
  { light: "#b07d00", dark: "#f0b429" },
  { light: "#3a98c9", dark: "#9bd8fa" },
  { light: "#7a6a00", dark: "#e8e06a" },
  { light: "#444444", dark: "#c4c4c4" },
];

const symbols: readonly SymbolName[] = ["circle", "triangle", "square", "diamond", "star", "cross", "wye"];

/**
 * The looks of a plan's attentions. There are more pairs of colour and symbol than attentions in any plan, and
 * neighbours differ in both.
 */
export function seriesStyles(selectors: readonly string[]): ReadonlyMap<string, SeriesStyle> {
  return new Map(
    [...new Set(selectors)].map((selector, index) => [
      selector,
      { colour: `var(--series-${index % seriesColours.length})`, symbol: symbols[index % symbols.length] },
    ]),
  );
}
