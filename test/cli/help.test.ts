import { describe, expect, test } from "vitest";
import { cli, useBuiltCli } from "./run-cli.ts";

useBuiltCli();

const commands = [
  "compare",
  "train",
  "generate",
  "serve",
  "swap",
  "distil",
  "attend",
  "emit",
  "list",
  "inspect",
  "doctor",
  "completion",
];
/** Commands of later issues: they must not be promised. */
const laterCommands = ["bench", "claims", "sweep", "export"];
const chinese = /[\u4e00-\u9fff]/;

describe("help", () => {
  test("names every command that is there, and no other", async () => {
    const { code, stdout, stderr } = await cli(["--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const command of commands) expect(stdout).toMatch(new RegExp(`^  ${command} `, "m"));
    for (const command of laterCommands) expect(stdout).not.toMatch(new RegExp(`^  ${command} `, "m"));
  });

  test.each(commands)("%s --help has every option in both languages", async (command) => {
    const [english, translated] = await Promise.all([
      cli([command, "--help"]),
      cli([command, "--help"], { environment: { LC_ALL: "zh_CN.UTF-8" } }),
    ]);
    const flags = (help: string): string[] =>
      [...help.matchAll(/^ {2,}(?:-\w, )?(--[\w-]+)/gm)].map(([, flag]) => flag ?? "");
    expect(flags(english.stdout).length).toBeGreaterThan(3);
    expect(flags(translated.stdout)).toEqual(flags(english.stdout));
    expect(english.stdout).not.toMatch(chinese);
    for (const line of translated.stdout.split("\n").filter((text) => /^ {2,}-/.test(text)))
      expect(line).toMatch(chinese);
    for (const line of english.stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
  });

  test("without a command goes to stderr, as it is no data", async () => {
    const { code, stdout, stderr } = await cli([]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain("Commands:");
  });
});

describe("wrong usage", () => {
  test.each([
    [["compar"], "Did you mean 'compare'?"],
    [["sweep"], "no such command: 'sweep'"],
    [["train", "--sed", "1"], "Did you mean '--seed'?"],
    [["inspect"], "needs WHAT"],
    [["list", "similarity"], "Did you mean 'similarities'?"],
    [["list", "tasks", "presets"], "takes 1 argument(s): 2"],
    [["list", "--json", "--format", "md"], "exclude each other"],
    [["list", "--lang", "de"], "one of en, zh"],
  ])("%j ends in exit code 2 and says what is nearest", async (arguments_, words) => {
    const { code, stdout, stderr } = await cli(arguments_);
    expect(stderr).toMatch(/^Error: Cannot [^\n]+\n$/);
    expect(stderr).toContain(words);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  });

  test("is told in Chinese where that is the language", async () => {
    const { stderr } = await cli(["--lang", "zh", "compar"]);
    expect(stderr).toBe(
      "错误：无法运行 'compar'，因为 qklab 没有这个命令：'compar'。您是不是想用 'compare'？\n",
    );
  });
});

test("-q leaves nothing on stderr, and the version is one line", async () => {
  const [quiet, version] = await Promise.all([cli(["list", "patterns", "-q"]), cli(["--version"])]);
  expect({ code: quiet.code, stderr: quiet.stderr }).toEqual({ code: 0, stderr: "" });
  expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\S*\n$/);
});
