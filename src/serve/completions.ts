/** @file `POST /v1/completions`: goes on with a text, in the form of OpenAI's first interface. */
import * as v from "valibot";
import { type WholeCharacters, wholeCharacters } from "../text/index.ts";
import {
  beginsText,
  type ChoicePiece,
  type ChoicesRequest,
  finishReason,
  requirePrompts,
} from "./choices.ts";
import { encodeText } from "./encode-prompt.ts";
import {
  flag,
  generateOptions,
  generationFields,
  mostChoices,
  requireModel,
  whole,
} from "./generation-fields.ts";
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
import { type LikelyToken, shownLogProbability, shownToken } from "./token-details.ts";
import { collectAnswers, writeAnswers } from "./write-answers.ts";

const mostLikeliest = 5;
const newTokensByDefault = 16;

const tokens = v.array(whole(0));
const promptRule = "it must be a text, a list of texts, a list of tokens, or a list of those";

const fields = v.object({
  ...generationFields,
  prompt: v.union([v.string(), tokens, v.array(v.string()), v.array(tokens)], promptRule),
  echo: v.optional(flag),
  logprobs: v.optional(whole(0, mostLikeliest)),
});

/** Answers a request. */
export async function answerCompletion(server: ServerContext, c: RequestContext): Promise<Response> {
  const { model, nextId, limits } = server;
  const given = readFields(fields, await readJsonBody(c.req.raw, limits.bodyBytes));
  requireModel(given.model, model);
  const request = readCompletion(server, given);
  const frame = {
    id: nextId("cmpl"),
    object: "text_completion",
    created: nowSeconds(),
    model: model.id,
    seed: request.seed,
  };
  const show = showPieces(model, request);
  if (given.stream !== true) {
    return onPlace(server, c, async ({ signal }) => {
      const answers = await collectAnswers(writeAnswers(server, c, request, signal));
      return c.json({ ...frame, choices: answers.map(show), usage: usageOf(c.get("record")) });
    });
  }
  const tellsUsage = given.stream_options?.include_usage === true;
  return streamOnPlace(server, c, async function* ({ signal }) {
    for await (const piece of writeAnswers(server, c, request, signal)) {
      yield { ...frame, choices: [show(piece)], ...(tellsUsage ? { usage: null } : {}) };
    }
    if (tellsUsage) yield { ...frame, choices: [], usage: usageOf(c.get("record")) };
  });
}

function readCompletion(
  { model, nextSeed }: Pick<ServerContext, "model" | "nextSeed">,
  {
    prompt,
    echo = false,
    logprobs,
    n = 1,
    max_tokens = newTokensByDefault,
    ...given
  }: v.InferOutput<typeof fields>,
): ChoicesRequest {
  const options = generateOptions(given, model, max_tokens);
  const list = promptList(prompt);
  if (list.length === 0) throw badField("prompt", `Cannot answer as ${promptRule}: []. Pass some text`);
  if (list.length * n > mostChoices) {
    throw badField(
      "prompt",
      `Cannot answer as a request may ask for at most ${mostChoices} texts: ${list.length} prompts, n = ${n}. Split it`,
    );
  }
  const prompts = list.map((one) => (typeof one === "string" ? encodeText(model, one, "prompt") : one));
  requirePrompts(model, prompts, "prompt");
  return { prompts, choices: n, seed: given.seed ?? nextSeed(), options, likeliest: logprobs, echo };
}

function promptList(
  prompt: string | readonly number[] | readonly string[] | readonly (readonly number[])[],
): readonly (string | readonly number[])[] {
  if (typeof prompt === "string") return [prompt];
  return typeof prompt[0] === "number"
    ? [prompt as readonly number[]]
    : (prompt as readonly (string | number[])[]);
}

/** Where an answer's next token begins in its text, in characters (code points); tokens of one character begin where it does. */
interface Offsets {
  readonly characters: WholeCharacters;
  length: number;
}

/** Pieces as clients read them. */
function showPieces(
  model: ServerContext["model"],
  { prompts, choices, likeliest, echo }: ChoicesRequest,
): (piece: ChoicePiece) => Readonly<Record<string, unknown>> {
  const offsets = prompts.flatMap((prompt) =>
    Array.from({ length: choices }, (): Offsets => {
      const continues = !echo && !beginsText(model, prompt);
      return { characters: wholeCharacters(model.tokenizer, { continues }), length: 0 };
    }),
  );
  const shownOf = ({ token }: LikelyToken | { readonly token: number }): string =>
    shownToken(model, token).text;
  return (piece) => {
    const { index, text, details } = piece;
    const told = details.map(({ token, logProbability, likeliest: best }) => {
      const place = offsets[index];
      const offset = place.length;
      place.length += Array.from(place.characters.push(token)).length;
      const isFirst = logProbability === undefined;
      return {
        text: shownOf({ token }),
        logProbability: isFirst ? null : shownLogProbability(logProbability),
        likeliest: isFirst
          ? null
          : Object.fromEntries(
              best.toReversed().map((one) => [shownOf(one), shownLogProbability(one.logProbability)]),
            ),
        offset,
      };
    });
    const logprobs =
      likeliest === undefined
        ? null
        : {
            tokens: told.map((one) => one.text),
            token_logprobs: told.map((one) => one.logProbability),
            top_logprobs: told.map((one) => one.likeliest),
            text_offset: told.map((one) => one.offset),
          };
    return { index, text, logprobs, finish_reason: finishReason(piece) };
  };
}
