/** @file `POST /v1/chat/completions`: the next turn of a conversation, in OpenAI's form. */
import * as v from "valibot";
import { type ChoicePiece, type ChoicesRequest, finishReason, requirePrompts } from "./choices.ts";
import { encodeChat, messagesField } from "./chat-messages.ts";
import { flag, generateOptions, generationFields, requireModel, whole } from "./generation-fields.ts";
import { readJsonBody } from "./read-body.ts";
import { readFields } from "./read-fields.ts";
import { badField } from "./request-error.ts";
import {
  nowSeconds,
  onPlace,
  type RequestContext,
  type ServerContext,
  streamOnPlace,
  usageOf,
} from "./server-context.ts";
import { shownLogProbability, shownToken } from "./token-details.ts";
import { collectAnswers, writeAnswers } from "./write-answers.ts";

const mostLikeliest = 20;

const fields = v.object({
  ...generationFields,
  messages: messagesField,
  max_completion_tokens: v.optional(whole(0)),
  logprobs: v.optional(flag),
  top_logprobs: v.optional(whole(0, mostLikeliest)),
});

/** Answers a request. */
export async function answerChat(server: ServerContext, c: RequestContext): Promise<Response> {
  const { model, nextId, limits } = server;
  const given = readFields(fields, await readJsonBody(c.req.raw, limits.bodyBytes));
  requireModel(given.model, model);
  const request = readChat(server, given);
  const frame = (object: string) => ({ id, object, created, model: model.id, seed: request.seed });
  const [id, created] = [nextId("chatcmpl"), nowSeconds()];
  if (given.stream !== true) {
    return onPlace(server, c, async ({ signal }) => {
      const answers = await collectAnswers(writeAnswers(server, c, request, signal));
      const choices = answers.map((answer) => ({
        index: answer.index,
        message: { role: "assistant", content: answer.text, refusal: null },
        logprobs: logProbabilitiesOf(model, request, answer),
        finish_reason: finishReason(answer),
      }));
      return c.json({ ...frame("chat.completion"), choices, usage: usageOf(c.get("record")) });
    });
  }
  const tellsUsage = given.stream_options?.include_usage === true;
  const chunk = (choices: readonly unknown[], usage: unknown = null) => ({
    ...frame("chat.completion.chunk"),
    choices,
    ...(tellsUsage ? { usage } : {}),
  });
  return streamOnPlace(server, c, async function* ({ signal }) {
    const begun = new Set<number>();
    for await (const piece of writeAnswers(server, c, request, signal)) {
      const { index, text } = piece;
      const change = (delta: object, logprobs: unknown, finish_reason: unknown) =>
        chunk([{ index, delta, logprobs, finish_reason }]);
      if (!begun.has(index)) yield change({ role: "assistant", content: "" }, null, null);
      begun.add(index);
      if (piece.tokens.length > 0) {
        yield change({ content: text }, logProbabilitiesOf(model, request, piece), null);
      }
      if (piece.finish !== undefined) yield change({}, null, finishReason(piece));
    }
    if (tellsUsage) yield chunk([], usageOf(c.get("record")));
  });
}

function readChat(
  { model, nextSeed }: Pick<ServerContext, "model" | "nextSeed">,
  {
    messages,
    max_tokens,
    max_completion_tokens,
    logprobs = false,
    top_logprobs,
    n = 1,
    ...given
  }: v.InferOutput<typeof fields>,
): ChoicesRequest {
  if (
    max_tokens !== undefined &&
    max_completion_tokens !== undefined &&
    max_tokens !== max_completion_tokens
  ) {
    throw badField(
      "max_tokens",
      `Cannot read 'max_tokens' beside 'max_completion_tokens' as they are one limit: ${max_tokens} and ${max_completion_tokens}. Drop one of them`,
    );
  }
  if (top_logprobs !== undefined && !logprobs) {
    throw badField(
      "top_logprobs",
      "Cannot read 'top_logprobs' as it needs 'logprobs': that is not true. Set it to true, or leave out 'top_logprobs'",
    );
  }
  const options = generateOptions(given, model, max_completion_tokens ?? max_tokens);
  const prompt = encodeChat(model, messages);
  requirePrompts(model, [prompt], "messages");
  return {
    prompts: [prompt],
    choices: n,
    seed: given.seed ?? nextSeed(),
    options,
    likeliest: logprobs ? (top_logprobs ?? 0) : undefined,
    echo: false,
  };
}

function logProbabilitiesOf(
  model: ServerContext["model"],
  { likeliest }: ChoicesRequest,
  { details }: Pick<ChoicePiece, "details">,
): unknown {
  if (likeliest === undefined) return null;
  const shown = (token: number, logProbability: number) => {
    const { text, bytes } = shownToken(model, token);
    return { token: text, logprob: shownLogProbability(logProbability), bytes };
  };
  const content = details.map(({ token, logProbability = 0, likeliest: best }) => ({
    ...shown(token, logProbability),
    top_logprobs: best.map((one) => shown(one.token, one.logProbability)),
  }));
  return { content, refusal: null };
}
