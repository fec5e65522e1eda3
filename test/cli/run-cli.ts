/** @file Runs the built command line as a person or a script would: arguments in, exit code, stdout and stderr out. */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const program = join(root, "dist", "cli.js");

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly cwd?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** What stdin gives; nothing when absent. */
  readonly stdin?: string;
}

/** A command line in progress. */
export interface RunningCli {
  readonly process: ChildProcess;
  readonly ended: Promise<CliResult>;
  /** Resolves when stderr holds the text. */
  seen(text: string): Promise<void>;
}

/** A locale and a terminal like those of a build machine, whatever the tests run in. */
const plainEnvironment = { PATH: process.env["PATH"] ?? "", HOME: tmpdir(), LANG: "C", NO_COLOR: "1" };

/** Starts `qklab` with these arguments. */
export function startCli(
  arguments_: readonly string[],
  { cwd = root, environment = {}, stdin }: CliOptions = {},
): RunningCli {
  const child = spawn(process.execPath, [program, ...arguments_], {
    cwd,
    env: { ...plainEnvironment, ...environment },
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdin.end(stdin);
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const ended = new Promise<CliResult>((resolve) => {
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
  const seen = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (stderr.includes(text)) resolve();
      };
      child.stderr.on("data", look);
      child.on("close", () => reject(new Error(`ended without "${text}" on stderr: ${stderr}`)));
      look();
    });
  return { process: child, ended, seen };
}

/** Runs `qklab` to its end. */
export function cli(arguments_: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return startCli(arguments_, options).ended;
}

/** Runs `qklab` and returns the JSON document on its stdout; what else is there would not parse. */
export async function cliJson<Document>(
  arguments_: readonly string[],
  options: CliOptions = {},
): Promise<Document> {
  const { stdout, stderr } = await cli([...arguments_, "--json"], options);
  try {
    return JSON.parse(stdout) as Document;
  } catch {
    throw new Error(`no JSON document on stdout: ${stdout.slice(0, 200)}\n${stderr}`);
  }
}

/** A folder for the tests of a file, removed after them. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "qklab-cli-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Builds the command line before the tests of a file, unless it is built from these sources. */
export function useBuiltCli(): void {
  beforeAll(build, 120_000);
}

const pauseMs = 200;
const longestBuildMs = 100_000;

/** Test files run in processes beside each other: the first one builds, the others wait for it. */
function build(): void {
  const lock = join(tmpdir(), "qklab-cli-build.lock");
  for (;;) {
    try {
      mkdirSync(lock);
      break;
    } catch {
      if (isStale(lock)) rmSync(lock, { recursive: true, force: true });
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pauseMs);
    }
  }
  try {
    execFileSync(process.execPath, [join(root, "scripts", "ensure-built.mjs")], { stdio: "pipe" });
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

function isStale(lock: string): boolean {
  try {
    return Date.now() - statSync(lock).mtimeMs > longestBuildMs;
  } catch {
    return false;
  }
}
