/**
 * @file Weights in llama2.c's first format (`export.py`, version 0): seven int32, then float32 in a fixed order, part by part over
 * all layers. Source: legacy_export of karpathy/llama2.c, and its run.c for what the header does not say.
 *
 * Queries and keys are rotated in adjacent pairs (2i, 2i + 1) there, not in halves (i, i + D/2) as the code behind these names does.
 */
import { DomainError } from "../base/errors.ts";
import { sizeOf } from "../base/tensor.ts";
import { withRanges } from "./file-ranges.node.ts";
import type { FileRanges } from "./file-ranges.node.ts";
import { readFloats } from "./read-floats.node.ts";
import { findWeight } from "./weight-names.ts";
import type { WeightDescription, WeightSource } from "./weight-source.ts";

/** What the header says, in the words of Hugging Face's `config.json`. */
export interface Llama2cConfig {
  readonly model_type: "llama";
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly vocab_size: number;
  readonly max_position_embeddings: number;
  readonly tie_word_embeddings: boolean;
  /** Not in the file: what run.c computes with. */
  readonly rms_norm_eps: 1e-5;
  /** Not in the file: what run.c computes with. */
  readonly rope_theta: 10_000;
}

/** The weights with the config that their file begins with. */
export interface Llama2cWeights extends WeightSource {
  readonly config: Llama2cConfig;
  /** Which numbers of a head are rotated together: 2i and 2i + 1. */
  readonly ropeLayout: "interleaved";
}

interface StoredFloats extends WeightDescription {
  readonly dtype: "F32";
  readonly begin: number;
  readonly end: number;
}

const headerBytes = 28;
/** Before their names are laid out; the largest models have some hundred. */
const mostLayers = 4096;

/**
 * Opens a file of llama2.c.
 *
 * @throws MissingError `file-read` where the file is missing or unreadable
 * @throws DomainError `llama2c-header` for seven numbers that are no model, `llama2c-length` where their model is not the file's size
 */
export async function openLlama2cWeights(path: string): Promise<Llama2cWeights> {
  return withRanges(path, "llama2c", async (ranges) => {
    const config = await readConfig(ranges);
    const parts = partsOf(config);
    requireSize(ranges, parts);
    const tensors = placeTensors(parts);
    return {
      source: path,
      config,
      ropeLayout: "interleaved",
      tensors,
      read: async (name) => {
        const stored = findWeight(tensors, name, path);
        return { shape: stored.shape, data: await readFloats(ranges, stored) };
      },
      readQuantised: async (name) => {
        findWeight(tensors, name, path);
        return undefined;
      },
      close: () => ranges.close(),
    };
  });
}

async function readConfig(ranges: FileRanges): Promise<Llama2cConfig> {
  const { path, sizeBytes } = ranges;
  if (sizeBytes < headerBytes) {
    throw lengthError(path, `it must begin with ${headerBytes} bytes of sizes`, `${sizeBytes} bytes`);
  }
  const bytes = await ranges.read(0, headerBytes);
  requireNoOtherFormat(bytes, path);
  const [width, hidden, layers, heads, keyHeads, vocabulary, positions] = new Int32Array(bytes.buffer);
  const positive = [width, hidden, layers, heads, keyHeads, positions].every((size) => size > 0);
  // Of int32 the smallest has no negative.
  const hasWords = vocabulary !== 0 && vocabulary !== -(2 ** 31);
  if (!positive || !hasWords || width % heads !== 0 || heads % keyHeads !== 0 || (width / heads) % 2 !== 0) {
    throw headerError(
      path,
      "its seven numbers must be sizes of a model with heads of even width",
      `width ${width}, hidden ${hidden}, ${layers} layers, ${heads} heads, ${keyHeads} key heads, ` +
        `vocabulary ${vocabulary}, ${positions} positions`,
    );
  }
  if (layers > mostLayers)
    throw headerError(path, `it must have at most ${mostLayers} layers`, `${layers} layers`);
  return {
    model_type: "llama",
    hidden_size: width,
    intermediate_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: keyHeads,
    vocab_size: Math.abs(vocabulary),
    max_position_embeddings: positions,
    // A negative vocabulary says that the output has a matrix of its own.
    tie_word_embeddings: vocabulary > 0,
    rms_norm_eps: 1e-5,
    rope_theta: 10_000,
  };
}

