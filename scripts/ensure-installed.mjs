/**
 * @file Runs `npm ci` when node_modules is not what package-lock.json says, and otherwise does nothing. npm keeps its
 * own record of what it installed, so the two are compared package by package: a fresh checkout gives every file a new
 * time, and times alone would reinstall for nothing. An absent optional package counts only when the lockfile is
 * newer: where its download failed once, a start without network still works.
 */
import { spawnSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const lockfile = `${root}package-lock.json`;
const record = `${root}node_modules/.package-lock.json`;

function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8")).packages;
  } catch {
    return undefined;
  }
}

/** Why node_modules needs an install, or nothing. */
function staleness() {
  const wanted = packagesOf(lockfile);
  if (wanted === undefined) return "package-lock.json is unreadable";
  const installed = packagesOf(record);
  if (installed === undefined) return "nothing is installed";
  const chosen = new Set(
    Object.keys(wanted[""].optionalDependencies ?? {}).map((name) => `node_modules/${name}`),
  );
  const lockIsNewer = statSync(lockfile).mtimeMs > statSync(record).mtimeMs;
  for (const [place, { version, optional }] of Object.entries(wanted)) {
    if (place === "" || installed[place]?.version === version) continue;
    const absent = installed[place] === undefined;
    if (absent && optional && !(chosen.has(place) && lockIsNewer)) continue;
    return `${place.slice("node_modules/".length)} ${version} is not installed`;
  }
  return undefined;
}

const reason = staleness();
if (reason !== undefined) {
  process.stderr.write(`qklab: ${reason}; running npm ci\n`);
  const npm = process.env.npm_execpath?.endsWith("npm-cli.js")
    ? { command: process.execPath, first: [process.env.npm_execpath], shell: false }
    : { command: "npm", first: [], shell: process.platform === "win32" };
  const { status, error } = spawnSync(
    npm.command,
    [...npm.first, "ci", "--no-audit", "--no-fund", "--loglevel=error"],
    // npm's report goes to stderr: stdout belongs to the command that follows.
    { cwd: root, shell: npm.shell, stdio: ["ignore", 2, 2] },
  );
  if (status !== 0) {
    const cause = error === undefined ? `npm ci ended with code ${status}` : error.message;
    process.stderr.write(
      `qklab: Cannot start as the packages of package-lock.json must be installed: ${cause}. ` +
        "Run `npm ci` by hand and mend what it reports\n",
    );
    process.exitCode = status ?? 1;
  }
}
