/** @file The answers to one request: texts after one prompt or several, one after the other, in pieces of whole characters. */
import { type Finish, generate, type GenerateOptions } from "../generation/index.ts";
import { requirePrompt } from "../generation/generate.ts";
import { wholeCharacters } from "../text/index.ts";
import { seedOfChoice } from "./generation-fields.ts";
import { asRequestError } from "./request-error.ts";
import { type ServedModel } from "./served-model.ts";
import { sharedSession } from "./shared-session.ts";
import { type TokenDetail, watched } from "./token-details.ts";
import { type Turns } from "./turns.ts";

/** What is to be written. */
export interface ChoicesRequest {
  /** Each with at least one token. */
  readonly prompts: readonly (readonly number[])[];
  /** Texts after each prompt. */
  readonly choices: number;
  readonly seed: number;
  readonly options: Omit<GenerateOptions, "seed" | "signal">;
  /** How many of the likeliest tokens are told at each place; undefined: nothing of any token. */
  readonly likeliest: number | undefined;
  /** Whether each answer begins with its prompt, whose tokens are told of too. */
  readonly echo: boolean;
}

/** A part of an answer. */
export interface ChoicePiece {
  /** Of the answer: those to the first prompt come first. */
  readonly index: number;
  readonly text: string;
  /** Those that were generated. */
  readonly tokens: readonly number[];
  /** Of the piece's tokens, those of an echoed prompt included; empty where nothing is told of them. */
  readonly details: readonly TokenDetail[];
  /** On the last piece of an answer. */
  readonly finish?: Finish;
}

/**
 * Refuses prompts that the model cannot take.
 *
 * @param param - the field that they are in
 */
export function requirePrompts(
  { contextLength, tokenizer }: Pick<ServedModel, "contextLength" | "tokenizer">,
  prompts: readonly (readonly number[])[],
  param: string,
): void {
  try {
    for (const prompt of prompts)
      requirePrompt({ length: 0, maximumLength: contextLength }, tokenizer, prompt);
  } catch (error) {
    throw asRequestError(error, param);
  }
}

/** Whether a text begins with what comes after these tokens, so that a space which the tokenizer puts in front is not its own. */
export function beginsText(
  { tokenizer }: Pick<ServedModel, "tokenizer">,
  prompt: readonly number[],
): boolean {
  return tokenizer.addsSpaceInFront && prompt.every((token) => tokenizer.specialTokens.all.has(token));
}

/**
 * Writes the answers.
 *
 * @param signal - ends it with its reason
 */
export async function* writeChoices(
  model: ServedModel,
  turns: Turns,
  request: ChoicesRequest,
  signal: AbortSignal,
): AsyncGenerator<ChoicePiece, void, undefined> {
  for (const [place, prompt] of request.prompts.entries()) {
    for (let choice = 0; choice < request.choices; choice++) {
      const index = place * request.choices + choice;
      for await (const piece of writeChoice(model, turns, { ...request, prompt, choice }, signal)) {
        yield { ...piece, index };
      }
    }
  }
}

async function* writeChoice(
  model: ServedModel,
  turns: Turns,
  request: ChoicesRequest & { readonly prompt: readonly number[]; readonly choice: number },
  signal: AbortSignal,
): AsyncGenerator<Omit<ChoicePiece, "index">, void, undefined> {
  const { tokenizer } = model;
  const { prompt, options, likeliest, echo } = request;
  const session = await sharedSession(model.texts, turns, signal);
  try {
    const watching = likeliest === undefined ? undefined : watched(session, tokenizer, likeliest);
    if (echo) {
      const details = watching === undefined ? [] : await watching.score(prompt);
      yield { text: tokenizer.decode(prompt), tokens: [], details };
    }
    const given = { ...options, seed: seedOfChoice(request.seed, request.choice), signal };
    const dropsSpace = beginsText(model, prompt);
    const characters = wholeCharacters(tokenizer, { continues: !dropsSpace });
    let said = 0;
    for await (const piece of generate(watching ?? session, tokenizer, prompt, given)) {
      const { tokens, logProbabilities, finish } = piece;
      const detail = (token: number, at: number): TokenDetail[] =>
        watching === undefined
          ? []
          : [{ token, logProbability: logProbabilities[at], likeliest: watching.rows[said + at] }];
      for (const token of tokens) characters.push(token);
      const shown = dropsSpace && said === 0 ? piece.text.replace(/^ /, "") : piece.text;
      // A count may end inside a character, of which nothing is shown then.
      const unfinished = finish === undefined ? 0 : characters.flush().length;
      yield {
        text: shown.slice(0, shown.length - unfinished),
        tokens,
        details: tokens.flatMap(detail),
        ...(finish === undefined ? {} : { finish }),
      };
      said += tokens.length;
    }
  } finally {
    await session.end();
  }
}

/** How OpenAI calls the end of a text. */
export function finishReason({ finish }: Pick<ChoicePiece, "finish">): "stop" | "length" | null {
  if (finish === undefined) return null;
  return finish.reason === "stop-token" || finish.reason === "stop-string" ? "stop" : "length";
}
