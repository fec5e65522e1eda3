/** @file The server without a socket: what its endpoints answer with a real small model, and what they refuse before it computes. */
import { describe, expect, test } from "vitest";
import { askServer, laidTokenizer, scriptedModel, servedLaidModel } from "./serve-fixtures.ts";

interface Choice {
  readonly index: number;
  readonly text: string;
  readonly message: { readonly role: string; readonly content: string };
  readonly delta: { readonly role?: string; readonly content?: string };
  readonly logprobs: Readonly<Record<string, readonly unknown[]>> | null;
  readonly finish_reason: string | null;
}

interface Answer {
  readonly object: string;
  readonly seed: number;
  readonly choices: readonly Choice[];
  readonly usage?: Readonly<Record<string, number>> | null;
}

const model = await servedLaidModel();
const server = askServer(model);
const [completions, chat, attention] = ["/v1/completions", "/v1/chat/completions", "/v1/attention"];

describe("completions", () => {
  test("go on with a text in whole characters until the model ends it, and count their tokens", async () => {
    const answer = await server.ask<Answer>(completions, { prompt: "h", temperature: 0 });
    expect(answer).toMatchObject({
      object: "text_completion",
      model: "laid",
      choices: [{ index: 0, text: "天你", finish_reason: "stop", logprobs: null }],
      usage: { prompt_tokens: 1, completion_tokens: 6, total_tokens: 7 },
    });
  });

  test("are the same streamed, one character an event, with usage at the end where it is asked for", async () => {
    const documents = await server.stream<Answer>(completions, {
      prompt: "h",
      temperature: 0,
      stream_options: { include_usage: true },
    });
    expect(documents.map(({ choices }) => choices[0]?.text)).toEqual(["天", "你", "", undefined]);
    expect(documents.map(({ choices }) => choices[0]?.finish_reason ?? null)).toEqual([
      null,
      null,
      "stop",
      null,
    ]);
    expect(documents.map(({ usage }) => usage?.["completion_tokens"])).toEqual([
      undefined,
      undefined,
      undefined,
      6,
    ]);
  });

  test("take several prompts as texts or tokens, several answers each, and stop texts", async () => {
    const body = { prompt: [[0x78], [0x79]], n: 2, max_tokens: 3, temperature: 0, stop: ["xyx"] };
    const { choices } = await server.ask<Answer>(completions, body);
    expect(choices.map(({ index, text, finish_reason }) => [index, text, finish_reason])).toEqual([
      [0, "yxy", "length"],
      [1, "yxy", "length"],
      [2, "", "stop"],
      [3, "", "stop"],
    ]);
    const streamed = await server.stream<Answer>(completions, { ...body, prompt: ["x", "y"] });
    const texts = streamed.reduce<string[]>((sums, { choices: [{ index, text }] }) => {
      sums[index] = (sums[index] ?? "") + text;
      return sums;
    }, []);
    expect(texts).toEqual(["yxy", "yxy", "", ""]);
  });

  test("show nothing of a character that a count cuts, as no text has �", async () => {
    const { choices } = await server.ask<Answer>(completions, { prompt: "h", temperature: 0, max_tokens: 3 });
    expect(choices[0]).toMatchObject({ text: "天", finish_reason: "length" });
  });

  test("repeat with a seed, and tell the seed where none was given", async () => {
    const body = { prompt: "天", max_tokens: 12, temperature: 30 };
    const [one, other] = [
      await server.ask<Answer>(completions, body),
      await server.ask<Answer>(completions, body),
    ];
    expect(one.seed).not.toBe(other.seed);
    expect(one.choices[0].text).not.toBe(other.choices[0].text);
    const again = await server.ask<Answer>(completions, { ...body, seed: one.seed });
    expect(again.choices[0].text).toBe(one.choices[0].text);
    const { choices } = await server.ask<Answer>(completions, { ...body, seed: one.seed, n: 2 });
    expect(choices[0].text).toBe(one.choices[0].text);
    expect(choices[1].text).not.toBe(one.choices[0].text);
  });

  test("tell of every token, of an echoed prompt too, where in the text it begins", async () => {
    const { choices } = await server.ask<Answer>(completions, {
      prompt: "xh",
      echo: true,
      logprobs: 2,
      temperature: 0,
      max_tokens: 3,
    });
    const [{ text, logprobs }] = choices;
    expect(text).toBe("xh天");
    expect(logprobs).toMatchObject({
      tokens: ["x", "h", String.raw`bytes:\xe5\xa4`, String.raw`bytes:\xa9`, String.raw`bytes:\xe4`],
      text_offset: [0, 1, 2, 2, 3],
    });
    const [first, second, ...said] = logprobs!["token_logprobs"] as (number | null)[];
    expect(first).toBeNull();
    // The model goes on from "x" with "y", so that "h" is as unlikely as any other letter.
    expect(second).toBeLessThan(-5);
    for (const value of said) expect(Math.exp(value!)).toBeGreaterThan(0.99);
    expect(Object.keys(logprobs!["top_logprobs"][1] as object)).toContain("y");
    const scored = await server.ask<Answer>(completions, {
      prompt: "xh",
      echo: true,
      logprobs: 0,
      max_tokens: 0,
    });
    expect(scored.choices[0]).toMatchObject({ text: "xh", logprobs: { token_logprobs: [null, second] } });
  });
});

