/** @file `qklab/text`: between text and token numbers. */
export { type ChatMessage, type ChatOptions, chatTemplate, type RenderChat } from "./chat-template.ts";
export { huggingFaceTokenizer, type HuggingFaceTokenizerFiles } from "./hugging-face-tokenizer.ts";
export { llama2cTokenizer } from "./llama2c-tokenizer.ts";
export type { DecodeOptions, EncodeOptions, SpecialTokens, Tokenizer } from "./tokenizer.ts";
export {
  type CharacterGroup,
  characterGroups,
  type TokenBytes,
  type WholeCharacters,
  wholeCharacters,
} from "./whole-characters.ts";
