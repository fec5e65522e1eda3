/** @file The lock of a run folder: one process at a time runs in it, and a killed run can be resumed. */
import { MissingError } from "../base/errors.ts";
import { takeProcessLock } from "../checkpoints/process-lock.node.ts";

/**
 * Takes the lock.
 *
 * @param path - of the lock file
 * @returns gives it back
 * @throws MissingError `run-locked` when a living process holds it, `file-write` when the disk refuses
 */
export function takeLock(path: string): Promise<() => Promise<void>> {
  return takeProcessLock(path, ({ pid, host }) => {
    throw new MissingError(
      "run-locked",
      `Cannot run in the folder of ${path} as one process at a time may: process ${pid} on ${host} does. ` +
        "Wait for it, or delete the lock if that process is no run",
    );
  });
}
