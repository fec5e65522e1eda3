/** @file What tokens and labels of a batch must be for a model of tokens: whole sequences inside its vocabulary and its length. */
import { DomainError, ShapeError } from "../base/errors.ts";

/** Sizes that tokens must fit. */
export interface TokenSizes {
  /** V */
  readonly vocabulary: number;
  readonly maximumLength: number;
}

/**
 * N of tokens [B, N].
 *
 * @throws ShapeError `decoder-tokens`, `decoder-length`; DomainError `decoder-token`
 */
export function lengthOf(
  tokens: Int32Array,
  batch: number,
  { maximumLength, vocabulary }: TokenSizes,
): number {
  const length = tokens.length / batch;
  if (!Number.isInteger(length) || length === 0) {
    throw new ShapeError(
      "decoder-tokens",
      `Cannot decode as the batch must divide its tokens: ${tokens.length} tokens, batch ${batch}. Pass [B, N] tokens`,
    );
  }
  if (length > maximumLength) {
    throw new ShapeError(
      "decoder-length",
      `Cannot decode as a sequence may have at most maximumLength tokens: ${length}, and ${maximumLength} are allowed. ` +
        "Shorten it, or make the decoder with a larger maximumLength",
    );
  }
  requireTokens(tokens, vocabulary);
  return length;
}

/** @throws DomainError `decoder-token` for tokens that a vocabulary does not have */
export function requireTokens(tokens: Int32Array, vocabulary: number): void {
  const foreign = tokens.find((token) => token < 0 || token >= vocabulary);
  if (foreign === undefined) return;
  throw new DomainError(
    "decoder-token",
    `Cannot decode as every token must be a whole number from 0 to ${vocabulary - 1}: ${foreign}. ` +
      "Use the vocabulary that the decoder was made for",
  );
}

/** @throws ShapeError, DomainError `decoder-labels` for places and targets that do not fit */
export function requirePlaces(places: number, labels: number, positions: Int32Array | undefined): void {
  const count = positions?.length ?? places;
  if (labels !== count || labels === 0) {
    throw new ShapeError(
      "decoder-labels",
      `Cannot score a batch as every labelled place has one target: ${count} places, ${labels} targets. ` +
        "Pass as many targets as positions, or as tokens where positions are left out",
    );
  }
  const outside = positions?.find((position) => position < 0 || position >= places);
  if (outside === undefined) return;
  throw new DomainError(
    "decoder-labels",
    `Cannot score a batch as a labelled place must be one of its ${places}: ${outside}. Pass sequence·N + place`,
  );
}
