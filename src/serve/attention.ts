/** @file `POST /v1/attention`: what each token of a text attends to, in a layer and its heads. */
import * as v from "valibot";
import { characterGroups } from "../text/index.ts";
import { encodeChat, messagesField } from "./chat-messages.ts";
import { requirePrompts } from "./choices.ts";
import { encodeText } from "./encode-prompt.ts";
import { modelName, requireModel, whole } from "./generation-fields.ts";
import { readJsonBody } from "./read-body.ts";
import { readFields } from "./read-fields.ts";
import { badField, type RequestError } from "./request-error.ts";
import { onPlace, type RequestContext, type ServerContext } from "./server-context.ts";
import { type ServedModel } from "./served-model.ts";

/** Weights in one answer: about 12 MB of JSON. */
const mostWeights = 1 << 20;

const fields = v.object({
  model: modelName,
  input: v.optional(v.union([v.string(), v.array(whole(0))], "it must be a text or a list of tokens")),
  messages: v.optional(messagesField),
  layer: whole(0),
  head: v.optional(whole(0)),
});

/** Answers a request. */
export async function answerAttention(server: ServerContext, c: RequestContext): Promise<Response> {
  const { model, limits, turns } = server;
  const given = readFields(fields, await readJsonBody(c.req.raw, limits.bodyBytes));
  requireModel(given.model, model);
  const { layer, head } = given;
  const selectors = selectorsOf(model, layer, head);
  const tokens = readTokens(model, given);
  requireSize(tokens.length, selectors.length);
  return onPlace(server, c, async ({ signal }) => {
    c.get("record").promptTokens = tokens.length;
    await model.attentions.prepare();
    const all = await turns.take(() => {
      signal.throwIfAborted();
      return model.attentions.weights(Int32Array.from(tokens), layer);
    });
    const heads = head === undefined ? [...all.keys()] : [head];
    const weights = heads.map((one) => rowsOf(all[one], tokens.length));
    if (weights.every((one) => one === null)) throw noWeights(layer, head, selectors);
    return c.json({
      object: "attention",
      model: model.id,
      layer,
      heads,
      selectors,
      tokens,
      pieces: characterGroups(model.tokenizer, tokens, { showSpecial: true }).map(
        ({ text, first, tokens: own }) => ({
          text,
          first,
          count: own.length,
        }),
      ),
      weights,
      usage: { prompt_tokens: tokens.length, total_tokens: tokens.length },
    });
  });
}

/** The selectors of the heads that are asked for. */
function selectorsOf(
  { attentions }: ServedModel,
  layer: number,
  head: number | undefined,
): readonly string[] {
  const { length } = attentions.selectors;
  if (layer >= length) throw outside("layer", layer, length);
  const heads = attentions.selectors[layer];
  if (head === undefined) return heads;
  if (head >= heads.length) throw outside("head", head, heads.length);
  return [heads[head]];
}

function outside(what: "layer" | "head", seen: number, count: number): RequestError {
  return badField(
    what,
    `Cannot show a ${what} as it must be one of 0 to ${count - 1}: ${seen}. Pass another`,
  );
}

function readTokens(
  model: ServedModel,
  { input, messages }: v.InferOutput<typeof fields>,
): readonly number[] {
  if ((input === undefined) === (messages === undefined)) {
    throw badField(
      "input",
      `Cannot show an attention as there must be one text: ${input === undefined ? "neither" : "both"} 'input' ${input === undefined ? "nor" : "and"} 'messages'. Pass one of them`,
    );
  }
  const param = messages === undefined ? "input" : "messages";
  const text = typeof input === "string" ? encodeText(model, input, param) : input;
  const tokens = messages === undefined ? (text ?? []) : encodeChat(model, messages);
  requirePrompts(model, [tokens], param);
  return tokens;
}

function requireSize(tokens: number, heads: number): void {
  if (heads * tokens * tokens <= mostWeights) return;
  const most = Math.floor(Math.sqrt(mostWeights / heads));
  throw badField(
    "input",
    `Cannot show an attention as its weights may be at most ${mostWeights} numbers: ${heads} heads of ${tokens} × ${tokens} tokens. ` +
      `Shorten the text to ${most} tokens${heads > 1 ? ", or pass one 'head'" : ""}`,
    "attention_too_large",
  );
}

function noWeights(layer: number, head: number | undefined, selectors: readonly string[]): RequestError {
  const where = head === undefined ? `layer ${layer}` : `layer ${layer}, head ${head}`;
  return badField(
    head === undefined ? "layer" : "head",
    `Cannot show weights of ${where} as its tokens must be compared one by one: ${[...new Set(selectors)].join(", ")} keeps a state, or has negative weights. ` +
      "Ask for another layer or head",
    "no_weights",
  );
}

/** Rows of a matrix [N, N], as many digits as its numbers have. */
function rowsOf(weights: Float32Array | undefined, length: number): readonly (readonly number[])[] | null {
  if (weights === undefined) return null;
  return Array.from({ length }, (_, row) =>
    Array.from(weights.subarray(row * length, (row + 1) * length), (weight) => Number(weight.toPrecision(7))),
  );
}
