/** @file A contestant as the benchmark sees it: a child process that answers requests, or the reason why there is none. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface, type Interface } from "node:readline";
import { type Readable } from "node:stream";
import {
  type Answer,
  type Description,
  type PrepareAnswer,
  type PrepareRequest,
  type Request,
  type RunAnswer,
} from "./protocol.ts";

/** How a contestant is started. */
export interface Command {
  readonly file: string;
  readonly arguments: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
}

/** A running contestant. Every method rejects with the reason when the process fails or is silent for too long. */
export interface Contestant {
  readonly description: Description;
  readonly prepare: (request: PrepareRequest) => Promise<PrepareAnswer>;
  readonly run: (slot: number) => Promise<RunAnswer>;
  readonly release: (slot: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

/** One answer may take this long: the longest run of the benchmark takes well under a minute on two cores. */
const patienceMs = 600_000;

/**
 * Starts a contestant and asks who it is.
 *
 * @throws Error with what the process said, when it does not answer
 */
export async function startContestant(
  { file, arguments: words, environment = process.env }: Command,
  { patience = patienceMs }: { readonly patience?: number } = {},
): Promise<Contestant> {
  const child = spawn(file, words, { env: environment, stdio: ["pipe", "pipe", "pipe", "pipe"] });
  const channel = new Channel(child, patience);
  const description = await channel.ask<Description>({ do: "describe" });
  return {
    description,
    prepare: (request) => channel.ask({ do: "prepare", ...request }),
    run: (slot) => channel.ask({ do: "run", slot }),
    release: async (slot) => {
      await channel.ask({ do: "release", slot });
    },
    close: () => channel.close(),
  };
}

/** What a process said last, for the reason of its end. */
const keptCharacters = 2000;

class Channel {
  readonly #child: ChildProcess;
  readonly #answers: Interface;
  readonly #patience: number;
  readonly #ended: Promise<never>;
  #said = "";

  constructor(child: ChildProcess, patience: number) {
    this.#child = child;
    this.#patience = patience;
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding("utf8");
      stream.on("data", (text: string) => {
        this.#said = (this.#said + text).slice(-keptCharacters);
      });
    }
    // A process that has ended cannot be written to; its end is reported by `exit`.
    child.stdin!.on("error", () => {});
    this.#ended = new Promise<never>((_, reject) => {
      child.on("error", ({ message }) => reject(new Error(message)));
      child.on("close", (code, signal) => reject(new Error(this.#reason(code, signal))));
    });
    this.#ended.catch(() => {});
    this.#answers = createInterface({ input: child.stdio[3] as Readable });
  }

  async ask<T>(request: Request): Promise<T> {
    this.#child.stdin!.write(`${JSON.stringify(request)}\n`);
    const answer = JSON.parse(await this.#nextLine()) as Answer<T>;
    if ("error" in answer) throw new Error(withoutFolders(answer.error));
    return answer.result;
  }

  async #nextLine(): Promise<string> {
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        this.#child.kill("SIGKILL");
        reject(new Error(`it was silent for ${this.#patience / 1000} s`));
      }, this.#patience);
    });
    const line = new Promise<string>((resolve) => this.#answers.once("line", resolve));
    try {
      return await Promise.race([line, this.#ended, silence]);
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    const over = this.#ended.catch(() => {});
    this.#child.stdin!.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 5000);
    await over;
    clearTimeout(timer);
  }

  #reason(code: number | null, signal: NodeJS.Signals | null): string {
    const lines = this.#said
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "");
    const error = lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1);
    const words = error === undefined ? "" : `: ${withoutFolders(error)}`;
    return `its process ended (${signal ?? `code ${code}`})${words}`;
  }
}

/** A message as one line. Folders of the machine on which a library was built, or runs, tell a reader nothing. */
function withoutFolders(message: string): string {
  return message
    .replaceAll(/(?:\/[\w.@-]+)+\/(?=[\w.@-])/g, "")
    .replaceAll(/\s+/g, " ")
    .trim();
}
