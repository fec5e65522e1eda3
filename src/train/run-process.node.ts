/**
 * @file The program of a run's process: it does the one run that its parent asks for by a message (see `serve-run.node.ts`)
 * and ends. It stops after a checkpoint when it is told to, on Ctrl-C, and when its parent is gone.
 */
import { type RunCommand, type RunMessage, serveRun, type StartMessage } from "./serve-run.node.ts";

const stop = new AbortController();
let isStarted = false;

const say = (message: RunMessage): void => {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
};

const end = (): void => {
  if (isStarted) stop.abort();
  else process.exit(0);
};

async function run(request: StartMessage): Promise<void> {
  const ending = await serveRun(request, say, stop.signal);
  process.exitCode = ending.kind === "failed" ? 1 : 0;
  if (!process.connected) process.exit();
  process.send?.(ending, undefined, undefined, () => process.exit());
}

process.on("message", (command: RunCommand) => {
  if (command.kind === "stop") {
    end();
    return;
  }
  isStarted = true;
  void run(command);
});
process.once("disconnect", end);
process.once("SIGINT", end);
process.once("SIGTERM", end);
