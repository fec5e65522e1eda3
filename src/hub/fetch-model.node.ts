/** @file A model by its name on the hub: fetched where it is not in the cache, and found there where it is. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { MissingError } from "../base/errors.ts";
import { describeFile, downloadFile, type HubFile } from "./download-file.node.ts";
import {
  cachedCommit,
  cachedSnapshot,
  fileSize,
  type HubCache,
  hubCache,
  isCommit,
  showBlob,
  writeRef,
} from "./hub-cache.node.ts";
import { neededFiles, noWeights, shardIndex, shardsOf } from "./hub-files.ts";
import { type HubName, isPlainPath, parseHubName, printHubName } from "./hub-name.ts";
import { askHub, type HubConnection, networkFailure, requireStatus, withRetries } from "./hub-request.ts";
import { type Environment, hubSettings } from "./hub-settings.node.ts";

/** How far a file has come. */
export interface FetchProgress {
  readonly file: string;
  /** From 1 on, of `files`; both grow when an index names more. */
  readonly fileNumber: number;
  readonly files: number;
  readonly receivedBytes: number;
  readonly totalBytes: number;
  /** Whether another process fetches it, and this one waits. */
  readonly isWaiting: boolean;
}

/** How to fetch. */
export interface FetchModelOptions {
  /** Default: that of the process. */
  readonly environment?: Environment;
  /** Chooses files by their path, instead of config, tokenizer and safetensors. */
  readonly wanted?: (path: string) => boolean;
  readonly onProgress?: (progress: FetchProgress) => void;
  readonly signal?: AbortSignal;
  /** The longest silence of the hub; HF_HUB_DOWNLOAD_TIMEOUT in seconds, or 10 s. */
  readonly silenceMs?: number;
  /** Waits before another try; default: that long. */
  readonly pause?: (timeMs: number) => Promise<void>;
}

/** A model on the disk. */
export interface FetchedModel {
  /** Holds its files, as links into the cache. */
  readonly folder: string;
  readonly commit: string;
  readonly files: readonly string[];
  /** Why the cache was used without asking the hub, where the hub was to be asked but did not answer. */
  readonly unreachable?: string;
}

/**
 * Fetches a model of the hub, or finds it in the cache: only the files that are needed and not there.
 *
 * @param text - `hf:owner/name` or `hf:owner/name@revision`
 * @throws DomainError `hub-name` or `hub-endpoint`
 * @throws MissingError `hub-denied`, `hub-missing`, `hub-unreachable`, `hub-offline`, `hub-corrupt`, `hub-protocol`, `hub-index`,
 *   `hub-no-weights`, or `file-write`
 */
export async function fetchModel(text: string, options: FetchModelOptions = {}): Promise<FetchedModel> {
  const environment = options.environment ?? process.env;
  const name = parseHubName(text);
  const { endpoint, cacheFolder, token, isOffline } = await hubSettings(environment);
  const cache = hubCache(cacheFolder, name);
  const { signal } = options;
  const connection: HubConnection = {
    endpoint,
    ...(token === undefined ? {} : { token }),
    ...(signal === undefined ? {} : { signal }),
    silenceMs: options.silenceMs ?? 1000 * (Number(environment["HF_HUB_DOWNLOAD_TIMEOUT"]) || 10),
    pause: options.pause ?? ((timeMs) => wait(timeMs, undefined, signal === undefined ? {} : { signal })),
  };
  const subject = printHubName(name);
  if (isOffline) return offlineModel(cache, name, options);
  if (isCommit(name.revision) && options.wanted === undefined) {
    const { missing, ...found } = await cachedSnapshot(cache, subject, name.revision);
    if (missing.length === 0) return { ...found, commit: name.revision };
  }
  let listing: Listing;
  try {
    listing = await listModel(connection, name);
  } catch (error) {
    const isUnreachable = error instanceof MissingError && error.code === "hub-unreachable";
    const found = isUnreachable ? await usableSnapshot(cache, name, options) : undefined;
    if (found === undefined) throw error;
    return { ...found, unreachable: (error as MissingError).message };
  }
  return fetchListed(connection, name, cache, listing, options);
}

