/** @file Text as the tokens of a prompt. What is certainly longer than the context is refused before it is taken apart. */
import { asRequestError, badField } from "./request-error.ts";
import { type ServedModel } from "./served-model.ts";

type PromptModel = Pick<ServedModel, "tokenizer" | "contextLength" | "longestToken">;

/**
 * Encodes a text.
 *
 * @param param - the field that it is in
 * @param isWritten - whether the text has its marks written out, as chat templates do
 */
export function encodeText(
  { tokenizer, contextLength, longestToken }: PromptModel,
  text: string,
  param: string,
  isWritten = false,
): readonly number[] {
  // Characters are bytes at least, and tokens are the longest at most.
  const fewest = Math.ceil(text.length / longestToken);
  if (fewest > contextLength) {
    throw badField(
      param,
      `Cannot generate as the prompt must fit in the model's context of ${contextLength} tokens: ` +
        `${fewest} tokens at least. Shorten it to at most ${contextLength}`,
      "context_length_exceeded",
    );
  }
  try {
    return tokenizer.encode(text, { addSpecial: !isWritten });
  } catch (error) {
    throw asRequestError(error, param);
  }
}

/** The most bytes that a token of a vocabulary has. */
export function longestTokenOf({ tokenizer }: Pick<ServedModel, "tokenizer">): number {
  let most = 1;
  for (let token = 0; token < tokenizer.vocabularySize; token++)
    most = Math.max(most, tokenizer.bytesOf(token).length);
  return most;
}
