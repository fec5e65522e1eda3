/**
 * @file Builds dist with tsdown when it was not made from the sources as they are now, and otherwise does nothing;
 * `--force` builds always. dist/.sources holds a hash of what the build read: content, as a checkout changes all times.
 */
import { createHash } from "node:crypto";
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const stamp = join(root, "dist", ".sources");

function sourcesHash() {
  const sources = readdirSync(join(root, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".test.ts"))
    .map((entry) => join(entry.parentPath, entry.name));
  const hash = createHash("sha256");
  for (const name of ["package.json", "tsconfig.json", "tsdown.config.ts"]) sources.push(join(root, name));
  for (const file of sources.sort()) {
    hash
      .update(`${file.slice(root.length)}\0`)
      .update(readFileSync(file))
      .update("\0");
  }
  return hash.digest("hex");
}

const wanted = sourcesHash();
const built = existsSync(stamp) ? readFileSync(stamp, "utf8") : undefined;
if (built !== wanted || process.argv.includes("--force")) {
  process.stderr.write(
    `qklab: ${built === undefined ? "dist is absent" : "the sources changed"}; building\n`,
  );
  try {
    // A build that fails half-way must not look like one that was made.
    rmSync(stamp, { force: true });
    const { build } = await import("tsdown");
    await build({ cwd: root, logLevel: "warn" });
    chmodSync(join(root, "dist", "cli.js"), 0o755);
    writeFileSync(stamp, wanted);
  } catch (error) {
    process.stderr.write(
      `qklab: Cannot build dist as every source must compile: ${error.message}. Run \`npm run types\` for the places\n`,
    );
    process.exitCode = 1;
  }
}
