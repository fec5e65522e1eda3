/**
 * @file One file of the hub, onto the disk: what a broken download left is gone on with, what came is checked against the length and
 * the hash that the hub gave, and only then it takes its name.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { MissingError } from "../base/errors.ts";
import { takeProcessLock } from "../checkpoints/process-lock.node.ts";
import { fileSize, type HubCache, isCommit } from "./hub-cache.node.ts";
import type { HubName } from "./hub-name.ts";
import {
  askHub,
  type HubConnection,
  networkFailure,
  requireStatus,
  TransientFailure,
  withRetries,
} from "./hub-request.ts";

/** What the hub says of a file. */
export interface HubFile {
  readonly address: string;
  /** For messages. */
  readonly subject: string;
  /** The name of its blob: the SHA-256 of a large file, git's SHA-1 of a small one. */
  readonly etag: string;
  readonly sizeBytes: number;
}

/** The address of a file. */
export function fileAddress(
  { endpoint }: HubConnection,
  { repository }: HubName,
  commit: string,
  path: string,
): string {
  const encoded = path.split("/").map(encodeURIComponent).join("/");
  return `${endpoint}/${repository}/resolve/${encodeURIComponent(commit)}/${encoded}`;
}

/**
 * Asks what a file is.
 *
 * @throws MissingError `hub-protocol` for an answer without a usable etag, length or commit, and those of {@link requireStatus}
 */