describe("chat completions", () => {
  test("answer a conversation, whose content may come in parts", async () => {
    const messages = [
      { role: "system", content: "s" },
      {
        role: "user",
        content: [
          { type: "text", text: "x" },
          { type: "text", text: "h" },
        ],
      },
    ];
    const answer = await server.ask<Answer>(chat, {
      messages,
      temperature: 0,
      logprobs: true,
      top_logprobs: 1,
    });
    expect(answer).toMatchObject({
      object: "chat.completion",
      choices: [{ message: { role: "assistant", content: "天你" }, finish_reason: "stop" }],
      usage: { prompt_tokens: 5, completion_tokens: 6, total_tokens: 11 },
    });
    expect(answer.choices[0].logprobs?.["content"]).toHaveLength(5);
    expect(answer.choices[0].logprobs?.["content"][0]).toMatchObject({
      bytes: [0xe5, 0xa4],
      top_logprobs: [{ bytes: [0xe5, 0xa4] }],
    });
  });

  test("stream the role first, then what is said, then why it ended", async () => {
    const documents = await server.stream<Answer>(chat, {
      messages: [{ role: "user", content: "h" }],
      temperature: 0,
      max_completion_tokens: 5,
      user: "somebody",
      presence_penalty: 0,
    });
    expect(documents.map(({ choices: [{ delta, finish_reason }] }) => [delta, finish_reason])).toEqual([
      [{ role: "assistant", content: "" }, null],
      [{ content: "天" }, null],
      [{ content: "你" }, null],
      [{}, "length"],
    ]);
    expect(documents[0]).not.toHaveProperty("usage");
  });
});

describe("attention", () => {
  interface Weights {
    readonly selectors: readonly string[];
    readonly heads: readonly number[];
    readonly tokens: readonly number[];
    readonly pieces: readonly object[];
    readonly weights: readonly (readonly (readonly number[])[])[];
  }

  test("shows causal weights of rows of sum 1, those of one head as those of all", async () => {
    const all = await server.ask<Weights>(attention, { input: "h天h", layer: 1 });
    expect(all).toMatchObject({
      heads: [0, 1, 2, 3],
      pieces: [
        { text: "h", first: 0, count: 1 },
        { text: "天", first: 1, count: 2 },
        { text: "h", first: 3, count: 1 },
      ],
    });
    expect(all.tokens).toEqual(laidTokenizer.encode("h天h"));
    for (const rows of all.weights) {
      for (const [place, row] of rows.entries()) {
        expect(row.slice(place + 1)).toEqual(row.slice(place + 1).map(() => 0));
        // Seven digits of weights that are f32: 4 roundings of 1e-7.
        expect(row.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 6);
      }
    }
    const one = await server.ask<Weights>(attention, { input: all.tokens, layer: 1, head: 2 });
    expect(one.weights).toEqual([all.weights[2]]);
    const chatted = await server.ask<Weights>(attention, {
      messages: [{ role: "user", content: "h" }],
      layer: 0,
    });
    expect(chatted.pieces).toHaveLength(2);
  });

  test("is the served attention's: a swapped head has its own weights, a recurrence none", async () => {
    const { attentions } = model;
    const own = attentions.selectors[0][0];
    const swapped = askServer(
      await servedLaidModel({}, [
        [
          { selector: "cosine+rope+causal", heads: 2 },
          { selector: own, heads: 2 },
        ],
        "deltanet",
      ] as never),
    );
    const all = await swapped.ask<Weights>(attention, { input: "hxyh", layer: 0 });
    const before = await server.ask<Weights>(attention, { input: "hxyh", layer: 0 });
    expect(all.selectors.slice(0, 2)).toEqual(["cosine+rope+causal", "cosine+rope+causal"]);
    expect(all.weights[0]).not.toEqual(before.weights[0]);
    expect(all.weights[3]).toEqual(before.weights[3]);
    const none = await swapped.post(attention, { input: "hxyh", layer: 1, head: 0 });
    expect([none.status, await none.json()]).toMatchObject([
      400,
      { error: { code: "no_weights", param: "head" } },
    ]);
  });
});

