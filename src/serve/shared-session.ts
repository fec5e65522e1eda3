/** @file A text that shares its engine with others: it takes a turn for every token, and for every part of its prompt. */
import { type NextToken } from "../generation/index.ts";
import { type TextModel, type TextSession } from "../language/index.ts";
import { type Turns } from "./turns.ts";

/** A text in turns, until it has ended. */
export interface SharedSession extends NextToken {
  /** Frees what the text has left, in a turn of its own: nothing is computed with it then. */
  end(): Promise<void>;
}

/** Of a prompt in one turn: others wait no longer than for so many tokens. */
const turnTokens = 128;

/**
 * Begins a text.
 *
 * @param signal - ends the text's wish for turns, with its reason
 * @throws what `begin` throws
 */
export async function sharedSession(
  texts: Pick<TextModel, "begin">,
  turns: Turns,
  signal: AbortSignal,
): Promise<SharedSession> {
  const begin = (): TextSession => {
    signal.throwIfAborted();
    return texts.begin(signal);
  };
  const session = await turns.take(begin);
  return {
    maximumLength: session.maximumLength,
    get length() {
      return session.length;
    },
    async prefill(tokens) {
      const lastFrom = Math.max(0, Math.ceil(tokens.length / turnTokens) - 1) * turnTokens;
      for (let from = 0; from < lastFrom; from += turnTokens) {
        await turns.take(() => session.prefill(tokens.slice(from, from + turnTokens)));
      }
      return turns.take(() => session.prefill(tokens.slice(lastFrom)));
    },
    step: (token) => turns.take(() => session.step(token)),
    end: () => turns.take(() => session.dispose()),
  };
}
