import { execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import { writeFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { partFactories, recurrences } from "../../src/index.ts";
import { cli, cliJson, startCli, temporaryFolder, useBuiltCli } from "./run-cli.ts";

useBuiltCli();
const folder = temporaryFolder();

test("doctor finds what is needed, and every device agrees with the reference", async () => {
  const document = await cliJson<{
    ok: boolean;
    checks: { name: string; state: string; isNeeded: boolean }[];
  }>(["doctor"]);
  const states = Object.fromEntries(document.checks.map(({ name, state }) => [name, state]));
  expect(states).toMatchObject({ node: "ok", simd: "ok", jax: "ok", reference: "ok", jaxAttention: "ok" });
  // The data packages are optional dependencies: where one is absent doctor says so, and no more.
  const lacking = document.checks
    .filter(({ state, isNeeded }) => isNeeded && state !== "ok")
    .map(({ name }) => name);
  expect(lacking.filter((name) => name !== "gutenberg" && name !== "wordnet")).toEqual([]);
  expect(document.ok).toBe(lacking.length === 0);
  // Text of trained models needs these; the models themselves are optional, and never lacking.
  expect(states).toMatchObject({ tokenizers: "ok", jinja: "ok" });
  expect(Object.keys(states)).toEqual(expect.arrayContaining(["minimind", "minilm"]));
  expect(lacking).not.toContain("minimind");
});

describe("completion", () => {
  test("of bash parses and completes commands, options, selectors and their lists", async () => {
    const { stdout } = await cli(["completion", "bash"]);
    const script = join(folder, "completion.bash");
    await writeFile(script, stdout);
    execFileSync("bash", ["-n", script]);
    const complete = (...words: readonly string[]): string[] => {
      const ask = `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _qklab; printf '%s\\n' "\${COMPREPLY[@]}"`;
      return execFileSync("bash", ["-c", ask, script, ...words], { encoding: "utf8" })
        .trim()
        .split("\n");
    };
    expect(complete("qklab", "co")).toEqual(["compare", "completion"]);
    expect(complete("qklab", "compare", "--res")).toEqual(["--resume"]);
    expect(complete("qklab", "list", "s")).toEqual(["similarities", "selections"]);
    expect(complete("qklab", "compare", "--similarity", "dot,cos")).toEqual(["dot,cosine"]);
    const names = [...partFactories.similarity, ...recurrences].map(({ definition }) => definition.selector);
    expect(complete("qklab", "attend", "--spec", "")).toEqual(names);
    for (const command of ["train", "compare"]) {
      expect(complete("qklab", command, "--similarity", "gated")).toEqual(["gated-deltanet"]);
    }
    expect(complete("qklab", "compare", "--preset", "q")).toEqual(["quick"]);
    expect(complete("qklab", "train", "--task", "induc")).toEqual(["induction"]);
    expect(complete("qklab", "inspect", "swi")).toEqual(["switch"]);
    expect(complete("qklab", "inspect", "retn")).toEqual(["retnet"]);
    expect(complete("qklab", "inspect", "package.j")).toEqual(["package.json"]);
    expect(complete("qklab", "generate", "--model", "minim")).toEqual(["minimind"]);
    expect(complete("qklab", "emit", "--spec", "g")).toEqual(["gla", "gated-deltanet"]);
  });

  test.each(["zsh", "fish"])(
    "of %s names every command, and parses where that shell is installed",
    async (shell) => {
      const { stdout } = await cli(["completion", shell]);
      for (const command of ["compare", "train", "generate", "attend", "emit", "list", "inspect", "doctor"])
        expect(stdout).toContain(command);
      const script = join(folder, `completion.${shell}`);
      await writeFile(script, stdout);
      const checked = await new Promise<number | null>((resolve) => {
        const child = spawn(shell, ["-n", script], { stdio: "ignore" });
        child.on("error", () => resolve(0));
        child.on("close", resolve);
      });
      expect(checked).toBe(0);
    },
  );
});

test("a reader that stops early is no error", async () => {
  const { process: child, ended } = startCli(["list"]);
  child.stdout?.destroy();
  const { code, stderr } = await ended;
  expect(stderr).not.toMatch(/Error|EPIPE/);
  expect(code).toBe(0);
});
