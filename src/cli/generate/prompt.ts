/** @file The prompt of `generate`: from the command line or stdin, plain or as a conversation, as the model's tokens. */
import { text as readAll } from "node:stream/consumers";
import type { LanguageModel } from "../../language/open-model.node.ts";
import { CommandError } from "../command-error.ts";
import { texts } from "../dictionary/generate.ts";
import { type GenerateFlags } from "./options.ts";

/** A prompt as the model takes it. */
export interface ReadPrompt {
  readonly text: string;
  readonly isChat: boolean;
  readonly tokens: readonly number[];
  /** Whether what is generated begins the text, so that a space which the tokenizer puts in front is not its own. */
  readonly beginsText: boolean;
}

/** The prompt's text; the line end that closes stdin is not part of it. */
export async function readPromptText({ prompt }: Pick<GenerateFlags, "prompt">): Promise<string> {
  return prompt === "-" ? (await readAll(process.stdin)).replace(/\r?\n$/, "") : prompt;
}

/**
 * The prompt's tokens.
 *
 * @throws CommandError `no-chat` where a conversation is asked for and the model has no form for it
 */
export function encodePrompt(
  { name, tokenizer, chat }: Pick<LanguageModel, "name" | "tokenizer" | "chat">,
  text: string,
  { chat: wantsChat = chat !== undefined, system }: Pick<GenerateFlags, "chat" | "system">,
): ReadPrompt {
  if (!wantsChat) {
    if (system !== undefined) throw new CommandError("no-chat", texts.systemAlone(name));
    const tokens = tokenizer.encode(text);
    return { text, isChat: false, tokens, beginsText: text === "" && tokenizer.addsSpaceInFront };
  }
  if (chat === undefined) throw new CommandError("no-chat", texts.noChatForm(name));
  const messages = [
    ...(system === undefined ? [] : [{ role: "system", content: system }]),
    { role: "user", content: text },
  ];
  // The template writes all marks out.
  const tokens = tokenizer.encode(chat(messages), { addSpecial: false });
  return { text, isChat: true, tokens, beginsText: false };
}
