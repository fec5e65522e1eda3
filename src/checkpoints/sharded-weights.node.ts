/**
 * @file Weights in several safetensors files, which `model.safetensors.index.json` names: `weight_map` says for every tensor in
 * which file of the same folder it lies. All files must be there and hold what the map says before anything is read.
 */
import { dirname, join } from "node:path";
import { DomainError, MissingError } from "../base/errors.ts";
import { withRanges } from "./file-ranges.node.ts";
import { quoted } from "./header-json.ts";
import { openSafetensorsWeights } from "./safetensors-weights.node.ts";
import { findWeight } from "./weight-names.ts";
import type { WeightDescription, WeightSource } from "./weight-source.ts";

/** The longest index that is read; the largest known ones are below 10 MB. */
const longestIndexBytes = 2 ** 26;
/** Every shard is a file that stays open. */
const mostShards = 1000;
const mostNamedShards = 5;

/**
 * Opens the shards of an index.
 *
 * @param path - the index
 * @throws MissingError `file-read` where the index is missing, `shard-missing` naming the shards that are
 * @throws DomainError `index-form` for an index that is no such JSON or names a file outside its folder, `index-tensor` where a
 * shard lacks a tensor
 * @throws DomainError, ShapeError with a code of `safetensors-…` for a shard that is malformed or half a file
 */
export async function openShardedWeights(path: string): Promise<WeightSource> {
  const shardOf = readWeightMap(await readIndex(path), path);
  const shards = await openShards(path, [...new Set(shardOf.values())]);
  const close = async (): Promise<void> => {
    await Promise.all([...shards.values()].map((shard) => shard.close()));
  };
  try {
    const tensors = new Map<string, WeightDescription>();
    const holders = new Map<string, WeightSource>();
    for (const [name, file] of shardOf) {
      const shard = shards.get(file) as WeightSource;
      tensors.set(name, requireTensor(shard, name, path));
      holders.set(name, shard);
    }
    return {
      source: path,
      tensors,
      read: async (name) => findWeight(holders, name, path).read(name),
      readQuantised: async (name) => findWeight(holders, name, path).readQuantised(name),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function readIndex(path: string): Promise<string> {
  return withRanges(path, "safetensors", async (ranges) => {
    if (ranges.sizeBytes > longestIndexBytes) {
      throw formError(
        path,
        `an index must be at most ${longestIndexBytes} bytes`,
        `${ranges.sizeBytes} bytes`,
      );
    }
    const bytes = await ranges.read(0, ranges.sizeBytes);
    await ranges.close();
    return new TextDecoder().decode(bytes);
  });
}

function readWeightMap(text: string, path: string): Map<string, string> {
  const index = parseJson(text, path);
  const weightMap = isObject(index) ? index["weight_map"] : undefined;
  if (!isObject(weightMap)) {
    const seen = isObject(index) ? "no such object" : "JSON that is no object";
    throw formError(path, "it must have an object weight_map of tensor and file names", seen);
  }
  const shardOf = new Map<string, string>();
  for (const [name, file] of Object.entries(weightMap)) {
    // One path segment, so that nothing outside the folder is opened.
    if (typeof file !== "string" || !/^[^/\\\0:]+\.safetensors$/.test(file)) {
      const rule = "every tensor must lie in a .safetensors file of the same folder";
      throw formError(path, rule, `${quoted(name)} in ${quoted(JSON.stringify(file))}`);
    }
    shardOf.set(name, file);
  }
  return shardOf;
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw formError(path, "it must be JSON", (error as Error).message.split("\n")[0]);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

async function openShards(path: string, files: readonly string[]): Promise<Map<string, WeightSource>> {
  if (files.length > mostShards) {
    throw formError(path, `it must name at most ${mostShards} files`, `${files.length} files`);
  }
  const opened = await Promise.allSettled(
    files.map((file) => openSafetensorsWeights(join(dirname(path), file))),
  );
  const failures = opened
    .filter((result) => result.status === "rejected")
    .map(({ reason }) => reason as unknown);
  if (failures.length === 0) {
    return new Map(
      files.map((file, place) => [file, (opened[place] as PromiseFulfilledResult<WeightSource>).value]),
    );
  }
  for (const result of opened) if (result.status === "fulfilled") await result.value.close();
  const missing = files.filter((_, place) => isAbsent(opened[place]));
  throw missing.length === 0 ? failures[0] : missingError(path, missing, files.length, failures);
}

function isAbsent(result: PromiseSettledResult<WeightSource>): boolean {
  const cause = result.status === "rejected" ? (result.reason as Error).cause : undefined;
  return (cause as NodeJS.ErrnoException | undefined)?.code === "ENOENT";
}

function missingError(
  path: string,
  missing: readonly string[],
  count: number,
  failures: readonly unknown[],
): MissingError {
  const named = missing.slice(0, mostNamedShards).map(quoted).join(", ");
  return new MissingError(
    "shard-missing",
    `Cannot read the weights of ${path} as all of its ${count} files must lie beside it: ` +
      `${missing.length} missing, ${named}${missing.length > mostNamedShards ? ", …" : ""}. Fetch them into ${dirname(path)}`,
    { cause: failures[0] },
  );
}

function requireTensor(shard: WeightSource, name: string, path: string): WeightDescription {
  const description = shard.tensors.get(name);
  if (description !== undefined) return description;
  throw new DomainError(
    "index-tensor",
    `Cannot read the weights of ${path} as each file must hold what the index says: ${shard.source} without ${quoted(name)}. ` +
      "Fetch the index and its files again, from one place",
  );
}

function formError(path: string, rule: string, seen: string): DomainError {
  return new DomainError(
    "index-form",
    `Cannot read the index ${path} as ${rule}: ${seen}. Fetch it again, or pass a .safetensors file itself`,
  );
}
