/** @file Ctrl-C: the first asks for a checkpoint and the end, the second ends at once. SIGTERM counts as Ctrl-C. */
import { exitCodes } from "./exit-codes.ts";

/** Signals to the work, while it is listened for. */
export interface Interruption {
  /** Aborted by the first Ctrl-C. */
  readonly stop: AbortSignal;
  /** Aborted by the second, right before the process ends. */
  readonly kill: AbortSignal;
  /** Stops listening: Ctrl-C ends the process again. */
  close(): void;
}

const signals = ["SIGINT", "SIGTERM"] as const;

/**
 * Listens for interruptions.
 *
 * @param onFirst - tells the person that it was heard
 */
export function listenForInterruption(onFirst: () => void): Interruption {
  const stop = new AbortController();
  const kill = new AbortController();
  const interrupt = (): void => {
    if (stop.signal.aborted) {
      kill.abort();
      process.exit(exitCodes.interrupted);
    }
    stop.abort();
    onFirst();
  };
  for (const signal of signals) process.on(signal, interrupt);
  return {
    stop: stop.signal,
    kill: kill.signal,
    close() {
      for (const signal of signals) process.off(signal, interrupt);
    },
  };
}
