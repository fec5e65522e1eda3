/** @file The benchmark says what it measured and who was not there. Nothing here is timed; contestants are stand-ins. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as v from "valibot";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { attention } from "../bench/attention/index.ts";
import { type Context } from "../bench/attention/context.ts";
import { exponentGoal, exponentOf, memoryGoal, timeGoal } from "../bench/attention/goal.ts";
import { runHeat } from "../bench/attention/heat.ts";
import { attentionProblem, inputsOf } from "../bench/attention/problems.ts";
import { type AttentionReport } from "../bench/attention/report.ts";
import { benchmarks } from "../bench/benchmarks.ts";
import { type Contestant, startContestant } from "../bench/contestant.ts";
import { performancePage } from "../bench/document/page.ts";
import { drawCurves } from "../bench/document/plot.ts";
import { documentOf, resultsIn } from "../bench/document/write.ts";
import { whyNotInstalled } from "../bench/install-peers.ts";
import { readOptions, UsageError } from "../bench/options.ts";
import { type AttentionProblem, type PrepareRequest } from "../bench/protocol.ts";
import { type ContestantName, makeRoster, type Places } from "../bench/roster.ts";
import { interleaved, quantile, timesOf } from "../bench/rounds.ts";
import { errorOfRecurrence } from "../bench/recurrence/correctness.ts";
import { crossingOf } from "../bench/recurrence/parts.ts";
import { coreInputsOf, coreOf, recurrenceInputs, recurrenceProblem } from "../bench/recurrence/problems.ts";
import { compose, parseSelector, referenceForward } from "../src/index.ts";
import { coreForward } from "../src/recurrence/index.ts";
import { root } from "./docs/blocks.ts";

/** Building the programs of the benchmark is part of running it. */
const buildLimitMs = 120_000;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "qklab-bench-test-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the words of the command line", () => {
  test("a benchmark alone runs ours, in seven rounds on two threads", () => {
    expect(readOptions(["attention"], ["attention"])).toEqual({
      benchmark: "attention",
      preset: "own",
      json: false,
      rounds: 7,
      threads: 2,
      only: undefined,
      peers: undefined,
      write: false,
      redraw: false,
    });
  });

  test("parts are a list", () => {
    expect(readOptions(["attention", "--only", "limit, torch"], ["attention"]).only).toEqual([
      "limit",
      "torch",
    ]);
  });

  test.each([
    [[], /one name is needed: none was given.*attention/],
    [["attentoin"], /there is no benchmark 'attentoin': there are attention\. Did you mean 'attention'\?/],
    [["attention", "--preset", "all"], /there is no preset 'all': there are peers, own, quick/],
    [["attention", "--rounds", "0"], /--rounds must be a whole number ≥ 1: 0/],
    [["attention", "--threads", "two"], /--threads must be a whole number ≥ 1: two/],
    [["attention", "--fast"], /options must be known/],
    [["attention", "--write"], /--preset own\. Use --preset peers/],
    [["attention", "--preset", "peers", "--write", "--only", "limit"], /--only limit\. Leave --only out/],
  ])("%j is refused", (words, message) => {
    expect(() => readOptions(words, ["attention"])).toThrow(UsageError);
    expect(() => readOptions(words, ["attention"])).toThrow(message);
  });

  test("every benchmark is found under its own name", () => {
    expect([...benchmarks].map(([name, benchmark]) => [name, benchmark.name])).toEqual([
      ["attention", "attention"],
      ["language", "language"],
      ["recurrence", "recurrence"],
      ["sparse", "sparse"],
    ]);
  });

  test("a part that is not there is refused with those that are", async () => {
    const options = readOptions(["attention", "--only", "limits"], ["attention"]);
    await expect(attention.run(options, places(), () => {})).rejects.toThrow(
      /there is no part 'limits': there are limit, onnxruntime, .*Did you mean 'limit'/,
    );
  });
});

describe("rounds", () => {
  test("everybody runs once in every round, and one that fails takes no further part", async () => {
    const order: string[] = [];
    const entrant = (name: string, end = Infinity) => ({
      name,
      timeMs: () => {
        order.push(name);
        const runs = order.filter((other) => other === name).length;
        return runs > end ? Promise.reject(new Error("broken")) : Promise.resolve(100 * runs);
      },
    });
    const failures: string[] = [];
    const times = await interleaved([entrant("a"), entrant("b", 2), entrant("c")], {
      rounds: 3,
      warmUp: false,
      failed: (name, { message }) => failures.push(`${name}: ${message}`),
    });
    expect(order.join("")).toBe("abcabcabcac");
    expect(failures).toEqual(["b: broken"]);
    expect([...times.keys()]).toEqual(["a", "c"]);
    expect(times.get("a")).toEqual({ medianMs: 300, quartilesMs: [250, 350] });
  });

  test("quantiles lie between the nearest two numbers", () => {
    expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
    expect(quantile([5], 0.25)).toBe(5);
  });
});

