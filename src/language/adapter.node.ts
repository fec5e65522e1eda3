/**
 * @file Adapters on disk: a folder with `adapter_config.json` and `adapter_model.safetensors`, which changes a trained decoder whose
 * own files stay as they are. A folder is refused before any of its tensors is read where it is for another model.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { DomainError, MissingError } from "../base/errors.ts";
import { requireFinite, sizeOf, type Tensor } from "../base/tensor.ts";
import { type WeightSource } from "../checkpoints/index.ts";
import { openSafetensors, writeSafetensors } from "../checkpoints/safetensors-file.node.ts";
import { toFloat32 } from "../checkpoints/safetensors.ts";
import { writeFileAtomically } from "../checkpoints/write-atomically.node.ts";
import { decoder, type Decoder, type DecoderConfig, type LayerAttentions } from "../models/index.ts";
import {
  type Adapter,
  adapterConfigOf,
  type AdapterTraining,
  factorNames,
  mergedWeight,
  nameOfStored,
  readAdapterConfig,
  requireFittingAdapter,
  storedName,
} from "./adapter-format.ts";
import { type ModelLayout } from "./layouts/index.ts";
import { loadDecoder, type LoadedModel, type LoadOptions } from "./load-decoder.ts";
import { readParameters } from "./read-parameters.ts";

/** The model that an adapter changes; a `LanguageModel` is one. */
export interface AdapterBase {
  /** As the user named it. */
  readonly name: string;
  readonly layout: ModelLayout<DecoderConfig>;
  readonly source: WeightSource;
}

/** An adapter, read. */
export interface ReadAdapter {
  /** What goes into the configuration. */
  readonly attention: LayerAttentions;
  /** What differs from the model's own weights, by parameter names: merged projections, and parameters of the attentions. */
  readonly tensors: Readonly<Record<string, Tensor>>;
  /** What training said of itself. */
  readonly training: AdapterTraining;
}

const configFile = "adapter_config.json";
const tensorFile = "adapter_model.safetensors";

/**
 * A hash that tells models apart: names, types and shapes of all tensors, and the numbers of the smallest ones and of the smallest
 * matrix, so that it costs little for a model of any size.
 *
 * @returns 64 hexadecimal digits
 */
export async function baseFingerprint({
  tensors,
  read,
}: Pick<WeightSource, "tensors" | "read">): Promise<string> {
  const described = [...tensors].map(([name, { shape, dtype }]) => ({
    name,
    shape,
    dtype,
    size: sizeOf(shape),
  }));
  const inOrder = described.toSorted((a, b) => a.size - b.size || (a.name < b.name ? -1 : 1));
  const hash = createHash("sha256");
  for (const { name, shape, dtype } of inOrder) hash.update(`${JSON.stringify([name, dtype, shape])}\n`);
  const smallestMatrix = inOrder.find(({ shape }) => shape.length === 2);
  const sampled = new Set([...inOrder.slice(0, sampledTensors), ...(smallestMatrix ? [smallestMatrix] : [])]);
  for (const { name } of sampled) {
    const { data } = await read(name);
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest("hex");
}

const sampledTensors = 8;

/**
 * Writes an adapter, each file as a whole; the config comes last, so that a folder with one is complete.
 *
 * @param folder - made where it is missing
 * @throws MissingError `file-write`
 */
export async function writeAdapter(folder: string, base: AdapterBase, adapter: Adapter): Promise<void> {
  const fingerprint = await baseFingerprint(base.source);
  const config = adapterConfigOf(adapter, { name: base.name, layout: base.layout.name, fingerprint });
  await mkdir(folder, { recursive: true });
  const tensors = Object.entries(adapter.tensors).map(([name, tensor]) => [storedName(name), tensor]);
  await writeSafetensors(join(folder, tensorFile), Object.fromEntries(tensors), { format: "pt" });
  await writeFileAtomically(join(folder, configFile), `${JSON.stringify(config, undefined, 2)}\n`);
}

/**
 * Reads an adapter for a model.
 *
 * @param folder - what {@link writeAdapter} made
 * @param base - the model; its tensors are read where the adapter changes them
 * @throws MissingError `adapter-missing` where the folder holds none, DomainError `adapter-base` for another model,
 *   `adapter-invalid` and `adapter-tensors`, ShapeError `adapter-shape`, NumbersError `not-finite`, and what `decoder` throws
 */
export async function readAdapter(folder: string, base: AdapterBase): Promise<ReadAdapter> {
  const config = readAdapterConfig(await readConfig(folder), join(folder, configFile));
  const { r: rank, lora_alpha: alpha, qklab } = config;
  const { attention, training } = qklab;
  const { source, layout } = base;
  if (qklab.layout !== layout.name || qklab.fingerprint !== (await baseFingerprint(source))) {
    throw new DomainError(
      "adapter-base",
      `Cannot use the adapter ${folder} with ${base.name} as it changes the weights of the one model that it was made for: ` +
        `that is ${config.base_model_name_or_path}, of layout ${qklab.layout}. Pass that model, or another adapter`,
    );
  }
  const adapted = decoder({ ...layout.config, attention });
  const { parameters } = adapted;
  adapted.dispose();
  const file = await openSafetensors(join(folder, tensorFile));
  try {
    const shapes = [...file.entries.values()].map(({ name, shape }) => [nameOfStored(name), shape] as const);
    const changed = requireFittingAdapter(Object.fromEntries(shapes), rank, parameters, layout, folder);
    const read = async (name: string): Promise<Tensor> => {
      const { data, shape } = toFloat32(await file.read(storedName(name)));
      const tensor = { data, shape };
      requireFinite(`'${name}' of ${folder}`, tensor);
      return tensor;
    };
    const tensors: Record<string, Tensor> = {};
    for (const { name } of parameters) {
      if (layout.placeOf(name) === undefined) tensors[name] = await read(name);
    }
    const own = await readParameters(source, layout, changed, 0);
    for (const { name } of changed) {
      const names = factorNames(name);
      const factors = { a: await read(names.a), b: await read(names.b) };
      tensors[name] = mergedWeight(own[name], factors, alpha / rank);
    }
    return { attention, tensors, training };
  } finally {
    await file.close();
  }
}

/**
 * Loads a decoder with an adapter.
 *
 * @throws as `loadDecoder` and {@link readAdapter}
 */
export async function loadAdapted(
  folder: string,
  base: AdapterBase,
  options: Omit<LoadOptions, "attention" | "tensors"> = {},
): Promise<LoadedModel<Decoder>> {
  const { attention, tensors } = await readAdapter(folder, base);
  return loadDecoder(base.source, base.layout, { ...options, attention, tensors });
}

/**
 * A hash of an adapter's files: what it has learned, apart from what it learns later.
 *
 * @returns 64 hexadecimal digits
 */
export async function adapterHash(folder: string): Promise<string> {
  const hash = createHash("sha256");
  for (const name of [configFile, tensorFile]) {
    for await (const bytes of createReadStream(join(folder, name))) hash.update(bytes as Uint8Array);
  }
  return hash.digest("hex");
}

async function readConfig(folder: string): Promise<unknown> {
  const path = join(folder, configFile);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new MissingError(
      "adapter-missing",
      `Cannot read the adapter ${folder} as it must hold ${configFile}: ${(cause as Error).message}. ` +
        "Pass a folder that qklab distil made",
      { cause },
    );
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new DomainError(
      "adapter-invalid",
      `Cannot read ${path} as it must hold JSON: ${(cause as Error).message}. Pass a folder that qklab distil made`,
    );
  }
}
