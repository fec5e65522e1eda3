/** @file Another attention for some layers and heads of a model, which keeps what the selector does not speak of. */
import { type AnyPartFactory } from "../attention/index.ts";
import { DomainError } from "../base/errors.ts";
import {
  type ComposedGroup,
  type LayerAttentions,
  type Mixer,
  parseMixer,
  positionOf,
  printMixer,
} from "../models/index.ts";
import { causal } from "../patterns/index.ts";
import { type Position } from "../positions/index.ts";
import { isTurnable } from "../recurrence/index.ts";

/** What takes the place of what. */
export interface AttentionSwap {
  /** An attention or a recurrence; position and pattern that it leaves out stay those of the model. */
  readonly selector: string;
  /** Layers, from 0 (default all). */
  readonly layers?: readonly number[];
  /** Query heads, from 0 (default all); those that share a key/value head go together. */
  readonly heads?: readonly number[];
}

/**
 * The attentions of a model with some of them swapped. A rule of the recurrent class keeps places that are added to embeddings, and
 * rotations where it can be turned; it has no other positions, and no pattern but its own.
 *
 * @param groups - the head groups of every layer, as in `model.config.groups`
 * @param similarities - the caller's own, which selectors may name
 * @returns what goes into a configuration's `attention`
 * @throws DomainError `swap-place` for layers or heads that are not there, and what `parseMixer` throws
 * @example
 * ```ts
 * import { decoder } from "qklab/models";
 * import { swapAttention } from "qklab/language";
 * const { config } = decoder({
 *   vocabulary: 8, width: 8, layers: 2, heads: 2, attention: "dot+rope:theta=500+causal", maximumLength: 16,
 * });
 * swapAttention(config.groups, { selector: "cosine", layers: [1] });
 * // ["dot+rope:theta=500+causal", "cosine+rope:theta=500+causal"]
 * ```
 */
export function swapAttention(
  groups: readonly (readonly Pick<ComposedGroup, "selector" | "heads">[])[],
  { selector, layers, heads }: AttentionSwap,
  similarities: readonly AnyPartFactory[] = [],
): LayerAttentions {
  requirePlaces("layers", layers, groups.length);
  return groups.map((ofLayer, layer) => {
    const own = ofLayer.flatMap((group) => Array.from({ length: group.heads }, () => group.selector));
    requirePlaces("heads", heads, own.length);
    const isChosen = (head: number): boolean =>
      (layers === undefined || layers.includes(layer)) && (heads === undefined || heads.includes(head));
    const swapped = own.map((was, head) =>
      isChosen(head) ? completeSwap(selector, was, similarities) : was,
    );
    const runs: { selector: string; heads: number }[] = [];
    for (const one of swapped) {
      const last = runs.at(-1);
      if (last?.selector === one) last.heads += 1;
      else runs.push({ selector: one, heads: 1 });
    }
    return runs.length === 1 ? runs[0].selector : runs;
  });
}

/** A selector with the position and the pattern of another one where it has none. */
function completeSwap(selector: string, was: string, similarities: readonly AnyPartFactory[]): string {
  const [mixer, before] = [selector, was].map((text) => parseMixer(text, similarities));
  const position = positionOf(mixer) ?? positionOf(before);
  if (mixer.kind === "recurrence") return printMixer(placedRecurrence(mixer, position));
  const { parts } = mixer;
  const past = before.kind === "attention" ? before.parts.patterns : [causal()];
  return printMixer({
    kind: "attention",
    parts: {
      ...parts,
      ...(position === undefined ? {} : { position }),
      patterns: parts.patterns.length > 0 ? parts.patterns : past,
    },
  });
}

/** A recurrence with the places of another mixer, where it has a use for them. */
function placedRecurrence(
  mixer: Extract<Mixer, { kind: "recurrence" }>,
  position: Position | undefined,
): Mixer {
  if (position?.place === "embedding") return { ...mixer, position };
  const { recurrence } = mixer;
  if (position?.place !== "rotation" || !isTurnable(recurrence.rule, position)) return mixer;
  return { ...mixer, recurrence: { ...recurrence, position } };
}

function requirePlaces(what: "layers" | "heads", chosen: readonly number[] | undefined, count: number): void {
  const foreign = chosen?.find((place) => !Number.isInteger(place) || place < 0 || place >= count);
  if (foreign === undefined && chosen?.length !== 0) return;
  throw new DomainError(
    "swap-place",
    `Cannot swap attentions as ${what} must be some of 0 to ${count - 1}: ${foreign ?? "none"}. Name those that are there`,
  );
}
