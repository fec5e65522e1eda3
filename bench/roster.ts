/** @file Who takes part: every contestant with the program that it is, started when it is first wanted. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { type Command, type Contestant, startContestant } from "./contestant.ts";
import { installPeers, whyNotInstalled } from "./install-peers.ts";

/** Where programs and packages are. */
export interface Places {
  /** Of the repository. */
  readonly root: string;
  /** The bundled programs of bench/contestants. */
  readonly programs: string;
  /** bench/peers */
  readonly peers: string;
}

/** How a contestant comes to be. */
export interface Entry {
  /** As it is shown to readers. */
  readonly title: string;
  /** Whether it is a package of bench/peers. */
  readonly isPackage: boolean;
  /** @throws Error with the reason when it cannot be started here */
  readonly command: (places: Places, threads: number) => Command;
}

export type ContestantName =
  | "own"
  | "own-training"
  | "jax-training"
  | "jax"
  | "jax-composition"
  | "jax-recurrence"
  | "onnxruntime-node"
  | "onnxruntime-web"
  | "ruvector"
  | "tfjs"
  | "torch"
  | "torch-tokens"
  | "torch-chunks"
  | "own-language"
  | "own-language-one"
  | "own-distillation"
  | "onnxruntime-language"
  | "onnxruntime-language-one";

const program =
  (name: string, ...words: readonly string[]) =>
  ({ programs }: Places, threads: number): Command => ({
    file: process.execPath,
    arguments: [join(programs, `${name}.mjs`), String(threads), ...words],
  });

const packageProgram =
  (name: string, ...words: readonly string[]) =>
  (places: Places, threads: number): Command =>
    program(name, places.peers, ...words)(places, threads);

const torchProgram =
  (...words: readonly string[]) =>
  ({ peers }: Places, threads: number): Command => ({
    file: pythonWithTorch(),
    arguments: [join(peers, "torch-serve.py"), String(threads), ...words],
    environment: withoutBlasSettings(),
  });

const onOneThread =
  (command: Entry["command"]): Entry["command"] =>
  (places) =>
    command(places, 1);

/** All contestants. */
export const entries: Readonly<Record<ContestantName, Entry>> = {
  own: { title: "qklab", isPackage: false, command: program("own") },
  "own-training": { title: "qklab, training", isPackage: false, command: program("training", "own") },
  "jax-training": {
    title: "the same model all in jax-js",
    isPackage: false,
    command: program("training", "jax"),
  },
  jax: {
    title: "jax-js dotProductAttention",
    isPackage: false,
    command: program("jax", "dotProductAttention"),
  },
  "jax-composition": {
    title: "jax-js composition",
    isPackage: false,
    command: program("jax", "composition"),
  },
  "jax-recurrence": {
    title: "jax-js cumulative sum",
    isPackage: false,
    command: program("jax", "recurrence"),
  },
  "onnxruntime-node": {
    title: "onnxruntime-node",
    isPackage: true,
    command: packageProgram("onnxruntime", "onnxruntime-node"),
  },
  "onnxruntime-web": {
    title: "onnxruntime-web",
    isPackage: true,
    command: packageProgram("onnxruntime", "onnxruntime-web"),
  },
  ruvector: { title: "@ruvector/attention", isPackage: true, command: packageProgram("ruvector") },
  tfjs: { title: "tfjs-wasm", isPackage: true, command: packageProgram("tfjs") },
  torch: { title: "PyTorch eager", isPackage: false, command: torchProgram() },
  "torch-tokens": {
    title: "PyTorch eager, token by token",
    isPackage: false,
    command: torchProgram("tokens"),
  },
  "torch-chunks": { title: "PyTorch eager, in chunks", isPackage: false, command: torchProgram("chunks") },
  "own-language": { title: "qklab", isPackage: false, command: program("language") },
  "own-language-one": {
    title: "qklab, one thread",
    isPackage: false,
    command: onOneThread(program("language")),
  },
  "own-distillation": { title: "qklab", isPackage: false, command: program("distillation") },
  "onnxruntime-language": {
    title: "onnxruntime-node",
    isPackage: true,
    command: packageProgram("onnxruntime-language"),
  },
  "onnxruntime-language-one": {
    title: "onnxruntime-node, one thread",
    isPackage: true,
    command: onOneThread(packageProgram("onnxruntime-language")),
  },
};

/** @throws Error with the reason when the contestant cannot be started here */
export function commandOf(name: ContestantName, places: Places, threads: number): Command {
  return entries[name].command(places, threads);
}

/** Contestants that run, and the reasons of those that do not. */
export interface Roster {
  /** The contestant, or the reason why it does not take part. */
  readonly find: (name: ContestantName) => Promise<Contestant | { readonly reason: string }>;
  /** Those that were wanted and could not take part. */
  readonly absent: () => readonly { readonly name: ContestantName; readonly reason: string }[];
  /** Those that run. */
  readonly present: () => readonly { readonly name: ContestantName; readonly contestant: Contestant }[];
  readonly close: () => Promise<void>;
}

/** How a roster behaves. */
export interface RosterOptions {
  readonly places: Places;
  readonly threads: number;
  /** Whether packages may be installed; without, those that are not there are absent. */
  readonly install: boolean;
  readonly entries?: Readonly<Record<string, Entry>>;
}

/** Makes a roster; nothing runs yet. */
export function makeRoster({ places, threads, install, entries: known = entries }: RosterOptions): Roster {
  const found = new Map<ContestantName, Contestant | { readonly reason: string }>();
  let missingPackages: { readonly reason: string | undefined } | undefined;
  const start = async (name: ContestantName): Promise<Contestant | { readonly reason: string }> => {
    const { isPackage, command } = known[name];
    if (isPackage) {
      missingPackages ??= { reason: install ? installPeers(places.peers) : whyNotInstalled(places.peers) };
      if (missingPackages.reason !== undefined) return { reason: missingPackages.reason };
    }
    try {
      return await startContestant(command(places, threads));
    } catch (error) {
      return { reason: (error as Error).message };
    }
  };
  return {
    async find(name) {
      const known = found.get(name) ?? (await start(name));
      found.set(name, known);
      return known;
    },
    absent: () =>
      [...found].flatMap(([name, entry]) => ("reason" in entry ? [{ name, reason: entry.reason }] : [])),
    present: () =>
      [...found].flatMap(([name, entry]) => ("reason" in entry ? [] : [{ name, contestant: entry }])),
    async close() {
      await Promise.all([...found.values()].flatMap((entry) => ("close" in entry ? [entry.close()] : [])));
    },
  };
}

/** The system's Python first found that has PyTorch; the one on the path may be another. */
function pythonWithTorch(): string {
  const candidates = ["python3", "/usr/bin/python3"];
  const python = candidates.find((file) => spawnSync(file, ["-c", "import torch"]).status === 0);
  if (python !== undefined) return python;
  throw new Error("no python3 here has PyTorch (Debian: python3-torch and libopenblas0-pthread)");
}

/** The environment without what would make OpenBLAS take other kernels than those of this processor. */
function withoutBlasSettings(): NodeJS.ProcessEnv {
  const { OPENBLAS_CORETYPE: _core, OPENBLAS_L2_SIZE: _cache, ...rest } = process.env;
  return rest;
}
