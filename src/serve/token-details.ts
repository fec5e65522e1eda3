/** @file What a model thought of a token, and of those that it thought likelier: ln of their probabilities, by the model alone. */
import { logProbability, type NextToken } from "../generation/index.ts";
import { type TokenBytes } from "../text/index.ts";

/** A token and ln of its probability. */
export interface LikelyToken {
  readonly token: number;
  readonly logProbability: number;
}

/** What is told of a token of a text. */
export interface TokenDetail {
  readonly token: number;
  /** Undefined for the first token of a prompt, which follows nothing. */
  readonly logProbability: number | undefined;
  /** The likeliest tokens in its place, best first. */
  readonly likeliest: readonly LikelyToken[];
}

/**
 * The k likeliest tokens, best first, the lower number among equals.
 *
 * @param logits - [≥ V]; what is beyond the vocabulary is padding
 */
export function likeliestTokens(
  logits: Float32Array,
  { vocabularySize }: Pick<TokenBytes, "vocabularySize">,
  count: number,
): readonly LikelyToken[] {
  if (count === 0) return [];
  const known = logits.subarray(0, vocabularySize);
  const best: number[] = [];
  for (let token = 0; token < known.length; token++) {
    if (best.length === count && known[token] <= known[best[count - 1]]) continue;
    const place = best.findIndex((other) => known[token] > known[other]);
    best.splice(place === -1 ? best.length : place, 0, token);
    if (best.length > count) best.pop();
  }
  const first = logProbability(known, best[0]);
  return best.map((token) => ({ token, logProbability: first + known[token] - known[best[0]] }));
}

/** A model that keeps, of every row of logits that it gives, the likeliest tokens. */
export interface WatchedModel extends NextToken {
  /** One for every row that was chosen from. */
  readonly rows: readonly (readonly LikelyToken[])[];
  /** Takes a prompt token by token and tells of each; `prefill` of the same prompt costs nothing then. */
  score(prompt: readonly number[]): Promise<readonly TokenDetail[]>;
}

/**
 * Watches a model.
 *
 * @param count - how many tokens are kept of each row
 */
export function watched(model: NextToken, tokenizer: TokenBytes, count: number): WatchedModel {
  const rows: (readonly LikelyToken[])[] = [];
  let scored: Float32Array | undefined;
  const seen = (logits: Float32Array): Float32Array => {
    rows.push(likeliestTokens(logits, tokenizer, count));
    return logits;
  };
  return {
    rows,
    maximumLength: model.maximumLength,
    get length() {
      return scored === undefined ? model.length : 0;
    },
    async score(prompt) {
      const details: TokenDetail[] = [{ token: prompt[0], logProbability: undefined, likeliest: [] }];
      let logits = await model.step(prompt[0]);
      for (const token of prompt.slice(1)) {
        const known = logits.subarray(0, tokenizer.vocabularySize);
        const likeliest = likeliestTokens(logits, tokenizer, count);
        details.push({ token, logProbability: logProbability(known, token), likeliest });
        logits = await model.step(token);
      }
      scored = Float32Array.from(logits);
      return details;
    },
    async prefill(tokens) {
      const logits = scored ?? (await model.prefill(tokens));
      scored = undefined;
      return seen(logits);
    },
    step: async (token) => seen(await model.step(token)),
  };
}

/** A token as clients show it: its text, or its bytes where these are no whole character. */
export function shownToken(
  { tokenizer }: { readonly tokenizer: TokenBytes },
  token: number,
): { readonly text: string; readonly bytes: readonly number[] } {
  const bytes = tokenizer.bytesOf(token);
  try {
    return { text: strict.decode(bytes), bytes: [...bytes] };
  } catch {
    const written = [...bytes].map((byte) => String.raw`\x${byte.toString(16).padStart(2, "0")}`);
    return { text: `bytes:${written.join("")}`, bytes: [...bytes] };
  }
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** ln 0 has no word in JSON: OpenAI writes this, below zero, and so do its clients read it. */
const shownForNever = 9999;

/** ln of a probability, as clients read it. */
export const shownLogProbability = (value: number): number => Math.max(value, -shownForNever);
