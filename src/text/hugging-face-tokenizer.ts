/**
 * @file The tokenizer of a Hugging Face folder: tokenizer.json and tokenizer_config.json. Encoding is `@huggingface/tokenizers`;
 * decoding goes by the bytes of the tokens, so that a stream says what the whole would.
 */
import { Tokenizer as Encoder } from "@huggingface/tokenizers";
import { DomainError, MissingError, UnsupportedError } from "../base/errors.ts";
import { requireToken, type SpecialTokens, type Tokenizer } from "./tokenizer.ts";
import { type DecoderDescription, tokenSpelling } from "./token-bytes.ts";
import { decodeTokens } from "./whole-characters.ts";

/** The files of a tokenizer, as parsed JSON. */
export interface HuggingFaceTokenizerFiles {
  /** tokenizer.json */
  readonly tokenizer: unknown;
  /** tokenizer_config.json: which tokens open and close a text; absent: what tokenizer.json itself says. */
  readonly config?: unknown;
}

/**
 * The tokenizer of a Hugging Face folder.
 *
 * @param files - what the files hold; they are checked as far as they are read
 * @param source - what messages call the folder
 * @throws MissingError `tokenizer-unreadable` where the files are no tokenizer
 * @throws UnsupportedError `tokenizer-unsupported` for a kind that cannot be read
 * @example
 * ```ts
 * import { huggingFaceTokenizer } from "qklab/text";
 * const tokenizer = huggingFaceTokenizer({
 *   tokenizer: {
 *     added_tokens: [],
 *     normalizer: null,
 *     pre_tokenizer: { type: "Whitespace" },
 *     post_processor: null,
 *     decoder: null,
 *     model: { type: "WordPiece", unk_token: "?", vocab: { "?": 0, near: 1, far: 2 } },
 *   },
 * });
 * tokenizer.encode("near far away"); // [1, 2, 0]
 * tokenizer.decode([1, 2]); // "near far"
 * ```
 */
export function huggingFaceTokenizer(
  files: HuggingFaceTokenizerFiles,
  source: string = "tokenizer.json",
): Tokenizer {
  const config = files.config ?? {};
  if (!isRecord(config))
    throw unreadable(source, "its tokenizer_config.json must be an object", typeof config);
  const description = requireDescription(files.tokenizer, source);
  const encoder = makeEncoder(description, config, source);
  const spelling = tokenSpelling(source, description.decoder);
  const marks = new Map(description.added_tokens.map((added) => [added.id, added]));
  const spelled = spell(encoder, marks, spelling.bytesOf, source);
  const { model } = description;
  const unknown = typeof model.unk_token === "string" ? encoder.token_to_id(model.unk_token) : undefined;
  const specialTokens = namedTokens(encoder, config, description.added_tokens, unknown);

  const tokenizer: Tokenizer = {
    vocabularySize: spelled.length,
    specialTokens,
    addsSpaceInFront: spelling.addsSpaceInFront,
    encode(text, { addSpecial = true } = {}) {
      const { ids, tokens } = encoder.encode(text, { add_special_tokens: addSpecial });
      // The type says numbers, but a token that is not in the vocabulary, without an unknown token, is none.
      const stranger = (ids as readonly unknown[]).findIndex((id) => !Number.isInteger(id));
      if (stranger === -1) return ids;
      throw new DomainError(
        "text-unencodable",
        `Cannot encode a text with ${source} as each part must be in the vocabulary: ${JSON.stringify(tokens[stranger])}. ` +
          "Leave it out: this vocabulary has neither bytes nor an unknown token",
      );
    },
    decode: (tokens, options) => decodeTokens(tokenizer, tokens, options),
    bytesOf(token) {
      requireToken(token, spelled.length);
      return spelled[token];
    },
  };
  return tokenizer;
}

interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
}

interface Description {
  readonly added_tokens: readonly AddedToken[];
  readonly decoder: DecoderDescription | null;
  readonly model: Readonly<Record<string, unknown>>;
}

/** No vocabulary in use is near this; a larger number in a file would be an allocation, not a token. */
const mostTokens = 1 << 24;

