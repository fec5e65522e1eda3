/**
 * @file Installs the packages of bench/peers by their own lockfile when they are wanted and not there. Install scripts do
 * not run: onnxruntime-node's would fetch what its CPU build does not need.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Why the packages of a folder are not those of its lockfile, or nothing. */
export function whyNotInstalled(folder: string): string | undefined {
  const wanted = packagesOf(join(folder, "package-lock.json"));
  const present = packagesOf(join(folder, "node_modules", ".package-lock.json"));
  if (wanted === undefined) return "bench/peers/package-lock.json is not there";
  const missing = Object.entries(wanted).find(
    ([place, { version, optional }]) =>
      place !== "" && optional !== true && present?.[place]?.version !== version,
  );
  if (missing === undefined) return undefined;
  return `${missing[0].replace("node_modules/", "")} ${missing[1].version} of bench/peers is not installed`;
}

/** Installs, and says why it did not work, or nothing. */
export function installPeers(folder: string): string | undefined {
  if (whyNotInstalled(folder) === undefined) return undefined;
  process.stderr.write("bench: installing bench/peers\n");
  const { status, error } = spawnSync(
    "npm",
    ["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
    // npm's report goes to stderr: stdout belongs to the results.
    { cwd: folder, shell: process.platform === "win32", stdio: ["ignore", 2, 2] },
  );
  if (status === 0) return whyNotInstalled(folder);
  return `bench/peers could not be installed: ${error?.message ?? `npm install ended with code ${status}`}`;
}

type Packages = Readonly<Record<string, { readonly version: string; readonly optional?: boolean }>>;

function packagesOf(file: string): Packages | undefined {
  if (!existsSync(file)) return undefined;
  return (JSON.parse(readFileSync(file, "utf8")) as { readonly packages?: Packages }).packages;
}