async function fetchListed(
  connection: HubConnection,
  name: HubName,
  cache: HubCache,
  { commit, paths }: Listing,
  options: FetchModelOptions,
): Promise<FetchedModel> {
  const subject = printHubName(name);
  const folder = join(cache.snapshots, commit);
  const needed = neededFiles(paths);
  const queue =
    options.wanted === undefined ? [...needed.small, ...needed.weights] : paths.filter(options.wanted);
  if (options.wanted === undefined && needed.weights.length === 0 && !needed.hasIndex)
    throw noWeights(subject, paths);
  const outside = queue.find((path) => !isPlainPath(path));
  if (outside !== undefined) {
    throw new MissingError(
      "hub-protocol",
      `Cannot fetch ${subject} as its files must lie below its folder: ${JSON.stringify(outside)}. Use another model`,
    );
  }
  for (let place = 0; place < queue.length; place++) {
    const path = queue[place];
    if ((await fileSize(join(folder, path))) === undefined) {
      const file = await describeFile(connection, name, commit, path);
      const report = (receivedBytes: number, isWaiting = false): void =>
        options.onProgress?.({
          file: path,
          fileNumber: place + 1,
          files: queue.length,
          receivedBytes,
          totalBytes: file.sizeBytes,
          isWaiting,
        });
      await downloadReporting(connection, name, cache, file, report);
      await showBlob(cache, commit, path, file.etag);
    }
    if (path === shardIndex && options.wanted === undefined) {
      const shards = shardsOf(subject, await readFile(join(folder, path), "utf8"));
      const absent = shards.find((shard) => !paths.includes(shard));
      if (absent !== undefined) {
        throw new MissingError(
          "hub-index",
          `Cannot fetch ${subject} as every file that ${shardIndex} names must be there: ${absent} is not. Use another revision`,
        );
      }
      queue.push(...shards);
    }
  }
  await writeRef(cache, name.revision, commit);
  return { folder, commit, files: [...queue].sort() };
}

/** How often a process that waits for another says so, and looks again. */
const waitMs = 200;

async function downloadReporting(
  connection: HubConnection,
  name: HubName,
  cache: HubCache,
  file: HubFile,
  report: (receivedBytes: number, isWaiting?: boolean) => void,
): Promise<void> {
  report(0);
  await downloadFile(connection, name, cache, file, {
    received: report,
    waiting: async () => {
      connection.signal?.throwIfAborted();
      report((await fileSize(`${join(cache.blobs, file.etag)}.incomplete`)) ?? 0, true);
      await wait(waitMs);
    },
  });
  report(file.sizeBytes);
}

interface Listing {
  readonly commit: string;
  readonly paths: readonly string[];
}

async function listModel(connection: HubConnection, name: HubName): Promise<Listing> {
  const subject = printHubName(name);
  const revision = encodeURIComponent(name.revision);
  const address = `${connection.endpoint}/api/models/${name.repository}/revision/${revision}`;
  return withRetries(connection, async () => {
    const { response, close } = await askHub(connection, subject, address, { method: "GET" });
    try {
      requireStatus(connection, name, subject, response, [200]);
      const body = await response.text().catch((cause: unknown) => {
        throw networkFailure(connection, subject, cause);
      });
      return readListing(subject, body);
    } finally {
      close();
    }
  });
}

function readListing(subject: string, body: string): Listing {
  const refuse = (seen: string): MissingError =>
    new MissingError(
      "hub-protocol",
      `Cannot fetch ${subject} as the hub must list its commit and its files: ${seen}. Look at HF_ENDPOINT`,
    );
  let listing: { sha?: unknown; siblings?: unknown } | null;
  try {
    listing = JSON.parse(body) as typeof listing;
  } catch (cause) {
    throw refuse((cause as Error).message);
  }
  const { sha, siblings } = listing ?? {};
  if (typeof sha !== "string" || !isCommit(sha)) throw refuse(`commit ${JSON.stringify(sha)}`);
  if (!Array.isArray(siblings)) throw refuse(`files ${JSON.stringify(siblings)}`);
  const paths = (siblings as readonly ({ rfilename?: unknown } | null)[]).map(
    (sibling) => sibling?.rfilename,
  );
  const stranger = paths.findIndex((path) => typeof path !== "string");
  if (stranger !== -1) throw refuse(`file ${stranger} without a name`);
  return { commit: sha, paths: paths as string[] };
}

/** What the cache has, where that is a whole model; a choice of one's own is taken as it is. */
async function usableSnapshot(
  cache: HubCache,
  name: HubName,
  { wanted }: FetchModelOptions,
): Promise<FetchedModel | undefined> {
  const commit = await cachedCommit(cache, name.revision);
  if (commit === undefined) return undefined;
  const { missing, folder, files } = await cachedSnapshot(cache, printHubName(name), commit);
  const isUsable = wanted === undefined ? missing.length === 0 : files.length > 0;
  return isUsable ? { folder, files, commit } : undefined;
}

async function offlineModel(
  cache: HubCache,
  name: HubName,
  options: FetchModelOptions,
): Promise<FetchedModel> {
  const found = await usableSnapshot(cache, name, options);
  if (found !== undefined) return found;
  const commit = await cachedCommit(cache, name.revision);
  const { missing } =
    commit === undefined
      ? { missing: ["every file"] }
      : await cachedSnapshot(cache, printHubName(name), commit);
  throw new MissingError(
    "hub-offline",
    `Cannot read ${printHubName(name)} from the cache as it must be whole there while HF_HUB_OFFLINE is set: ` +
      `${missing.join(", ")} missing in ${cache.snapshots}. Unset HF_HUB_OFFLINE once`,
  );
}
