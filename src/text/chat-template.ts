/**
 * @file Chat templates: the Jinja text beside a tokenizer that turns a conversation into the text that the model was trained on.
 * Rendered by `@huggingface/jinja`.
 */
import { Template } from "@huggingface/jinja";
import { DomainError, MissingError } from "../base/errors.ts";
import { tokenContent } from "./hugging-face-tokenizer.ts";

/** One turn of a conversation; templates may read more than these two. */
export interface ChatMessage {
  /** `system`, `user`, `assistant`, or what else the template knows. */
  readonly role: string;
  readonly content: string;
  readonly [field: string]: unknown;
}

/** What a template is given beside the messages. */
export interface ChatOptions {
  /** Whether the text ends with the opening of the assistant's turn; default true. */
  readonly addGenerationPrompt?: boolean;
  /** Tools that the model may call, as JSON schemas. */
  readonly tools?: readonly unknown[];
  /** More variables, such as `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>>;
}

/** A conversation as text; encode it with `addSpecial: false`, as the marks are written out in it. */
export type RenderChat = (messages: readonly ChatMessage[], options?: ChatOptions) => string;

/**
 * The chat template of a model.
 *
 * @param config - tokenizer_config.json, parsed: its `chat_template` (a text, or named ones of which `default` is taken) and
 *   the tokens that the template names
 * @param template - the text of chat_template.jinja, which goes before that of the config
 * @returns nothing where the model has no template: it is no chat model
 * @throws MissingError `chat-template-unreadable` where the text is no template
 * @example
 * ```ts
 * import { chatTemplate } from "qklab/text";
 * const render = chatTemplate({
 *   chat_template: "{% for message in messages %}[{{ message.role }}] {{ message.content }}{{ eos_token }}{% endfor %}",
 *   eos_token: "</s>",
 * });
 * render?.([{ role: "user", content: "Hello" }]); // "[user] Hello</s>"
 * ```
 */
export function chatTemplate(config: unknown, template?: string): RenderChat | undefined {
  const fields = (config ?? {}) as Readonly<Record<string, unknown>>;
  const text = template ?? templateText(fields["chat_template"]);
  if (text === undefined) return undefined;
  const parsed = parse(text);
  const tokens = Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]) => {
      const content = name.endsWith("_token") ? tokenContent(value) : undefined;
      return content === undefined ? [] : [[name, content]];
    }),
  );
  return (messages, { addGenerationPrompt = true, tools, variables = {} } = {}) => {
    try {
      return parsed.render({
        ...tokens,
        ...variables,
        messages,
        // Templates ask whether it is there; an empty list would be.
        ...(tools === undefined ? {} : { tools }),
        add_generation_prompt: addGenerationPrompt,
      });
    } catch (cause) {
      throw new DomainError(
        "chat-template",
        `Cannot write the conversation as the model's chat template must accept it: ${problemOf(cause)}. ` +
          "Change the messages, or give the prompt as plain text",
      );
    }
  };
}

function templateText(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) return undefined;
  const named = value as readonly ({ readonly name?: unknown; readonly template?: unknown } | null)[];
  const chosen = named.find((entry) => entry?.name === "default");
  return typeof chosen?.template === "string" ? chosen.template : undefined;
}

function parse(text: string): Template {
  try {
    return new Template(text);
  } catch (cause) {
    throw new MissingError(
      "chat-template-unreadable",
      `Cannot read the model's chat template as it must be Jinja: ${problemOf(cause)}. Give the prompt as plain text`,
      { cause },
    );
  }
}

/** The first line: the library shows the template behind it. */
function problemOf(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split("\n")[0].replace(/\.$/, "");
}