describe("goals", () => {
  const title = { against: "somebody", case: "dot", goal: 2 };

  test("a ratio is their median over ours", () => {
    const goal = timeGoal(title, timesOf([1, 2, 9]), timesOf([4, 4, 4]), true);
    expect(goal).toMatchObject({ ours_ms: 2, peer_ms: 4, ratio: 2, goal: 2, reached: true });
    expect(timeGoal(title, timesOf([2.1]), timesOf([4]), true).reached).toBe(false);
  });

  test("no goal is reached or missed at sizes that are too small", () => {
    expect(timeGoal(title, timesOf([1]), timesOf([4]), false).reached).toBeNull();
    expect(memoryGoal(title, 1, 4, false).reached).toBeNull();
    expect(exponentGoal(title, 2, 0.1, false).reached).toBeNull();
  });

  test("the exponent of a power is that power", () => {
    const points = [10, 20, 40].map((length) => ({ length, timeMs: 3 * length ** 1.5 }));
    expect(exponentOf(points)).toBeCloseTo(1.5, 10);
    expect(exponentGoal(title, 2.11, 0.1, true).reached).toBe(false);
    expect(exponentGoal(title, 1.91, 0.1, true).reached).toBe(true);
  });
});

describe("recurrences", () => {
  test("a crossing lies between the two lengths where it happens", () => {
    expect(crossingOf([64, 256], [1, -1])).toBe(128);
    expect(crossingOf([64, 128, 256, 512], [-1, 1, 1, -3])).toBe(304);
    expect(crossingOf([64, 128], [-1, -2])).toBe(64);
    expect(crossingOf([64, 128], [-1, 2])).toBe(Infinity);
  });

  test.each(["linear", "gla", "deltanet"] as const)("inputs of %s are those of its core", (terms) => {
    const problem = recurrenceProblem(terms, 5, { width: 8 });
    const { inputs, dOut } = coreInputsOf(problem, recurrenceInputs(problem));
    const { out } = coreForward(coreOf(problem), inputs);
    expect(dOut!.shape).toEqual(out.shape);
    const arrays = recurrenceInputs(problem);
    const results = { out: Float32Array.from(out.data), ...arrays };
    expect(errorOfRecurrence({ ...problem, direction: "forward" }, results)).toBeLessThan(1e-6);
    expect(errorOfRecurrence(problem, results)).toBe(Infinity);
  });
});

describe("a heat", () => {
  const problem = attentionProblem("dot+causal", { heads: 1, length: 8, width: 4 });

  test("times who is right, reports who is wrong, absent or broken, and beats none of them", async () => {
    const right = standIn();
    const context = contextOf({
      own: right,
      torch: standIn({ change: (out) => out.map((value) => 1.0001 * value) }),
      tfjs: standIn({ change: (out) => out.map((value) => 1.1 * value) }),
      jax: standIn({ failure: "out of memory" }),
      ruvector: { reason: "it is not installed" },
    });
    const names = ["own", "torch", "tfjs", "jax", "ruvector"] as const;
    const { times } = await runHeat(
      context,
      names.map((contestant) => ({ key: contestant, contestant, problem })),
    );
    expect([...times.keys()]).toEqual(["own", "torch"]);
    expect(context.findings.wrong).toMatchObject([{ peer: "tfjs" }]);
    expect(context.findings.wrong[0].error).toBeCloseTo(0.1, 3);
    expect(context.findings.absent).toEqual([
      { peer: "jax", case: "dot+causal, forward, 1 head, N = 8, D = 4", reason: "out of memory" },
    ]);
  });

  test("does not time ours when it is wrong", async () => {
    const context = contextOf({ own: standIn({ change: (out) => out.map((value) => value + 1) }) });
    await expect(runHeat(context, [{ key: "own", contestant: "own", problem }])).rejects.toThrow(
      /it must equal the reference/,
    );
  });
});