/** Files that are also called `.bin`, or begin as one of llama2.c's later versions. */
const otherFormats: readonly (readonly [start: readonly number[], what: string])[] = [
  [[0x50, 0x4b, 0x03, 0x04], "an archive of PyTorch"],
  [[0x80, 0x02], "a pickle of PyTorch"],
  [[0x32, 0x34, 0x6b, 0x61], "a later version of llama2.c's format"],
];

function requireNoOtherFormat(bytes: Uint8Array, path: string): void {
  const other = otherFormats.find(([start]) => start.every((byte, place) => bytes[place] === byte));
  if (other === undefined) return;
  throw headerError(path, "a .bin must be llama2.c's version 0", other[1]);
}

/** A tensor, or one of each layer, which lie side by side; unnamed is what models compute by themselves. */
interface Part {
  readonly name?: string | ((layer: number) => string);
  readonly shape: readonly number[];
  readonly count: number;
}

function partsOf(config: Llama2cConfig): Part[] {
  const {
    hidden_size: width,
    intermediate_size: hidden,
    num_hidden_layers: layers,
    vocab_size: words,
  } = config;
  const headWidth = width / config.num_attention_heads;
  const keyWidth = headWidth * config.num_key_value_heads;
  const one = (name: string, ...shape: number[]): Part => ({ name, shape, count: 1 });
  const each = (name: string, ...shape: number[]): Part => ({
    name: (layer) => `model.layers.${layer}.${name}.weight`,
    shape,
    count: layers,
  });
  const angles: Part = { shape: [config.max_position_embeddings, headWidth / 2], count: 1 };
  return [
    one("model.embed_tokens.weight", words, width),
    each("input_layernorm", width),
    each("self_attn.q_proj", width, width),
    each("self_attn.k_proj", keyWidth, width),
    each("self_attn.v_proj", keyWidth, width),
    each("self_attn.o_proj", width, width),
    each("post_attention_layernorm", width),
    each("mlp.gate_proj", hidden, width),
    each("mlp.down_proj", width, hidden),
    each("mlp.up_proj", hidden, width),
    one("model.norm.weight", width),
    angles,
    angles,
    ...(config.tie_word_embeddings ? [] : [one("lm_head.weight", words, width)]),
  ];
}

/** Beyond 2⁵³ the sum is rounded, and larger than any file all the same. */
function requireSize({ path, sizeBytes }: FileRanges, parts: readonly Part[]): void {
  const needed = parts.reduce((sum, { shape, count }) => sum + 4 * count * sizeOf(shape), headerBytes);
  if (needed === sizeBytes) return;
  throw lengthError(path, `the model of its header must fill it, ${needed} bytes`, `${sizeBytes} bytes`);
}

function placeTensors(parts: readonly Part[]): Map<string, StoredFloats> {
  const tensors = new Map<string, StoredFloats>();
  let begin = headerBytes;
  for (const { name, shape, count } of parts) {
    for (let layer = 0; layer < count; layer++) {
      const end = begin + 4 * sizeOf(shape);
      if (name !== undefined) {
        tensors.set(typeof name === "string" ? name : name(layer), { shape, dtype: "F32", begin, end });
      }
      begin = end;
    }
  }
  return tensors;
}

function headerError(path: string, rule: string, seen: string): DomainError {
  return new DomainError(
    "llama2c-header",
    `Cannot read ${path} as ${rule}: ${seen}. Pass a file of llama2.c's export.py --version 0, or convert it to safetensors`,
  );
}

function lengthError(path: string, rule: string, seen: string): DomainError {
  return new DomainError(
    "llama2c-length",
    `Cannot read ${path} as ${rule}: ${seen}. Fetch it again: it is cut short, or no file of llama2.c's version 0`,
  );
}