function requireDescription(tokenizer: unknown, source: string): Description {
  if (!isRecord(tokenizer)) throw unreadable(source, "it must be an object", typeof tokenizer);
  const { model, decoder = null, added_tokens = [] } = tokenizer;
  if (!isRecord(model)) throw unreadable(source, "'model' must be an object", typeof model);
  if (decoder !== null && !isRecord(decoder)) {
    throw unreadable(source, "'decoder' must be an object or null", typeof decoder);
  }
  if (!Array.isArray(added_tokens)) {
    throw unreadable(source, "'added_tokens' must be a list", typeof added_tokens);
  }
  for (const added of added_tokens as unknown[]) {
    if (isRecord(added) && isTokenNumber(added["id"]) && typeof added["content"] === "string") continue;
    throw unreadable(source, "each added token must have an id and a content", JSON.stringify(added));
  }
  const numbers = isRecord(model["vocab"]) ? Object.values(model["vocab"]) : [];
  const stranger = numbers.find((number) => !isTokenNumber(number));
  if (stranger !== undefined) {
    throw unreadable(source, `token numbers must be whole and below ${mostTokens}`, JSON.stringify(stranger));
  }
  // The parts that the library wants spelled out, as null where there is none.
  return {
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    ...tokenizer,
    model,
    decoder,
    added_tokens: added_tokens as readonly AddedToken[],
  } as Description;
}

function makeEncoder(description: Description, config: object, source: string): Encoder {
  try {
    return new Encoder(description, config);
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause);
    if (/unknown|unsupported|not (supported|implemented)/i.test(problem)) {
      throw new UnsupportedError(
        "tokenizer-unsupported",
        `Cannot read ${source} as @huggingface/tokenizers must know each of its parts: ${problem}. Use another model`,
      );
    }
    throw unreadable(source, "it must be laid out as tokenizer.json is", problem, cause);
  }
}

/** The bytes of each token, and no bytes for numbers that the vocabulary leaves out. */
function spell(
  encoder: Encoder,
  marks: ReadonlyMap<number, AddedToken>,
  bytesOf: (token: string) => Uint8Array,
  source: string,
): Uint8Array[] {
  const { model } = encoder;
  const size = model?.vocab.length ?? 0;
  if (size === 0) throw unreadable(source, "its vocabulary must not be empty", "no token");
  return Array.from({ length: size }, (_, token) => {
    const mark = marks.get(token);
    if (mark !== undefined) return new TextEncoder().encode(mark.content);
    const content: unknown = encoder.id_to_token(token);
    return typeof content === "string" ? bytesOf(content) : new Uint8Array(0);
  });
}

function namedTokens(
  encoder: Encoder,
  config: Readonly<Record<string, unknown>>,
  added: readonly AddedToken[],
  modelUnknown: number | undefined,
): SpecialTokens {
  const numberOf = (key: string): number | undefined => {
    const content = tokenContent(config[key]);
    return content === undefined ? undefined : encoder.token_to_id(content);
  };
  const named = {
    begin: numberOf("bos_token"),
    end: numberOf("eos_token"),
    padding: numberOf("pad_token"),
    unknown: numberOf("unk_token") ?? modelUnknown,
  };
  const all = new Set(added.filter(({ special }) => special).map(({ id }) => id));
  return { ...Object.fromEntries(Object.entries(named).filter(([, number]) => number !== undefined)), all };
}

/** A token of tokenizer_config.json: its content, or an object with it. */
export function tokenContent(value: unknown): string | undefined {
  const content = isRecord(value) ? value["content"] : value;
  return typeof content === "string" ? content : undefined;
}

const isTokenNumber = (value: unknown): boolean =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) < mostTokens;

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function unreadable(source: string, rule: string, seen: string, cause?: unknown): MissingError {
  return new MissingError(
    "tokenizer-unreadable",
    `Cannot read ${source} as ${rule}: ${seen}. Fetch the file again, or use another model`,
    cause === undefined ? {} : { cause },
  );
}
