/** @file Whether a tokenizer and a model fit: what the tokenizer can say of a text must have a row in the model's table. */
import { DomainError } from "../base/errors.ts";
import { type Tokenizer } from "../text/index.ts";

/**
 * Refuses the tokenizer of another model. Marks beyond the model's table are let be, as models are published with marks that were added
 * after they were trained; a prompt with one of those is refused when it is taken.
 *
 * @param vocabulary - rows of the model's table, which may be padded
 * @throws DomainError `tokenizer-vocabulary`
 */
export function requireTokensInModel(tokenizer: Tokenizer, vocabulary: number, name: string): void {
  const { vocabularySize, specialTokens } = tokenizer;
  for (let token = vocabulary; token < vocabularySize; token++) {
    if (specialTokens.all.has(token) || tokenizer.bytesOf(token).length === 0) continue;
    throw new DomainError(
      "tokenizer-vocabulary",
      `Cannot read text for ${name} as each token of its tokenizer must be one of the model's ${vocabulary}: token ${token}. ` +
        "Use the tokenizer that belongs to the model",
    );
  }
}
