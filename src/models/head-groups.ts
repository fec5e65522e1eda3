/** @file The heads of every layer by what mixes their tokens, as somebody writes it and as it is read. */
import { type AnyPartFactory, compose, type Composition, completeSelector } from "../attention/index.ts";
import { DomainError, ShapeError } from "../base/errors.ts";
import { type EmbeddingPosition } from "../positions/index.ts";
import { embeddingPosition, parseMixer } from "./mixer.ts";
import { type RecurrentHeads } from "./recurrence-group.ts";

/** Heads of a layer that share an attention. */
export interface HeadGroup {
  readonly selector: string;
  /** How many query heads. */
  readonly heads: number;
}

/** One selector for all layers, or one entry a layer, each a selector or a list of head groups. */
export type LayerAttentions = string | readonly (string | readonly HeadGroup[])[];

/** A head group with an attention, read. */
export interface ComposedAttention {
  readonly selector: string;
  readonly composition: Composition;
  readonly heads: number;
  readonly keyValueHeads: number;
}

/** A head group with a recurrence, read. */
export interface ComposedRecurrence extends RecurrentHeads {
  readonly selector: string;
  /** What the model adds to its embeddings. */
  readonly position: EmbeddingPosition | undefined;
}

/** One head group, read. */
export type ComposedGroup = ComposedAttention | ComposedRecurrence;

/** The heads of a layer, and whether tokens may see later ones: `past` for models that predict the next token. */
export interface HeadSizes {
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headWidth: number;
  readonly sees: "past" | "all";
}

/**
 * Reads the attentions of all layers.
 *
 * @param layers - one entry a layer
 * @throws ShapeError `decoder-groups` and `decoder-divide` for sizes that do not fit, DomainError `decoder-causal`
 */
export function composeLayers(
  layers: readonly (string | readonly HeadGroup[])[],
  sizes: HeadSizes,
  similarities: readonly AnyPartFactory[],
): readonly (readonly ComposedGroup[])[] {
  return layers.map((entry, layer) => {
    const groups = typeof entry === "string" ? [{ selector: entry, heads: sizes.heads }] : entry;
    return composeGroups(groups, layer, sizes, similarities);
  });
}

/** One entry a layer. */
export function layersOf(
  attention: LayerAttentions,
  layers: number,
): readonly (string | readonly HeadGroup[])[] {
  if (typeof attention === "string") return Array.from({ length: layers }, () => attention);
  if (attention.length === layers) return attention;
  throw new ShapeError(
    "decoder-layers",
    `Cannot make a model as a list of attentions has one entry a layer: ${attention.length} entries, ${layers} layers. ` +
      "Pass one selector for all layers, or as many entries",
  );
}

function composeGroups(
  groups: readonly HeadGroup[],
  layer: number,
  { heads, keyValueHeads, headWidth, sees }: HeadSizes,
  similarities: readonly AnyPartFactory[],
): readonly ComposedGroup[] {
  const given = groups.reduce((sum, group) => sum + group.heads, 0);
  if (given !== heads) {
    throw new ShapeError(
      "decoder-groups",
      `Cannot make layer ${layer} as its head groups must have all ${heads} heads: they have ${given}. Change their sizes`,
    );
  }
  const shared = heads / keyValueHeads;
  return groups.map(({ selector, heads: own }) => {
    requireDivides(
      "query heads per key/value head",
      shared,
      `the heads of group '${selector}'`,
      own,
      "Change its size",
    );
    const counts = { selector, heads: own, keyValueHeads: own / shared };
    const mixer = parseMixer(selector, similarities);
    if (mixer.kind === "recurrence") {
      const { recurrence, position } = mixer;
      if (recurrence.whole && sees === "past") refuseFuture(selector, "full", "Drop +full");
      recurrence.position?.pairs(headWidth);
      return { ...counts, recurrence, position: embeddingPosition(position) };
    }
    const composition = compose(completeSelector(mixer.parts, {}));
    if (sees === "past") requireCausal(selector, composition);
    composition.similarity.terms(headWidth);
    if (composition.position.place === "rotation") composition.position.pairs(headWidth);
    return { ...counts, composition };
  });
}

/** Refuses a count that does not divide another. */
export function requireDivides(what: string, divisor: number, of: string, whole: number, cure: string): void {
  if (whole % divisor === 0) return;
  throw new ShapeError(
    "decoder-divide",
    `Cannot make a model as the ${what} must divide ${of}: ${divisor} and ${whole}. ${cure}`,
  );
}

function requireCausal(selector: string, { patterns }: Composition): void {
  if (patterns.some(({ causal }) => causal)) return;
  refuseFuture(selector, patterns.map(({ name }) => name).join("+"), "Add +causal");
}

function refuseFuture(selector: string, pattern: string, cure: string): never {
  throw new DomainError(
    "decoder-causal",
    `Cannot decode with '${selector}' as no token may see a later one, which it is to predict: ` +
      `the pattern is ${pattern}. ${cure}`,
  );
}
