/**
 * @file Generating text: prefill the prompt, then choose and take a token at a time, until a mark, a text, a count or the end of
 * the context. What is streamed is whole characters.
 */
import { DomainError } from "../base/errors.ts";
import { random } from "../base/random.ts";
import { requireToken } from "../text/tokenizer.ts";
import { type TokenBytes, type WholeCharacters, wholeCharacters } from "../text/whole-characters.ts";
import type { NextToken } from "./next-token.ts";
import { logProbability, sampler, type SamplingOptions } from "./sampling.ts";
import { findStop } from "./stop-strings.ts";

/** How to generate. */
export interface GenerateOptions extends SamplingOptions {
  /** Of the random stream; 0 by default. The same seed, model and prompt give the same text. */
  readonly seed?: number;
  /** At most so many tokens; by default as many as the context has room for. */
  readonly maximumNewTokens?: number;
  /** Tokens that end the text and are not part of it; by default the tokenizer's end token. */
  readonly stopTokens?: readonly number[];
  /** Texts that end the text and are not part of it. */
  readonly stopStrings?: readonly string[];
  /** Whether marks are written out by name; default false. */
  readonly showSpecial?: boolean;
  /** Ends the generation: what it throws is the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Why a generation ended. */
export interface Finish {
  readonly reason: "stop-token" | "stop-string" | "length" | "context";
  /** The stop token or the stop string. */
  readonly stop?: number | string;
  readonly promptTokens: number;
  /** Tokens that were chosen, those of the end included. */
  readonly newTokens: number;
}

/** Whole characters, the tokens that they are, and what the model thought of those. */
export interface GeneratedPiece {
  readonly text: string;
  readonly tokens: readonly number[];
  /** ln of each token's probability, by the model alone. */
  readonly logProbabilities: readonly number[];
  /** On the last piece, and on it alone. */
  readonly finish?: Finish;
}

/**
 * Generates a text after a prompt. The text of all pieces joined is the text; the last piece says why it ended.
 *
 * @param model - its state goes on from where it is; the tokens that it has taken already count for the context only
 * @param tokenizer - of the model; logits beyond its vocabulary (rows that pad a matrix) are never chosen
 * @param prompt - at least one token
 * @throws DomainError `prompt-empty`, `prompt-too-long` where the prompt leaves no room in the context, `token-unknown`,
 *   `bad-sampling` or `bad-generation` for an option outside its domain
 * @throws NumbersError `logits-not-finite`
 * @example
 * ```ts
 * import { generate, type NextToken } from "qklab/generation";
 * // A model of three letters in which each is followed by the next.
 * let length = 0;
 * const after = (token: number) => Float32Array.from([0, 1, 2], (next) => (next === (token + 1) % 3 ? 1 : 0));
 * const model: NextToken = {
 *   maximumLength: 8,
 *   get length() {
 *     return length;
 *   },
 *   prefill: async (tokens) => ((length += tokens.length), after(tokens[tokens.length - 1] ?? 0)),
 *   step: async (token) => (length++, after(token)),
 * };
 * const letters = {
 *   vocabularySize: 3,
 *   specialTokens: { all: new Set<number>() },
 *   addsSpaceInFront: false,
 *   bytesOf: (token: number) => Uint8Array.of(0x61 + token),
 * };
 * let text = "";
 * for await (const piece of generate(model, letters, [0], { temperature: 0, maximumNewTokens: 4 })) text += piece.text;
 * text; // "bcab"
 * ```
 */
export async function* generate(
  model: NextToken,
  tokenizer: TokenBytes,
  prompt: readonly number[],
  options: GenerateOptions = {},
): AsyncGenerator<GeneratedPiece, void, undefined> {
  const { seed = 0, signal, maximumNewTokens = Infinity, stopStrings = [], showSpecial = false } = options;
  const { end } = tokenizer.specialTokens;
  const stopTokens = new Set(options.stopTokens ?? (end === undefined ? [] : [end]));
  const choose = sampler(options, random(seed, "generate"));
  requireOptions(maximumNewTokens, stopStrings);
  requirePrompt(model, tokenizer, prompt);
  signal?.throwIfAborted();
  if (maximumNewTokens === 0) {
    const finish: Finish = { reason: "length", promptTokens: prompt.length, newTokens: 0 };
    yield { text: "", tokens: [], logProbabilities: [], finish };
    return;
  }

  const seen = [...prompt];
  const pieces = new PieceQueue(tokenizer, stopStrings, showSpecial);
  let logits = await model.prefill(prompt);
  for (let newTokens = 1; ; newTokens++) {
    signal?.throwIfAborted();
    const known = logits.subarray(0, tokenizer.vocabularySize);
    const token = choose(known, seen);
    seen.push(token);
    const finish = (reason: Finish["reason"], stop?: number | string): Finish => ({
      reason,
      ...(stop === undefined ? {} : { stop }),
      promptTokens: prompt.length,
      newTokens,
    });
    if (stopTokens.has(token)) {
      yield { ...pieces.rest(), finish: finish("stop-token", token) };
      return;
    }
    const found = pieces.push(token, logProbability(known, token));
    if (found !== undefined) {
      yield { ...pieces.rest(), finish: finish("stop-string", found) };
      return;
    }
    const isFull = model.length >= model.maximumLength;
    if (newTokens === maximumNewTokens || isFull) {
      const reason = newTokens === maximumNewTokens ? "length" : "context";
      yield { ...pieces.rest(), finish: finish(reason) };
      return;
    }
    const shown = pieces.ready();
    if (shown.tokens.length > 0) yield shown;
    logits = await model.step(token);
  }
}

function requireOptions(maximumNewTokens: number, stopStrings: readonly string[]): void {
  if (maximumNewTokens !== Infinity && !(Number.isInteger(maximumNewTokens) && maximumNewTokens >= 0)) {
    throw badOption(`'maximumNewTokens' must be a whole number from 0 on: ${maximumNewTokens}`);
  }
  if (stopStrings.includes("")) throw badOption('a stop string must have at least one character: ""');
}

function badOption(rule: string): DomainError {
  return new DomainError("bad-generation", `Cannot generate as ${rule}. Pass another, or leave it out`);
}

/** Refuses a prompt that the model cannot take, before anything is computed. */
export function requirePrompt(
  model: Pick<NextToken, "length" | "maximumLength">,
  tokenizer: TokenBytes,
  prompt: readonly number[],
): void {
  if (prompt.length === 0) {
    throw new DomainError(
      "prompt-empty",
      "Cannot generate as a prompt must have at least one token: 0. Begin with the tokenizer's begin token, or some text",
    );
  }
  for (const token of prompt) requireToken(token, tokenizer.vocabularySize);
  const room = model.maximumLength - model.length;
  if (prompt.length <= room) return;
  const taken = model.length === 0 ? "" : `, of which ${model.length} are taken`;
  throw new DomainError(
    "prompt-too-long",
    `Cannot generate as the prompt must fit in the model's context of ${model.maximumLength} tokens${taken}: ` +
      `${prompt.length} tokens. Shorten it to at most ${room}`,
  );
}

/** A piece while it is made. */
interface OpenPiece {
  text: string;
  readonly tokens: number[];
  readonly logProbabilities: number[];
}

/** Tokens that wait: for the rest of their character, then until they cannot be the opening of a stop string. */
class PieceQueue {
  readonly #characters: WholeCharacters;
  readonly #stops: readonly string[];
  /** Tokens of a character that is not whole. */
  #open: OpenPiece = emptyPiece();
  /** Whole characters that are not shown yet. */
  #whole: OpenPiece[] = [];
  /** How many characters at their end could open a stop string. */
  #held = 0;

