/** @file Small tokenizer.json files laid by hand: byte-level as GPT-2's, and SentencePiece's with bytes to fall back on. */

/** GPT-2's alphabet for a byte, from the rule as OpenAI wrote it: visible bytes are themselves, the rest start at U+0100. */
function byteLevelAlphabet(): string[] {
  const visible = new Set([...range(33, 126), ...range(161, 172), ...range(174, 255)]);
  let next = 0;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode(visible.has(byte) ? byte : 256 + next++),
  );
}

const range = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_, place) => first + place);

/**
 * Byte-level BPE: tokens 0 … 255 are the bytes, then "he", "ll", "hell", " h" (its space as Ġ) and the first two bytes of 天; 261
 * and 262 are marks.
 */
export function byteLevelTokenizer(): Record<string, unknown> {
  const alphabet = byteLevelAlphabet();
  const [e5, a4] = [alphabet[0xe5], alphabet[0xa4]];
  const merges = [
    ["h", "e"],
    ["l", "l"],
    ["he", "ll"],
    ["Ġ", "h"],
    [e5, a4],
  ];
  const pieces = [...alphabet, ...merges.map((pair) => pair.join(""))];
  return {
    version: "1.0",
    added_tokens: [mark(pieces.length, "<|im_start|>"), mark(pieces.length + 1, "<|im_end|>")],
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: "BPE", vocab: numbered(pieces), merges, unk_token: null, byte_fallback: false },
  };
}

/** As Llama-2's: 0 … 2 are marks, 3 … 258 the bytes, then ▁, a, b, "ab" and "▁ab"; BOS goes in front. */
export function sentencePieceTokenizer(): Record<string, unknown> {
  const bytes = range(0, 255).map((byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
  const pieces = ["<unk>", "<s>", "</s>", ...bytes, "▁", "a", "b", "ab", "▁ab"];
  return {
    version: "1.0",
    added_tokens: ["<unk>", "<s>", "</s>"].map((content, id) => mark(id, content)),
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "Prepend", prepend: "▁" },
        { type: "Replace", pattern: { String: " " }, content: "▁" },
      ],
    },
    pre_tokenizer: null,
    post_processor: {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
      pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
      special_tokens: { "<s>": { id: "<s>", ids: [1], tokens: ["<s>"] } },
    },
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        { type: "Strip", content: " ", start: 1, stop: 0 },
      ],
    },
    model: {
      type: "BPE",
      vocab: numbered(pieces),
      merges: [
        ["a", "b"],
        ["▁", "ab"],
      ],
      unk_token: "<unk>",
      fuse_unk: true,
      byte_fallback: true,
    },
  };
}

const numbered = (pieces: readonly string[]): Record<string, number> =>
  Object.fromEntries(pieces.map((piece, token) => [piece, token]));

function mark(id: number, content: string): Record<string, unknown> {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
}
