/** @file The commit that was measured. */
import { spawnSync } from "node:child_process";

/** The commit of a git checkout, with a plus sign where files differ from it; nothing elsewhere. */
export function commitOf(root: string): string | undefined {
  const git = (...words: readonly string[]): string | undefined => {
    const { status, stdout } = spawnSync("git", words, { cwd: root, encoding: "utf8" });
    return status === 0 ? stdout.trim() : undefined;
  };
  const commit = git("rev-parse", "--short", "HEAD");
  if (commit === undefined) return undefined;
  return git("status", "--porcelain", "--untracked-files=no", "--", "src", "bench") === ""
    ? commit
    : `${commit}+`;
}