  constructor(tokenizer: TokenBytes, stops: readonly string[], showSpecial: boolean) {
    this.#characters = wholeCharacters(tokenizer, { showSpecial, continues: true });
    this.#stops = stops;
  }

  /** @returns the stop string that this token completes; its text and all behind it are dropped */
  push(token: number, logProbability: number): string | undefined {
    this.#open.text += this.#characters.push(token);
    this.#open.tokens.push(token);
    this.#open.logProbabilities.push(logProbability);
    if (this.#characters.isWaiting) return undefined;
    this.#whole.push(this.#open);
    this.#open = emptyPiece();
    const search = findStop(join(this.#whole).text, this.#stops);
    if (search.found === undefined) {
      this.#held = search.waiting;
      return undefined;
    }
    this.#cutAt(search.at);
    return search.found;
  }

  /** Takes what can be shown now. */
  ready(): GeneratedPiece {
    let shown = this.#whole.length;
    for (let behind = 0; shown > 0 && behind < this.#held; shown--) {
      behind += this.#whole[shown - 1].text.length;
    }
    return join(this.#whole.splice(0, shown));
  }

  /** Takes all that waits, at the end. */
  rest(): GeneratedPiece {
    this.#open.text += this.#characters.flush();
    return join([...this.#whole, this.#open]);
  }

  #cutAt(place: number): void {
    let start = 0;
    this.#whole = this.#whole.flatMap((piece) => {
      const from = start;
      start += piece.text.length;
      if (start <= place) return [piece];
      return from < place ? [{ ...piece, text: piece.text.slice(0, place - from) }] : [];
    });
  }
}

const emptyPiece = (): OpenPiece => ({ text: "", tokens: [], logProbabilities: [] });

function join(pieces: readonly OpenPiece[]): GeneratedPiece {
  return {
    text: pieces.map(({ text }) => text).join(""),
    tokens: pieces.flatMap(({ tokens }) => tokens),
    logProbabilities: pieces.flatMap(({ logProbabilities }) => logProbabilities),
  };
}
