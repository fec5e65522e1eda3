/** @file The tokenizer that belongs to a file of llama2.c, which does not name it: it lies beside the file, and has as many tokens. */
import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MissingError } from "../base/errors.ts";
import { llama2cTokenizer, type Tokenizer } from "../text/index.ts";

/**
 * Reads the tokenizer beside a file of weights: `tok‹V›.bin`, then `tokenizer.bin`, then the only other `tok….bin`.
 *
 * @param weights - the path of the weights
 * @param vocabulary - V, the model's
 * @throws MissingError `tokenizer-missing` where there is none, `tokenizer-unreadable` where it is none or has another number of tokens
 */
export async function findLlama2cTokenizer(weights: string, vocabulary: number): Promise<Tokenizer> {
  const folder = dirname(weights);
  const beside = (await readdir(folder)).filter((file) => /^tok.*\.bin$/.test(file));
  const named = [`tok${vocabulary}.bin`, "tokenizer.bin"].find((file) => beside.includes(file));
  const file = named ?? (beside.length === 1 ? beside[0] : undefined);
  if (file === undefined) {
    throw new MissingError(
      "tokenizer-missing",
      `Cannot read the tokenizer of ${weights} as one file must be meant, tok${vocabulary}.bin or tokenizer.bin beside it: ` +
        `${beside.length === 0 ? "none" : beside.slice(0, 5).join(", ")}. Put the model's tokenizer there`,
    );
  }
  const path = join(folder, file);
  return llama2cTokenizer(await readFile(path), { vocabularySize: vocabulary, source: path });
}