describe("contestants", () => {
  const node = (script: string) => ({ file: process.execPath, arguments: ["-e", script] });

  test("a process that ends is absent with what it said last", async () => {
    await expect(
      startContestant(node('console.error("Error: Cannot find module x"); process.exit(3)')),
    ).rejects.toThrow("its process ended (code 3): Error: Cannot find module x");
  });

  test("a program that is not there is absent", async () => {
    await expect(startContestant({ file: join(folder, "nothing"), arguments: [] })).rejects.toThrow(/ENOENT/);
  });

  test("silence ends", async () => {
    await expect(startContestant(node("setInterval(() => {}, 1000)"), { patience: 300 })).rejects.toThrow(
      "silent for 0.3 s",
    );
  });

  test("one that answers what it is not asked is told so by its own error", async () => {
    const script =
      'require("node:readline").createInterface({ input: process.stdin }).on("line", (line) =>' +
      ' require("node:fs").writeSync(3, JSON.stringify(JSON.parse(line).do === "describe" ?' +
      ' { result: { versions: {}, threads: 1, notes: [] } } : { error: "it cannot" }) + "\\n"))';
    const contestant = await startContestant(node(script));
    expect(contestant.description.threads).toBe(1);
    await expect(contestant.run(0)).rejects.toThrow("it cannot");
    await contestant.close();
  });

  test("packages that are not installed make their contestants absent, and nothing is installed unasked", async () => {
    writeFileSync(
      join(folder, "package-lock.json"),
      JSON.stringify({ packages: { "": {}, "node_modules/fast": { version: "1.2.3" } } }),
    );
    expect(whyNotInstalled(folder)).toBe("fast 1.2.3 of bench/peers is not installed");
    const roster = makeRoster({ places: places(folder), threads: 1, install: false });
    expect(await roster.find("tfjs")).toEqual({ reason: "fast 1.2.3 of bench/peers is not installed" });
    expect(roster.absent()).toEqual([{ name: "tfjs", reason: "fast 1.2.3 of bench/peers is not installed" }]);
    await roster.close();
  });
});

