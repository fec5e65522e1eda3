/** @file Which files of a model are needed: its config, its tokenizer, and its weights as safetensors, once. */
import { MissingError } from "../base/errors.ts";
import { isPlainPath } from "./hub-name.ts";

/** The index of weights that are spread over several files. */
export const shardIndex = "model.safetensors.index.json";

const small =
  /^(config|generation_config|special_tokens_map|adapter_config)\.json$|^tokenizer[\w.-]*\.json$|^chat_template\.(jinja|json)$/;

/** What is to be fetched: the weights come last, so that a folder with weights has the rest too. */
export interface NeededFiles {
  readonly small: readonly string[];
  /** Empty where `index` says which files they are. */
  readonly weights: readonly string[];
  /** Whether the weights are those that {@link shardIndex} names. */
  readonly hasIndex: boolean;
}

/**
 * Chooses among the files of a model, all of which lie at its root: of weights that are there in several forms, one.
 *
 * @param paths - all files of the repository
 */
export function neededFiles(paths: readonly string[]): NeededFiles {
  const root = new Set(paths.filter((path) => !path.includes("/")));
  const chosen = [...root].filter((path) => small.test(path)).sort();
  if (root.has(shardIndex)) return { small: [...chosen, shardIndex], weights: [], hasIndex: true };
  const weights = ["model.safetensors", "adapter_model.safetensors"].find((path) => root.has(path));
  const all = [...root].filter((path) => path.endsWith(".safetensors")).sort();
  return { small: chosen, weights: weights === undefined ? all : [weights], hasIndex: false };
}

/**
 * The files that an index names.
 *
 * @param subject - for messages
 * @param index - the text of {@link shardIndex}
 * @throws MissingError `hub-index` where it is no index, or names files outside the folder
 */
export function shardsOf(subject: string, index: string): string[] {
  const refuse = (seen: string, cause?: unknown): MissingError =>
    new MissingError(
      "hub-index",
      `Cannot read ${shardIndex} of ${subject} as its weight_map must name a safetensors file for each tensor: ${seen}. ` +
        "Use another revision, or tell the model's owner",
      cause === undefined ? {} : { cause },
    );
  let parsed: unknown;
  try {
    parsed = JSON.parse(index);
  } catch (cause) {
    throw refuse((cause as Error).message, cause);
  }
  const map: unknown = (parsed as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== "object" || map === null) throw refuse(`weight_map is ${typeof map}`);
  const shards = [...new Set(Object.values(map as Record<string, unknown>))];
  const stranger = shards.find(
    (shard) =>
      typeof shard !== "string" ||
      !isPlainPath(shard) ||
      shard.includes("/") ||
      !shard.endsWith(".safetensors"),
  );
  if (stranger !== undefined || shards.length === 0) throw refuse(JSON.stringify(stranger ?? "no file"));
  return (shards as string[]).sort();
}

/** The error of a model without weights that can be read. */
export function noWeights(subject: string, paths: readonly string[]): MissingError {
  const others = paths.filter((path) => /\.(bin|pt|pth|gguf|onnx|h5|msgpack)$/.test(path)).slice(0, 3);
  return new MissingError(
    "hub-no-weights",
    `Cannot fetch ${subject} as its weights must be there as safetensors: ` +
      `${others.length === 0 ? "no such file" : others.join(", ")}. Use a model that has them`,
  );
}
