/**
 * @file What mixes the tokens of a layer, as somebody writes it: an attention of the algebra or a rule of the recurrent class. Places
 * that are added to embeddings go with either, as they are the model's and not the mixer's.
 */
import { type AnyPartFactory, parseSelector, printSelector, type SelectedParts } from "../attention/index.ts";
import { firstName, readSelector } from "../attention/selector.ts";
import { printPart } from "../base/part.ts";
import { type EmbeddingPosition, type Position } from "../positions/index.ts";
import {
  composeRecurrence,
  printRecurrence,
  type RecurrenceComposition,
  recurrences,
  type RecurrentRule,
} from "../recurrence/index.ts";

/** What a selector names. */
export type Mixer =
  | { readonly kind: "attention"; readonly parts: SelectedParts }
  | {
      readonly kind: "recurrence";
      readonly recurrence: RecurrenceComposition;
      /** Added to the embeddings; `nope` where somebody wrote it. */
      readonly position?: Position;
    };

/**
 * Reads the selector of an attention or of a recurrence; a recurrence may name a position that is added to embeddings too, as in
 * `linear+learned`.
 *
 * @param own - similarities of the caller's, which go before rules of the same name
 * @throws DomainError and UnsupportedError as `parseSelector` and `parseRecurrence` do
 * @example
 * ```ts
 * import { parseMixer, printMixer } from "qklab/models";
 * printMixer(parseMixer("gla+learned+causal")); // "gla+learned"
 * ```
 */
export function parseMixer(selector: string, own: readonly AnyPartFactory[] = []): Mixer {
  const name = firstName(selector);
  const isOwn = own.some(({ definition }) => definition.selector === name);
  if (isOwn || !recurrences.some(({ definition }) => definition.selector === name)) {
    return { kind: "attention", parts: parseSelector(selector, own) };
  }
  const { first, patterns, position, ...others } = readSelector(
    selector,
    recurrences,
    "rule of the recurrent class",
  );
  const isOutside = position?.place === "embedding" || position?.name === "nope";
  const outside = isOutside ? { position } : {};
  const recurrence = composeRecurrence({
    rule: first as RecurrentRule,
    pattern: patterns,
    ...others,
    ...(position === undefined || isOutside ? {} : { position }),
  });
  return { kind: "recurrence", recurrence, ...outside };
}

/** A mixer as its selector; {@link parseMixer} reads it. */
export function printMixer(mixer: Mixer): string {
  if (mixer.kind === "attention") return printSelector(mixer.parts);
  const { recurrence, position } = mixer;
  return [printRecurrence(recurrence), ...(position === undefined ? [] : [printPart(position)])].join("+");
}

/** The position that a mixer names. */
export function positionOf(mixer: Mixer): Position | undefined {
  if (mixer.kind === "attention") return mixer.parts.position;
  return mixer.position ?? mixer.recurrence.position;
}

/** The position of a recurrence that a model adds to its embeddings. */
export function embeddingPosition(position: Position | undefined): EmbeddingPosition | undefined {
  return position?.place === "embedding" ? position : undefined;
}
