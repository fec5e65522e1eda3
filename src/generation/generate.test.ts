import fc from "fast-check";
import { expect, test } from "vitest";
import type { TokenBytes } from "../text/whole-characters.ts";
import { type Finish, generate, type GeneratedPiece, type GenerateOptions } from "./generate.ts";
import type { NextToken } from "./next-token.ts";

const endToken = 256;
const utf8 = new TextEncoder();

/** Every byte a token, and one mark. */
const bytes: TokenBytes = {
  vocabularySize: 257,
  specialTokens: { end: endToken, all: new Set([endToken]) },
  addsSpaceInFront: false,
  bytesOf: (token) => (token === endToken ? utf8.encode("<end>") : Uint8Array.of(token)),
};

/** A model that says these tokens one after the other, each with probability 1/2, and then always the last of them. */
function reciting(tokens: readonly number[], maximumLength = 1000): NextToken & { readonly taken: number[] } {
  const taken: number[] = [];
  let spoken = 0;
  const next = (): Promise<Float32Array> => {
    // Three columns more than the vocabulary has: padding, more likely than anything.
    const logits = new Float32Array(260).fill(-Math.log(256));
    logits.fill(50, 257);
    logits[tokens[Math.min(spoken++, tokens.length - 1)]] = 0;
    return Promise.resolve(logits);
  };
  return {
    taken,
    maximumLength,
    get length() {
      return taken.length;
    },
    prefill(prompt) {
      taken.push(...prompt);
      return next();
    },
    step(token) {
      taken.push(token);
      return next();
    },
  };
}

async function collect(model: NextToken, options: GenerateOptions = {}, prompt: number[] = [65]) {
  const pieces: GeneratedPiece[] = [];
  for await (const piece of generate(model, bytes, prompt, { temperature: 0, ...options }))
    pieces.push(piece);
  const finish = pieces.at(-1)?.finish;
  expect(pieces.filter((piece) => piece.finish !== undefined)).toHaveLength(1);
  for (const piece of pieces) expect(piece.logProbabilities).toHaveLength(piece.tokens.length);
  return { pieces, finish, text: pieces.map((piece) => piece.text).join("") };
}

const speech = (text: string): number[] => [...utf8.encode(text), endToken];

test("pieces are whole characters with their tokens, and the end token ends the text unseen", async () => {
  const { pieces, finish } = await collect(reciting(speech("a天é")));
  expect(pieces.map(({ text }) => text)).toEqual(["a", "天", "é", ""]);
  expect(pieces[1].tokens).toEqual([0xe5, 0xa4, 0xa9]);
  // 256 others with 1/256 of its weight each.
  for (const value of pieces[1].logProbabilities) expect(value).toBeCloseTo(Math.log(0.5), 6);
  expect(finish).toEqual({ reason: "stop-token", stop: endToken, promptTokens: 1, newTokens: 7 });
});

test("the model takes the prompt and every token but the last, and is not asked again", async () => {
  const model = reciting(speech("ab"));
  await collect(model, {}, [1, 2]);
  expect(model.taken).toEqual([1, 2, 0x61, 0x62]);
});

test.each<{
  name: string;
  text: string;
  options: GenerateOptions;
  shown: string;
  finish: Partial<Finish>;
  room?: number;
}>([
  {
    name: "a count",
    text: "abcdef",
    options: { maximumNewTokens: 3 },
    shown: "abc",
    finish: { reason: "length", newTokens: 3 },
  },
  {
    name: "a count inside a character",
    text: "天",
    options: { maximumNewTokens: 2 },
    shown: "\uFFFD",
    finish: { reason: "length", newTokens: 2 },
  },
  {
    name: "no token at all",
    text: "abc",
    options: { maximumNewTokens: 0 },
    shown: "",
    finish: { reason: "length", newTokens: 0 },
  },
  // Four places: the prompt and three tokens are taken, and one more is chosen.
  {
    name: "the context",
    text: "abcdef",
    options: {},
    room: 4,
    shown: "abcd",
    finish: { reason: "context", newTokens: 4 },
  },
  {
    name: "a stop string",
    text: "one END two",
    options: { stopStrings: ["END"] },
    shown: "one ",
    finish: { reason: "stop-string", stop: "END" },
  },
  {
    name: "the stop string that begins first",
    text: "abcd",
    options: { stopStrings: ["cd", "bcd", "bc"] },
    shown: "a",
    finish: { stop: "bc" },
  },
  {
    name: "no stop string, only its opening",
    text: "xEN",
    options: { stopStrings: ["END"] },
    shown: "xEN",
    finish: { reason: "stop-token" },
  },
  {
    name: "a stop string of spread characters",
    text: "是天空",
    options: { stopStrings: ["天"] },
    shown: "是",
    finish: { stop: "天" },
  },
  {
    name: "another stop token",
    text: "a.b",
    options: { stopTokens: [0x2e] },
    shown: "a",
    finish: { stop: 0x2e },
  },
])("ends at $name", async ({ text, options, shown, finish, room }) => {
  const result = await collect(reciting(speech(text), room), options);
  expect(result.text).toBe(shown);
  expect(result.finish).toMatchObject(finish);
});

