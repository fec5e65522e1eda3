/** @file The messages of a conversation, and the tokens that the model's template makes of them. */
import * as v from "valibot";
import { type ChatMessage } from "../text/index.ts";
import { encodeText } from "./encode-prompt.ts";
import { asRequestError, badField } from "./request-error.ts";
import { type ServedModel } from "./served-model.ts";

const part = v.strictObject(
  { type: v.literal("text", "only parts of type text are read"), text: v.string("it must be a text") },
  "it must be { type: text, text }",
);

const message = v.strictObject(
  {
    role: v.picklist(["system", "user", "assistant"], "it must be system, user or assistant"),
    content: v.union(
      [v.string(), v.array(part)],
      "it must be a text or a list of parts { type: text, text }",
    ),
    name: v.optional(v.string("it must be a text")),
  },
  "it must be { role, content }",
);

/** One turn of a conversation, as it is written in the body. */
export interface MessageField {
  readonly role: "system" | "user" | "assistant";
  readonly content: string | readonly { readonly type: "text"; readonly text: string }[];
  readonly name?: string | undefined;
}

/** A conversation. */
export const messagesField: v.GenericSchema<unknown, readonly MessageField[]> = v.pipe(
  v.array(message, "it must be a list of messages"),
  v.nonEmpty("it must have at least one message"),
);

/**
 * A conversation as the tokens of a prompt, opened for the assistant's turn.
 *
 * @throws RequestError 400 `no-chat` for a model without a chat form, and what the template refuses
 */
export function encodeChat(
  model: Pick<ServedModel, "id" | "chat" | "tokenizer" | "contextLength" | "longestToken">,
  messages: readonly MessageField[],
): readonly number[] {
  if (model.chat === undefined) {
    throw badField(
      "messages",
      `Cannot chat with ${model.id} as a conversation needs the model's chat template: it has none. Use /v1/completions`,
      "no-chat",
    );
  }
  const given = messages.map(({ role, content, name }): ChatMessage => ({
    role,
    content: typeof content === "string" ? content : content.map(({ text }) => text).join(""),
    ...(name === undefined ? {} : { name }),
  }));
  let text: string;
  try {
    text = model.chat(given);
  } catch (error) {
    throw asRequestError(error, "messages");
  }
  return encodeText(model, text, "messages", true);
}
