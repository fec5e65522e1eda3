/**
 * @file A lock between processes: a file that names the process that holds it. A lock whose process is gone, or whose number
 * a later process got, is taken over, so that a killed process locks nobody out.
 */
import { readFileSync } from "node:fs";
import { link, open, readFile, rename, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as wait } from "node:timers/promises";
import { MissingError } from "../base/errors.ts";

/** Who holds a lock. */
export interface LockHolder {
  readonly pid: number;
  readonly host: string;
  /** When the process started, where the system tells: a number that tells apart processes with the same id. */
  readonly started?: string;
}

/**
 * Takes a lock.
 *
 * @param path - of the lock file; its folder must exist
 * @param whenHeld - called while a living process holds it: throws to give up, or returns to try again
 * @returns gives it back
 * @throws MissingError `file-write` when the disk refuses
 */
export async function takeProcessLock(
  path: string,
  whenHeld: (holder: LockHolder) => Promise<void> | void,
): Promise<() => Promise<void>> {
  const self = holderOf(process.pid);
  for (;;) {
    try {
      const handle = await open(path, "wx");
      await handle.writeFile(`${JSON.stringify(self)}\n`);
      await handle.close();
      return () => rm(path, { force: true });
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      if (code !== "EEXIST") {
        throw new MissingError(
          "file-write",
          `Cannot write ${path} as the file system must allow it: ${message}. Choose a folder that can be written`,
          { cause },
        );
      }
    }
    const found = await readHolder(path);
    if (found === "unknown yet") await wait(pauseMs);
    else if (found.holder !== undefined && isAlive(found.holder)) await whenHeld(found.holder);
    else await removeStale(path, found.text);
  }
}

const pauseMs = 50;
/** A lock without its holder is being written, or is left by a process that was killed while it wrote. */
const longestWriteMs = 2000;

interface Found {
  readonly text: string | undefined;
  readonly holder?: LockHolder;
}

async function readHolder(path: string): Promise<Found | "unknown yet"> {
  const text = await readFile(path, "utf8").catch(() => undefined);
  try {
    const holder = JSON.parse(text ?? "") as LockHolder | null;
    if (holder !== null) return { text, holder };
  } catch {
    // Half-written, or given back in this moment: its age decides.
  }
  const ageMs = await stat(path).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => 0,
  );
  return ageMs < longestWriteMs ? "unknown yet" : { text };
}

let staleLocks = 0;

/** Another process may have taken the lock over in between: what is moved aside is looked at, and put back if it is another. */
async function removeStale(path: string, seen: string | undefined): Promise<void> {
  const aside = `${path}.${process.pid}-${staleLocks++}.stale`;
  try {
    await rename(path, aside);
    if (seen !== undefined && (await readFile(aside, "utf8")) !== seen) await link(aside, path);
  } catch {
    // Somebody else was faster.
  }
  await rm(aside, { force: true });
}

/** A process of another machine cannot be seen, so it counts as alive. */
function isAlive({ pid, host, started }: LockHolder): boolean {
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  return started === holderOf(pid).started;
}

function holderOf(pid: number): LockHolder {
  const started = startOf(pid);
  return { pid, host: hostname(), ...(started === undefined ? {} : { started }) };
}

/** Linux: the 22nd field of stat, counted after the name, which may hold spaces. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}
