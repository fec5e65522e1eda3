/**
 * @file The lock of a run folder: a file that names the process that runs it. A lock whose process is gone, or whose number
 * a later process got, is taken over, so a killed run can be resumed.
 */
import { readFileSync } from "node:fs";
import { open, readFile, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as wait } from "node:timers/promises";
import { MissingError } from "../base/errors.ts";

interface Holder {
  readonly pid: number;
  readonly host: string;
  /** When the process started, where the system tells: a number that tells apart processes with the same id. */
  readonly started?: string;
}

/**
 * Takes the lock.
 *
 * @param path - of the lock file
 * @returns gives it back
 * @throws MissingError `run-locked` when a living process holds it, `file-write` when the disk refuses
 */
export async function takeLock(path: string): Promise<() => Promise<void>> {
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
    const holder = await readHolder(path);
    if (holder === "unknown yet") {
      await wait(pauseMs);
      continue;
    }
    if (holder !== undefined && isAlive(holder)) {
      throw new MissingError(
        "run-locked",
        `Cannot run in the folder of ${path} as one process at a time may: process ${holder.pid} on ${holder.host} does. ` +
          "Wait for it, or delete the lock if that process is no run",
      );
    }
    await rm(path, { force: true });
  }
}

const pauseMs = 50;
/** A lock without its holder is being written, or is left by a process that was killed while it wrote. */
const longestWriteMs = 2000;

async function readHolder(path: string): Promise<Holder | "unknown yet" | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as Holder;
  } catch {
    const ageMs = await stat(path).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => Infinity,
    );
    return ageMs < longestWriteMs ? "unknown yet" : undefined;
  }
}

/** A process of another machine cannot be seen, so it counts as alive. */
function isAlive({ pid, host, started }: Holder): boolean {
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
  return started === holderOf(pid).started;
}

function holderOf(pid: number): Holder {
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
