/** @file Places that a decoder adds to its embeddings: which one its layers name, and the numbers of sines and cosines. */
import { numpy as np } from "@jax-js/jax";
import { DomainError } from "../base/errors.ts";
import { weightDeviation } from "../nn/initialisation.ts";
import { type EmbeddingPosition } from "../positions/index.ts";
import { type ResolvedDecoderConfig } from "./decoder-config.ts";
import { embeddingPosition } from "./mixer.ts";

/** The position that is added to embeddings, which all layers that name one must share. */
export function placesOf({ groups }: Pick<ResolvedDecoderConfig, "groups">): EmbeddingPosition | undefined {
  const named = groups
    .flat()
    .map((group) => ("recurrence" in group ? group.position : embeddingPosition(group.composition.position)))
    .filter((position) => position !== undefined);
  const [first, ...others] = new Map(
    named.map((position) => [`${position.name}:${JSON.stringify(position.options)}`, position]),
  ).values();
  if (others.length === 0) return first;
  throw new DomainError(
    "decoder-positions",
    "Cannot make a model as one kind of position is added to its embeddings, for all layers: " +
      `${first.name} and ${others[0].name}. Name one of them`,
  );
}

/** How those places enter. */
export function kindOf(places: EmbeddingPosition | undefined): "learned" | "table" | "none" {
  if (places === undefined) return "none";
  return places.table === undefined ? "learned" : "table";
}

/**
 * Sines and cosines at the size of the embeddings: their ratio is that of Vaswani et al. 2017, who scale embeddings of unit
 * variance up instead.
 */
function placeNumbers(table: Float64Array, width: number): Float32Array {
  return Float32Array.from(table, (value) => weightDeviation(width) * value);
}

export function placeTable(table: Float64Array, width: number): np.Array {
  return np.array(placeNumbers(table, width), { shape: [table.length / width, width] });
}

/** Those of all places, where they are not learned. */
export function numbersOf(
  places: EmbeddingPosition | undefined,
  { maximumLength, width }: ResolvedDecoderConfig,
): Float32Array | undefined {
  const table = places?.table?.(maximumLength, width);
  return table === undefined ? undefined : placeNumbers(table, width);
}
