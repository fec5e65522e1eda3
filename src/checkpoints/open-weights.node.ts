/**
 * @file Weights of any format that is known, by a file or by the folder of a model. A file is told by its name's end; a folder by what
 * lies in it: the names that Hugging Face gives first, then the only file of its kind.
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { DomainError, MissingError } from "../base/errors.ts";
import { quoted } from "./header-json.ts";
import { openLlama2cWeights } from "./llama2c-weights.node.ts";
import type { Llama2cConfig } from "./llama2c-weights.node.ts";
import { openOnnxWeights } from "./onnx-weights.node.ts";
import { openSafetensorsWeights } from "./safetensors-weights.node.ts";
import { openShardedWeights } from "./sharded-weights.node.ts";
import type { WeightSource } from "./weight-source.ts";

/** Weights with the format that they were found in. */
export interface FoundWeights extends WeightSource {
  readonly format: "safetensors" | "sharded" | "onnx" | "llama2c";
  /** Where the file itself says what its model is, in the words of `config.json`. */
  readonly config?: Llama2cConfig;
  /** Where the format fixes which numbers of a head are rotated together. */
  readonly ropeLayout?: "interleaved";
}

interface Format {
  readonly format: FoundWeights["format"];
  /** How the names of its files end. */
  readonly ending: string;
  /** What it is called in a folder, best first. */
  readonly names: readonly string[];
  /** Files of a folder with this ending that hold other things. */
  readonly except?: RegExp;
  open(path: string): Promise<WeightSource & Pick<FoundWeights, "config" | "ropeLayout">>;
}

const safetensors: Format = {
  format: "safetensors",
  ending: ".safetensors",
  names: ["model.safetensors"],
  open: openSafetensorsWeights,
};
const sharded: Format = {
  format: "sharded",
  ending: ".safetensors.index.json",
  names: ["model.safetensors.index.json"],
  open: openShardedWeights,
};
const onnx: Format = {
  format: "onnx",
  ending: ".onnx",
  names: ["onnx/model_quantized.onnx", "model_quantized.onnx"],
  open: openOnnxWeights,
};
const llama2c: Format = {
  format: "llama2c",
  ending: ".bin",
  names: ["model.bin"],
  except: /^(?:pytorch_model|tok|training_args)/,
  open: openLlama2cWeights,
};

/** In the order in which a folder is looked through. */
const formats: readonly Format[] = [safetensors, sharded, onnx, llama2c];

/**
 * Opens the weights of a model; close them when done.
 *
 * @param place - a file (`.safetensors`, `.safetensors.index.json`, `.onnx`, or llama2.c's `.bin`), or a folder with one of them
 * @throws MissingError `weights-missing` where a folder holds none, with what was looked for, or `file-read` where there is nothing
 * @throws DomainError `weights-format` for a file of another name, `weights-ambiguous` for a folder with several of a kind
 * @throws as the formats for a file that is malformed
 */
export async function openWeights(place: string): Promise<FoundWeights> {
  const { format, path } = (await isFolder(place))
    ? await lookThrough(place)
    : { format: formatOf(place), path: place };
  return { ...(await format.open(path)), format: format.format };
}

async function isFolder(place: string): Promise<boolean> {
  return readingFolder(place, async () => (await stat(place)).isDirectory());
}

function formatOf(path: string): Format {
  const format = formats.find(({ ending }) => path.endsWith(ending));
  if (format !== undefined) return format;
  throw new DomainError(
    "weights-format",
    `Cannot read ${path} as a file of weights must end in ${endings()}: another name. ` +
      "Convert it to safetensors, or give it the name of its format",
  );
}

async function lookThrough(folder: string): Promise<{ format: Format; path: string }> {
  const files = await readingFolder(folder, () => readdir(folder));
  for (const format of formats) {
    for (const name of format.names) {
      const path = join(folder, name);
      if (await exists(path)) return { format, path };
    }
  }
  for (const format of formats) {
    const alike = files.filter((name) => name.endsWith(format.ending) && format.except?.test(name) !== true);
    if (alike.length > 1) throw ambiguousError(folder, alike);
    if (alike.length === 1) return { format, path: join(folder, alike[0]) };
  }
  const wanted = formats.flatMap(({ names }) => names).join(", ");
  throw new MissingError(
    "weights-missing",
    `Cannot read the weights of ${folder} as it must hold one of ${wanted}, or a file that ends in ${endings()}: ` +
      `${files.length} other files. Fetch the weights into it, or pass the file itself`,
  );
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}

function endings(): string {
  return formats.map(({ ending }) => ending).join(", ");
}

const mostNamedFiles = 5;

function ambiguousError(folder: string, files: readonly string[]): DomainError {
  const named = files.slice(0, mostNamedFiles).map(quoted).join(", ");
  return new DomainError(
    "weights-ambiguous",
    `Cannot read the weights of ${folder} as one file must be meant: ${files.length}, ${named}` +
      `${files.length > mostNamedFiles ? ", …" : ""}. Pass the file itself`,
  );
}

async function readingFolder<Value>(place: string, act: () => Promise<Value>): Promise<Value> {
  try {
    return await act();
  } catch (error) {
    throw new MissingError(
      "file-read",
      `Cannot read ${place} as a file or folder must be there and readable: ${(error as Error).message}. Check the path`,
      { cause: error },
    );
  }
}
