/** @file `npm start` and `npm test` install and build exactly when they must. npm and tsdown are replaced by recorders. */
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { root } from "./docs/blocks.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "qklab-scripts-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(path: string, content: unknown): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), typeof content === "string" ? content : JSON.stringify(content));
}

/** Runs a script of the repository as if the folder were the repository. */
function run(
  script: string,
  ...flags: readonly string[]
): { status: number | null; stderr: string; stdout: string } {
  mkdirSync(join(folder, "scripts"), { recursive: true });
  copyFileSync(join(root, "scripts", script), join(folder, "scripts", script));
  return spawnSync(process.execPath, [join(folder, "scripts", script), ...flags], {
    encoding: "utf8",
    env: { ...process.env, npm_execpath: join(folder, "npm-cli.js") },
  });
}

describe("ensure-installed", () => {
  const lock = {
    packages: {
      "": { optionalDependencies: { words: "1.0.0" } },
      "node_modules/needed": { version: "1.0.0" },
      "node_modules/words": { version: "1.0.0", optional: true },
      "node_modules/other-platform": { version: "1.0.0", optional: true, os: ["plan9"] },
    },
  };
  const { "node_modules/needed": needed, "node_modules/words": words } = lock.packages;
  const installed = { packages: { "node_modules/needed": needed, "node_modules/words": words } };
  const withoutWords = { packages: { "node_modules/needed": needed } };

  beforeEach(() => {
    write("npm-cli.js", 'require("fs").writeFileSync(__dirname + "/ran", process.argv.slice(2).join(" "));');
    write("package-lock.json", lock);
  });

  const ran = (): string | undefined =>
    existsSync(join(folder, "ran")) ? readFileSync(join(folder, "ran"), "utf8") : undefined;
  const setLockTime = (secondsLater: number): void => {
    const time = Date.now() / 1000 + secondsLater;
    utimesSync(join(folder, "package-lock.json"), time, time);
  };

  test("a bare clone is installed, with one line that says so and nothing on stdout", () => {
    const { status, stderr, stdout } = run("ensure-installed.mjs");
    expect(ran()).toMatch(/^ci /);
    expect({ status, stderr, stdout }).toEqual({
      status: 0,
      stderr: "qklab: nothing is installed; running npm ci\n",
      stdout: "",
    });
  });

  test("what is installed is left alone in silence, though a checkout made the lockfile newer", () => {
    write("node_modules/.package-lock.json", installed);
    setLockTime(60);
    expect(run("ensure-installed.mjs")).toMatchObject({ status: 0, stderr: "", stdout: "" });
    expect(ran()).toBeUndefined();
  });

  test("another version of a package is installed, however old the lockfile is", () => {
    write("node_modules/.package-lock.json", {
      packages: { ...installed.packages, "node_modules/needed": { version: "0.9.0" } },
    });
    setLockTime(-60);
    expect(run("ensure-installed.mjs").stderr).toContain("needed 1.0.0 is not installed");
    expect(ran()).toBeDefined();
  });

  test("an optional package that could not be had is asked for again only when the lockfile is newer", () => {
    write("node_modules/.package-lock.json", withoutWords);
    setLockTime(-60);
    run("ensure-installed.mjs");
    expect(ran()).toBeUndefined();
    setLockTime(60);
    run("ensure-installed.mjs");
    expect(ran()).toBeDefined();
  });

  test("a failing npm ci ends with its code and the next step", () => {
    write("npm-cli.js", "process.exit(7);");
    const { status, stderr } = run("ensure-installed.mjs");
    expect(status).toBe(7);
    expect(stderr).toContain("npm ci ended with code 7. Run `npm ci` by hand");
  });
});

describe("ensure-built", () => {
  beforeEach(() => {
    write("node_modules/tsdown/package.json", { name: "tsdown", type: "module", exports: "./index.js" });
    write(
      "node_modules/tsdown/index.js",
      `import { appendFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
       export async function build({ cwd }) {
         if (existsSync(cwd + "/src/broken.ts")) throw new Error("src/broken.ts does not parse");
         mkdirSync(cwd + "/dist", { recursive: true });
         writeFileSync(cwd + "/dist/cli.js", "");
         appendFileSync(cwd + "/built", ".");
       }`,
    );
    for (const name of ["package.json", "tsconfig.json", "tsdown.config.ts"]) write(name, "{}");
    write("src/base/one.ts", "export const one = 1;");
  });

  const builds = (): number =>
    existsSync(join(folder, "built")) ? readFileSync(join(folder, "built")).length : 0;

  test("dist is built once, and again when a source changes, appears or goes", () => {
    run("ensure-built.mjs");
    run("ensure-built.mjs");
    expect(builds()).toBe(1);
    write("src/base/one.ts", "export const one = 2;");
    run("ensure-built.mjs");
    write("src/two.ts", "export const two = 2;");
    run("ensure-built.mjs");
    rmSync(join(folder, "src/two.ts"));
    run("ensure-built.mjs");
    run("ensure-built.mjs");
    expect(builds()).toBe(4);
  });

  test("a changed test is no reason to build, --force is", () => {
    run("ensure-built.mjs");
    write("src/base/one.test.ts", "");
    run("ensure-built.mjs");
    expect(builds()).toBe(1);
    run("ensure-built.mjs", "--force");
    expect(builds()).toBe(2);
  });

  test("a source that does not compile ends with code 1, and is tried again next time", () => {
    write("src/broken.ts", "");
    const { status, stderr } = run("ensure-built.mjs");
    expect(status).toBe(1);
    expect(stderr).toContain("Cannot build dist as every source must compile: src/broken.ts does not parse");
    rmSync(join(folder, "src/broken.ts"));
    expect(run("ensure-built.mjs").status).toBe(0);
    expect(builds()).toBe(1);
  });
});

describe("browser", () => {
  test("without Chromium it says how to get it and ends with code 3", () => {
    mkdirSync(join(folder, "scripts"), { recursive: true });
    copyFileSync(join(root, "scripts/browser.mjs"), join(folder, "scripts/browser.mjs"));
    const cases = [
      {
        env: { PATH: folder },
        seen: "none of chromium, chromium-browser, google-chrome, chrome is on the path",
      },
      { env: { QKLAB_CHROMIUM: join(folder, "absent") }, seen: join(folder, "absent") },
    ];
    for (const { env, seen } of cases) {
      const { status, stderr } = spawnSync(process.execPath, [join(folder, "scripts/browser.mjs")], {
        encoding: "utf8",
        env,
      });
      expect({ status, stderr }).toEqual({
        status: 3,
        stderr:
          `qklab: Cannot test in a browser as Chromium must be installed: ${seen}. ` +
          "Run `apt-get install chromium`, or let QKLAB_CHROMIUM name the program\n",
      });
    }
  });
});