describe("the program", () => {
  const run = (...words: readonly string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(process.execPath, [join(root, "bench", "run.mjs"), ...words], { encoding: "utf8" });

  test(
    "prints one document, with the absent peer in it",
    () => {
      const words = ["--preset", "quick", "--rounds", "1", "--only", "limit,tfjs,memory", "--json"];
      const { stdout, status } = run("attention", ...words, "--peers", join(folder, "none"));
      expect(status).toBe(0);
      const report = v.parse(reportSchema, JSON.parse(stdout));
      expect(report.goals.map(({ against }) => against)).toEqual([
        ...Array.from({ length: 4 }, () => "the WebAssembly limit"),
        ...["dot+causal", "window"].flatMap(() => [
          "200 MB, the memory of WebAssembly",
          "200 MB, growth of the process",
        ]),
      ]);
      expect(report.absent).toEqual([
        { peer: "tfjs-wasm", reason: "bench/peers/package-lock.json is not there" },
      ]);
      expect(report.wrong).toEqual([]);
    },
    buildLimitMs,
  );

  test(
    "times recurrences, and finds them right",
    () => {
      const words = ["--preset", "quick", "--rounds", "1", "--only", "dense,decoding", "--json"];
      const { stdout, status } = run("recurrence", ...words);
      expect(status).toBe(0);
      const { goals, wrong } = JSON.parse(stdout) as AttentionReport;
      expect(goals.map(({ kind }) => kind)).toEqual(["time", "time", "time", "time", "memory", "memory"]);
      expect(goals.filter((goal) => goal.kind === "memory").map(({ ratio }) => ratio)).toEqual([1, 1]);
      expect(wrong).toEqual([]);
    },
    buildLimitMs,
  );

  test(
    "refuses a benchmark that is not there and names those that are",
    () => {
      const { status, stderr, stdout } = run("attentions");
      expect(status).toBe(2);
      expect(stderr).toMatch(/there is no benchmark 'attentions': there are attention/);
      expect(stdout).toBe("");
    },
    buildLimitMs,
  );
});

test("the page and its figure are what the results in the repository give", async () => {
  for (const [path, text] of Object.entries(await documentOf(resultsIn(root), root))) {
    expect(text).toBe(readFileSync(join(root, path), "utf8"));
  }
});

test("the page names every goal, who was absent and why, and who was wrong", () => {
  const page = performancePage({ attention: [sampleReport()], language: [] });
  expect(page).toContain("| somebody | `l2+causal`, forward | 2 (2–2) ms | 1 (1–1) ms | 0.5 | ≥ 2 | no |");
  expect(page).toContain("0 of 1 goals are reached.");
  expect(page).toContain("- tfjs-wasm: it is not installed");
  expect(page).toContain("- onnxruntime-web (`dot+full`, forward): 0.50 off");
});

test("the figure has a line for everybody and says its numbers in words", () => {
  const { curves } = sampleReport();
  const svg = drawCurves(curves, "Time", "a < b");
  expect(svg).toContain("<title>Time</title><desc>a &lt; b</desc>");
  for (const name of ["qklab, dense", "PyTorch eager"]) expect(svg).toContain(name);
  expect(drawCurves(curves, "Time", "a < b")).toBe(svg);
});

test("the peers are pinned, and their lockfile names no registry", () => {
  const read = (file: string): string => readFileSync(join(root, "bench", "peers", file), "utf8");
  const { dependencies } = JSON.parse(read("package.json")) as { dependencies: Record<string, string> };
  expect(Object.values(dependencies).filter((version) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
  expect(read("package-lock.json")).not.toContain('"resolved"');
});

const finite = v.pipe(v.number(), v.finite());
const title = { name: v.string(), against: v.string(), case: v.string(), goal: finite, reached: v.null() };
const pair = v.tuple([finite, finite]);
const reportSchema = v.strictObject({
  benchmark: v.literal("attention"),
  preset: v.literal("quick"),
  rounds: v.literal(1),
  threads: v.literal(2),
  date: v.pipe(v.string(), v.isoDate()),
  commit: v.nullable(v.string()),
  machine: v.strictObject({
    cpu: v.string(),
    cores: finite,
    memoryGB: finite,
    node: v.literal(process.version),
    platform: v.string(),
    load: finite,
  }),
  contestants: v.array(
    v.strictObject({
      name: v.string(),
      versions: v.record(v.string(), v.string()),
      threads: finite,
      notes: v.array(v.string()),
    }),
  ),
  goals: v.array(
    v.variant("kind", [
      v.strictObject({
        kind: v.literal("time"),
        ...title,
        ours_ms: finite,
        ours_quartiles_ms: pair,
        peer_ms: finite,
        peer_quartiles_ms: pair,
        ratio: finite,
      }),
      v.strictObject({
        kind: v.literal("memory"),
        ...title,
        ours_mb: finite,
        limit_mb: finite,
        ratio: finite,
      }),
    ]),
  ),
  absent: v.array(v.strictObject({ peer: v.string(), reason: v.string() })),
  wrong: v.array(v.unknown()),
  curves: v.array(v.unknown()),
  facts: v.record(v.string(), finite),
});

function places(peers: string = folder): Places {
  return { root, programs: folder, peers };
}

/** A context in which these and no others take part. */
function contextOf(
  contestants: Partial<Record<ContestantName, Contestant | { readonly reason: string }>>,
): Context {
  return {
    roster: {
      find: (name) => Promise.resolve(contestants[name]!),
      absent: () => [],
      present: () => [],
      close: () => Promise.resolve(),
    },
    folder,
    places: places(),
    rounds: 2,
    threads: 1,
    isSmall: true,
    findings: { goals: [], absent: [], wrong: [], curves: [], facts: {} },
    titleOf: (name) => name,
    progress: () => {},
  };
}

/** A contestant that computes by the reference, and may change what comes out or fail. */
function standIn({
  change = (out: Float32Array) => out,
  failure = "",
}: { change?: (out: Float32Array) => Float32Array; failure?: string } = {}): Contestant {
  return {
    description: { versions: {}, threads: 1, notes: [] },
    prepare: ({ problem, outputs }: PrepareRequest) => {
      if (failure !== "") return Promise.reject(new Error(failure));
      const out = change(Float32Array.from(referenceOut(problem as AttentionProblem)));
      writeFileSync(outputs, Buffer.from(out.buffer));
      return Promise.resolve({ outputs: ["out"], facts: {} });
    },
    run: () => Promise.resolve({ timeMs: 30 }),
    release: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

function referenceOut(problem: AttentionProblem): Float64Array {
  const { batch, heads, length, width } = problem;
  const shape = [batch, heads, length, width];
  const { q, k, v } = inputsOf(problem);
  const { patterns, ...parts } = parseSelector(problem.selector);
  const composition = compose({ ...parts, pattern: patterns } as Parameters<typeof compose>[0]);
  const inputs = { q: { data: q, shape }, k: { data: k, shape }, v: { data: v, shape } };
  return referenceForward(composition, inputs).out.data;
}

function sampleReport(): AttentionReport {
  return {
    benchmark: "attention",
    preset: "peers",
    rounds: 7,
    threads: 2,
    date: "2026-01-01",
    commit: "abc1234",
    machine: { cpu: "CPU", cores: 2, memoryGB: 8, node: "v20.0.0", platform: "linux x64", load: 0.1 },
    contestants: [{ name: "qklab", versions: {}, threads: 2, notes: [] }],
    goals: [
      timeGoal(
        { against: "somebody", case: "l2+causal, forward", goal: 2 },
        timesOf([2]),
        timesOf([1]),
        true,
      ),
    ],
    absent: [{ peer: "tfjs-wasm", reason: "it is not installed" }],
    wrong: [{ peer: "onnxruntime-web", case: "dot+full, forward", error: 0.5 }],
    curves: [
      { series: "qklab, dense", length: 256, time_ms: 1 },
      { series: "qklab, dense", length: 512, time_ms: 4 },
      { series: "PyTorch eager", length: 256, time_ms: 9 },
    ],
    facts: { micro_kernel_gflops: 100 },
  };
}