describe("refuses, before anything is computed,", () => {
  const user = [{ role: "user", content: "h" }];

  test.each<{
    name: string;
    path?: string;
    body: unknown;
    code: string;
    param?: string | null;
    says?: string;
  }>([
    { name: "no JSON", body: "{", code: "invalid_json", param: null },
    { name: "a list", body: [], code: "invalid_json", param: null },
    { name: "no prompt", body: {}, code: "missing_required_parameter", param: "prompt" },
    { name: "an empty list of prompts", body: { prompt: [] }, code: "invalid_value", param: "prompt" },
    { name: "an empty prompt", body: { prompt: "" }, code: "prompt-empty", param: "prompt" },
    {
      name: "a token outside the vocabulary",
      body: { prompt: [263] },
      code: "token-unknown",
      param: "prompt",
      says: "0 to 262: 263",
    },
    {
      name: "a misspelled field",
      body: { prompt: "h", max_token: 1 },
      code: "unknown_parameter",
      param: "max_token",
      says: "'max_tokens'",
    },
    {
      name: "a penalty that is not computed",
      body: { prompt: "h", presence_penalty: 0.5 },
      code: "unsupported_parameter",
      param: "presence_penalty",
    },
    {
      name: "biases",
      body: { prompt: "h", logit_bias: { 5: 1 } },
      code: "unsupported_parameter",
      param: "logit_bias",
    },
    {
      name: "an option outside its domain",
      body: { prompt: "h", top_p: 2 },
      code: "invalid_value",
      param: "top_p",
    },
    { name: "too many texts", body: { prompt: ["h", "h"], n: 16 }, code: "invalid_value", param: "prompt" },
    { name: "half an answer", body: { prompt: "h", n: 1.5 }, code: "invalid_value", param: "n" },
    { name: "an empty stop text", body: { prompt: "h", stop: "" }, code: "invalid_value", param: "stop" },
    {
      name: "stream options without a stream",
      body: { prompt: "h", stream_options: {} },
      code: "invalid_value",
      param: "stream_options",
    },
    {
      name: "another role",
      path: chat,
      body: { messages: [{ role: "robot", content: "h" }] },
      code: "invalid_value",
      param: "messages.0.role",
    },
    {
      name: "a picture",
      path: chat,
      body: { messages: [{ role: "user", content: [{ type: "image_url" }] }] },
      code: "invalid_value",
      param: "messages.0.content",
    },
    {
      name: "two limits that differ",
      path: chat,
      body: { messages: user, max_tokens: 1, max_completion_tokens: 2 },
      code: "invalid_value",
      param: "max_tokens",
    },
    {
      name: "tools",
      path: chat,
      body: { messages: user, tools: [{}] },
      code: "unsupported_parameter",
      param: "tools",
    },
    {
      name: "alternatives without probabilities",
      path: chat,
      body: { messages: user, top_logprobs: 2 },
      code: "invalid_value",
      param: "top_logprobs",
    },
    {
      name: "a layer that is not there",
      path: attention,
      body: { input: "h", layer: 2 },
      code: "invalid_value",
      param: "layer",
      says: "0 to 1: 2",
    },
    {
      name: "a head that is not there",
      path: attention,
      body: { input: "h", layer: 0, head: 4 },
      code: "invalid_value",
      param: "head",
    },
    {
      name: "two texts",
      path: attention,
      body: { input: "h", messages: user, layer: 0 },
      code: "invalid_value",
      param: "input",
    },
    {
      name: "an attention of too many tokens",
      path: attention,
      body: { input: "x".repeat(600), layer: 0 },
      code: "attention_too_large",
      param: "input",
      says: "to 512 tokens",
    },
  ])("$name", async ({ path = completions, body, code, param, says = "" }) => {
    const before = await server.metric("qklab_prompt_tokens_total");
    const response = await server.post(path, body);
    expect(response.status).toBe(400);
    const { error } = (await response.json()) as { error: Readonly<Record<string, unknown>> };
    expect(error).toMatchObject({
      type: "invalid_request_error",
      code,
      ...(param === undefined ? {} : { param }),
    });
    expect(error["message"]).toMatch(/^Cannot [^\n]+: [^\n]+\. /);
    expect(error["message"]).toContain(says);
    expect(await server.metric("qklab_prompt_tokens_total")).toBe(before);
  });

  test("prompts beyond the context, with both numbers, and chats with a model that has no template", async () => {
    const scripted = scriptedModel();
    const small = askServer(scripted);
    const long = await small.post(completions, { prompt: "x".repeat(65) });
    expect(await long.json()).toMatchObject({
      error: {
        code: "context_length_exceeded",
        message: expect.stringMatching(/64 tokens: 65 tokens/) as unknown,
      },
    });
    const longer = await small.post(completions, { prompt: "x".repeat(5000) });
    expect(await longer.json()).toMatchObject({
      error: {
        code: "context_length_exceeded",
        message: expect.stringMatching(/64 tokens: 417 tokens at least/) as unknown,
      },
    });
    expect(await small.ask(chat, { messages: user })).toMatchObject({ error: { code: "no-chat" } });
    expect(scripted.taken).toBe(0);
  });
});
