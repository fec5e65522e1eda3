/**
 * @file `npm run browser`: the library in Chromium, from its sources and as it is built. Chromium is the one of the machine:
 * QKLAB_CHROMIUM says which, or it is looked for on the path.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const names = ["chromium", "chromium-browser", "google-chrome", "chrome"];

function findChromium() {
  const { QKLAB_CHROMIUM: given, PATH = "" } = process.env;
  if (given !== undefined) return existsSync(given) ? given : undefined;
  return names
    .flatMap((name) => PATH.split(delimiter).map((folder) => join(folder, name)))
    .find((path) => existsSync(path));
}

const chromium = findChromium();
if (chromium === undefined) {
  const seen = process.env.QKLAB_CHROMIUM ?? `none of ${names.join(", ")} is on the path`;
  process.stderr.write(
    `qklab: Cannot test in a browser as Chromium must be installed: ${seen}. ` +
      "Run `apt-get install chromium`, or let QKLAB_CHROMIUM name the program\n",
  );
  process.exitCode = 3;
} else {
  const vitest = fileURLToPath(new URL("../node_modules/vitest/vitest.mjs", import.meta.url));
  const { status } = spawnSync(
    process.execPath,
    [vitest, "run", "--config", "vitest.browser.config.ts", ...process.argv.slice(2)],
    {
      cwd: fileURLToPath(new URL("..", import.meta.url)),
      env: { ...process.env, QKLAB_CHROMIUM: chromium },
      stdio: "inherit",
    },
  );
  process.exitCode = status ?? 1;
}
