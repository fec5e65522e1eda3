/**
 * @file One run in a process of its own, so that its peak memory is its own and its crash nobody else's. The process
 * trains in its run folder (`src/train/run-process.node.ts`) and tells how it goes.
 */
import { fork } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { MissingError } from "../base/errors.ts";
import { type RunProgress } from "../train/loop.ts";
import { type RunIdentity, type RunSummary } from "../train/run-storage.ts";

/** How a run's process ended. */
export type ChildEnd =
  | { readonly kind: "done"; readonly summary: RunSummary }
  /** After a checkpoint, as it was asked to. */
  | { readonly kind: "stopped" }
  | { readonly kind: "failed"; readonly code: string; readonly message: string };

/** A run in progress. */
export interface RunHandle {
  readonly ended: Promise<ChildEnd>;
  /** Asks for a checkpoint and the end. */
  readonly stop: () => void;
  /** Ends it now. */
  readonly kill: () => void;
}

/** Starts a run in a folder, or goes on with the one that lies there. */
export type StartRun = (
  run: RunIdentity,
  folder: string,
  onProgress: (progress: RunProgress) => void,
) => RunHandle;

/** What a run's process sends; the last message is one of the other three. */
type ChildMessage = ({ readonly kind: "progress" } & RunProgress) | ChildEnd;

/** How much of what a dying process wrote is kept for its error. */
const KEPT_STDERR = 2000;

/**
 * Starts runs as processes of a script that speaks as `src/train/run-process.node.ts` does.
 *
 * @param script - the built script; by default the one beside this program
 * @returns a function that forks one process for each run
 * @throws MissingError `run-process` when the default script was not built
 */
export function forkRuns(script: string = runProcessScript()): StartRun {
  return ({ task, selector, seed, learningRate, settings, device }, folder, onProgress) => {
    // A group of its own: a terminal sends Ctrl-C to a whole group, and a run must end after its checkpoint.
    const child = fork(script, [], { detached: true, stdio: ["ignore", "ignore", "pipe", "ipc"] });
    let lastWords = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      lastWords = (lastWords + text).slice(-KEPT_STDERR);
    });
    const ended = new Promise<ChildEnd>((resolve) => {
      let end: ChildEnd | undefined;
      child.on("message", (message: ChildMessage) => {
        if (message.kind === "progress") onProgress(message);
        else end = message;
      });
      child.on("error", ({ message }) =>
        resolve({
          kind: "failed",
          code: "run-process",
          message: `Cannot run as its process must start: ${message}. Free memory or run fewer at a time`,
        }),
      );
      child.on("close", (exitCode, signal) => resolve(end ?? crash(exitCode, signal, lastWords)));
    });
    child.send(
      { kind: "start", task, selector, seed, learningRate, settings, device, folder, resume: true },
      () => undefined,
    );
    return {
      ended,
      stop: () => {
        if (child.connected) child.send({ kind: "stop" }, () => undefined);
      },
      kill: () => {
        child.kill("SIGKILL");
      },
    };
  };
}

function crash(exitCode: number | null, signal: NodeJS.Signals | null, lastWords: string): ChildEnd {
  const cause = signal === null ? `it ended with code ${exitCode}` : `it was ended by ${signal}`;
  const lastLine = lastWords
    .trim()
    .split("\n")
    .findLast((line) => /error|fatal|cannot/i.test(line));
  const hint =
    signal === "SIGKILL" || signal === "SIGABRT"
      ? "If memory ran out, run fewer at a time; then resume the comparison"
      : "Resume the comparison to try again";
  return {
    kind: "failed",
    code: "run-crashed",
    message: `Cannot finish the run as its process must report a result: ${cause}${
      lastLine === undefined ? "" : ` after "${lastLine.trim()}"`
    }. ${hint}`,
  };
}

/** Beside the bundle where this is built, else in the build of the sources that this is one of. */
function runProcessScript(): string {
  const places = ["./run-process.js", "../../dist/run-process.js"].map((place) =>
    fileURLToPath(new URL(place, import.meta.url)),
  );
  const found = places.find((place) => existsSync(place));
  if (found !== undefined) return found;
  throw new MissingError(
    "run-process",
    `Cannot start runs as their program must be built: ${places[1]} is missing. Run \`npm run build\``,
  );
}
