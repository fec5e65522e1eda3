/**
 * @file The cache on disk, in the layout of huggingface_hub, so that both find what either has fetched:
 * `models--owner--name/` with `blobs/‹etag›`, `snapshots/‹commit›/‹path›` (links to blobs) and `refs/‹revision›` (a commit).
 */
import { copyFile, mkdir, readdir, readFile, rename, rm, stat, symlink } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { writeFileAtomically } from "../checkpoints/write-atomically.node.ts";
import { neededFiles, shardIndex, shardsOf } from "./hub-files.ts";
import type { HubName } from "./hub-name.ts";

/** The folders of one model. */
export interface HubCache {
  readonly blobs: string;
  readonly refs: string;
  readonly snapshots: string;
  /** Of our own locks; huggingface_hub's lie in the same folder. */
  readonly locks: string;
}

/** Where the cache keeps a model. */
export function hubCache(cacheFolder: string, { repository }: HubName): HubCache {
  const folder = `models--${repository.replaceAll("/", "--")}`;
  const model = join(cacheFolder, folder);
  return {
    blobs: join(model, "blobs"),
    refs: join(model, "refs"),
    snapshots: join(model, "snapshots"),
    locks: join(cacheFolder, ".locks", folder),
  };
}

/** Whether a revision is a commit, which never changes. */
export const isCommit = (revision: string): boolean => /^[\da-f]{40}$/.test(revision);

/** The commit that a revision was when it was last asked for. */
export async function cachedCommit(cache: HubCache, revision: string): Promise<string | undefined> {
  if (isCommit(revision)) return revision;
  const commit = await readFile(join(cache.refs, revision), "utf8").catch(() => "");
  return isCommit(commit.trim()) ? commit.trim() : undefined;
}

/** Keeps what commit a revision is. */
export async function writeRef(cache: HubCache, revision: string, commit: string): Promise<void> {
  if (isCommit(revision) || (await cachedCommit(cache, revision)) === commit) return;
  const path = join(cache.refs, revision);
  await mkdir(dirname(path), { recursive: true });
  await writeFileAtomically(path, commit);
}

/** The size of a file; nothing where there is none, or only a link that leads nowhere. */
export async function fileSize(path: string): Promise<number | undefined> {
  return stat(path).then(
    (found) => (found.isFile() ? found.size : undefined),
    () => undefined,
  );
}

/** What the cache has of a commit. */
export interface CachedSnapshot {
  readonly folder: string;
  readonly files: readonly string[];
  /** What it lacks, where it does. */
  readonly missing: readonly string[];
}

/**
 * Looks whether a model can be used without the hub: it has weights, and every shard that its index names.
 *
 * @throws MissingError `hub-index`
 */
export async function cachedSnapshot(
  cache: HubCache,
  subject: string,
  commit: string,
): Promise<CachedSnapshot> {
  const folder = join(cache.snapshots, commit);
  const names = await readdir(folder).catch((): string[] => []);
  const sizes = await Promise.all(names.map((name) => fileSize(join(folder, name))));
  const files = names.filter((_, place) => sizes[place] !== undefined).sort();
  const needed = neededFiles(files);
  const weights = needed.hasIndex
    ? shardsOf(subject, await readFile(join(folder, shardIndex), "utf8"))
    : needed.weights;
  const missing = weights.filter((path) => !files.includes(path));
  return { folder, files, missing: weights.length === 0 ? ["its weights"] : missing };
}

let links = 0;

/** Makes a path of a snapshot show a blob: by a link, or by a copy where the system has no links. */
export async function showBlob(cache: HubCache, commit: string, path: string, etag: string): Promise<void> {
  const blob = join(cache.blobs, etag);
  const shown = join(cache.snapshots, commit, path);
  await mkdir(dirname(shown), { recursive: true });
  const temporary = `${shown}.qklab-${process.pid}-${links++}.tmp`;
  try {
    await symlink(relative(dirname(shown), blob), temporary).catch(() => copyFile(blob, temporary));
    await rename(temporary, shown);
  } finally {
    await rm(temporary, { force: true });
  }
}