test("marks are shown where they are asked for and do not end the text", async () => {
  const { text } = await collect(reciting([0x61, endToken, 0x62]), { showSpecial: true, stopTokens: [0x62] });
  expect(text).toBe("a<end>");
});

test("a text with stop strings is the text before the first of them, and nothing shown is taken back", async () => {
  const letters = fc.string({ unit: fc.constantFrom("a", "b", "天"), maxLength: 10 });
  const stops = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "天"), minLength: 1, maxLength: 3 }), {
    maxLength: 3,
  });
  await fc.assert(
    fc.asyncProperty(letters, stops, async (text, stopStrings) => {
      const ends = stopStrings
        .map((stop) => text.indexOf(stop) + stop.length)
        .filter((_, which) => text.includes(stopStrings[which]));
      // The stop string that is complete first ends the text.
      const end = ends.length === 0 ? text.length : Math.min(...ends);
      const starts = stopStrings
        .filter((stop) => text.slice(0, end).endsWith(stop))
        .map((stop) => end - stop.length);
      const { text: shown } = await collect(reciting(speech(text)), { stopStrings });
      expect(shown).toBe(text.slice(0, ends.length === 0 ? end : Math.min(...starts)));
    }),
    { numRuns: 100 },
  );
});

test("the same seed gives the same text, another seed another; columns that pad are never chosen", async () => {
  const sampled = async (seed: number): Promise<number[]> => {
    const { pieces } = await collect(reciting(speech("a".repeat(40))), {
      temperature: 1,
      seed,
      maximumNewTokens: 40,
      stopTokens: [],
    });
    return pieces.flatMap(({ tokens }) => tokens);
  };
  const [first, again, other] = [await sampled(1), await sampled(1), await sampled(2)];
  expect(first).toEqual(again);
  expect(first).not.toEqual(other);
  expect(Math.max(...first, ...other)).toBeLessThan(257);
});

test("the prompt counts for the repetition penalty", async () => {
  const model: NextToken = {
    ...reciting([0]),
    // Token 65 is best by little: divided by 2 it is not.
    prefill: () =>
      Promise.resolve(
        Float32Array.from({ length: 257 }, (_, token) => (token === 65 ? 3 : Number(token === 66) * 2)),
      ),
  };
  const { text } = await collect(model, { repetitionPenalty: 2, maximumNewTokens: 1 });
  expect(text).toBe("B");
});

test("a signal ends the generation with its reason, before the model is asked again", async () => {
  const controller = new AbortController();
  const model = reciting(speech("abcdef"));
  const shown: string[] = [];
  const run = async (): Promise<void> => {
    for await (const { text } of generate(model, bytes, [65], {
      temperature: 0,
      signal: controller.signal,
    })) {
      shown.push(text);
      if (text === "b") controller.abort(new Error("enough"));
    }
  };
  await expect(run()).rejects.toThrow("enough");
  expect(shown).toEqual(["a", "b"]);
});

test.each<{ name: string; prompt?: number[]; options?: GenerateOptions; code: string; says: string }>([
  { name: "an empty prompt", prompt: [], code: "prompt-empty", says: "at least one token" },
  {
    name: "a prompt beyond the context",
    prompt: [1, 2, 3, 4, 5],
    code: "prompt-too-long",
    says: "context of 4 tokens: 5 tokens. Shorten it to at most 4",
  },
  { name: "a token outside the vocabulary", prompt: [257], code: "token-unknown", says: "0 to 256: 257" },
  { name: "half a token", options: { maximumNewTokens: 1.5 }, code: "bad-generation", says: "1.5" },
  {
    name: "an empty stop string",
    options: { stopStrings: [""] },
    code: "bad-generation",
    says: "stop string",
  },
  { name: "a bad temperature", options: { temperature: -1 }, code: "bad-sampling", says: "temperature" },
])("$name is refused, and the model is not touched", async ({ prompt, options, code, says }) => {
  const model = reciting([0], 4);
  await expect(collect(model, options, prompt)).rejects.toMatchObject({
    code,
    message: expect.stringContaining(says) as unknown,
  });
  expect(model.taken).toEqual([]);
});