export async function describeFile(
  connection: HubConnection,
  name: HubName,
  commit: string,
  path: string,
): Promise<HubFile> {
  const address = fileAddress(connection, name, commit, path);
  const subject = `${path} of hf:${name.repository}`;
  return withRetries(connection, async () => {
    const { response, close } = await askHub(connection, subject, address, { method: "HEAD" });
    close();
    const { headers } = response;
    requireStatus(connection, name, subject, response, [200, 301, 302, 303, 307, 308]);
    const etag = (headers.get("x-linked-etag") ?? headers.get("etag") ?? "")
      .replace(/^W\//, "")
      .replaceAll('"', "");
    const sizeText = headers.get("x-linked-size") ?? headers.get("content-length") ?? "";
    const found = headers.get("x-repo-commit");
    const refuse = (rule: string, seen: string): MissingError =>
      new MissingError(
        "hub-protocol",
        `Cannot fetch ${subject} as the hub must give ${rule}: ${seen}. Look at HF_ENDPOINT`,
      );
    if (!/^[\w-][\w.-]{0,199}$/.test(etag))
      throw refuse("an etag that can name a file", JSON.stringify(etag));
    if (!/^\d{1,15}$/.test(sizeText)) throw refuse("the file's length", JSON.stringify(sizeText));
    if (found !== null && found !== commit) throw refuse(`the file of commit ${commit}`, `commit ${found}`);
    return { address, subject, etag, sizeBytes: Number(sizeText) };
  });
}

/** How a file arrives. */
export interface DownloadEvents {
  /** Called as bytes arrive, with how many of the file are there. */
  readonly received: (receivedBytes: number) => void;
  /** Called while another process fetches the same file. */
  readonly waiting: () => Promise<void>;
}

/**
 * Fetches a file into the cache's blobs, unless it is there. One process fetches a file at a time; the others wait for it.
 *
 * @throws MissingError `hub-corrupt` where the bytes are not those that the hub named, `hub-protocol`, `file-write`, and those of
 *   {@link requireStatus}
 */
export async function downloadFile(
  connection: HubConnection,
  name: HubName,
  cache: HubCache,
  file: HubFile,
  events: DownloadEvents,
): Promise<void> {
  const blob = join(cache.blobs, file.etag);
  if ((await fileSize(blob)) === file.sizeBytes) return;
  await mkdir(cache.blobs, { recursive: true });
  await mkdir(cache.locks, { recursive: true });
  const giveBack = await takeProcessLock(join(cache.locks, `${file.etag}.qklab.lock`), events.waiting);
  try {
    if ((await fileSize(blob)) === file.sizeBytes) return;
    const incomplete = `${blob}.incomplete`;
    let received = 0;
    let wasCorrupt = false;
    await withRetries(
      connection,
      async () => {
        const start = (await fileSize(incomplete)) ?? 0;
        if (start !== file.sizeBytes || start === 0) {
          await appendRest(connection, name, file, incomplete, (bytes) => {
            received += bytes.fresh;
            events.received(bytes.total);
          });
        }
        const seen = await hashOf(incomplete, file);
        if (seen === file.etag) return;
        await rm(incomplete, { force: true });
        const corrupt = new MissingError(
          "hub-corrupt",
          `Cannot keep ${file.subject} as its hash must be the hub's ${file.etag}: ${seen}. Fetch it again, or look at HF_ENDPOINT`,
        );
        // Bytes of an earlier try, or of another program, may be at fault once.
        if (wasCorrupt || start === 0) throw corrupt;
        wasCorrupt = true;
        throw new TransientFailure(corrupt, 0);
      },
      () => received,
    );
    await rename(incomplete, blob);
  } finally {
    await giveBack();
  }
}

/** Appends what is missing, from the place where the file ends. */
async function appendRest(
  connection: HubConnection,
  name: HubName,
  file: HubFile,
  incomplete: string,
  received: (bytes: { readonly fresh: number; readonly total: number }) => void,
): Promise<void> {
  const { subject, sizeBytes } = file;
  const there = (await fileSize(incomplete)) ?? 0;
  const start = there < sizeBytes ? there : 0;
  const { response, heard, close } = await askHub(connection, subject, file.address, {
    method: "GET",
    headers: start > 0 ? { range: `bytes=${start}-` } : {},
  });
  try {
    if (response.status === 416) {
      await rm(incomplete, { force: true });
      throw new TransientFailure(protocolError(subject, `bytes from ${start} on`, "status 416"));
    }
    requireStatus(connection, name, subject, response, start > 0 ? [200, 206] : [200]);
    const isRest = response.status === 206;
    const range = response.headers.get("content-range") ?? "";
    if (isRest && range !== `bytes ${start}-${sizeBytes - 1}/${sizeBytes}`) {
      await rm(incomplete, { force: true });
      throw new TransientFailure(
        protocolError(subject, `bytes ${start}-${sizeBytes - 1}`, JSON.stringify(range)),
      );
    }
    const handle = await open(incomplete, isRest ? "a" : "w");
    try {
      let total = isRest ? start : 0;
      for await (const chunk of response.body ?? emptyBody) {
        heard();
        total += chunk.length;
        if (total > sizeBytes) throw protocolError(subject, `${sizeBytes} bytes`, "more");
        await handle.writeFile(chunk);
        received({ fresh: chunk.length, total });
      }
      if (total < sizeBytes) throw new Error(`the connection ended after ${total} of ${sizeBytes} bytes`);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (typeof code === "string" && /^(ENOSPC|EDQUOT|EFBIG|EIO|EACCES|EPERM|EROFS)$/.test(code)) {
      throw new MissingError(
        "file-write",
        `Cannot write ${incomplete} as the file system must allow it: ${(cause as Error).message}. ` +
          "Free some space, or set HF_HOME to another disk; what is there is kept",
        { cause },
      );
    }
    throw networkFailure(connection, subject, cause);
  } finally {
    close();
  }
}

const emptyBody: readonly Uint8Array[] = [];

/** The hash that the etag is of: SHA-256, or the SHA-1 of git's blob. An etag of another kind says nothing of the bytes. */
async function hashOf(path: string, { etag, sizeBytes }: HubFile): Promise<string> {
  const isSha256 = /^[\da-f]{64}$/.test(etag);
  if (!isSha256 && !isCommit(etag)) return etag;
  const hash = createHash(isSha256 ? "sha256" : "sha1");
  if (!isSha256) hash.update(`blob ${sizeBytes}\0`);
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

function protocolError(subject: string, rule: string, seen: string): MissingError {
  return new MissingError(
    "hub-protocol",
    `Cannot fetch ${subject} as the hub must send ${rule}: ${seen}. Try again, or look at HF_ENDPOINT`,
  );
}
