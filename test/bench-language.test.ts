/** @file The benchmark of a language model: who is right by the graph in f64, what is counted, and how it is told. Nothing here is timed. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Context } from "../bench/attention/context.ts";
import { perSecond, rateGoal } from "../bench/attention/goal.ts";
import { type Contestant } from "../bench/contestant.ts";
import { performancePage } from "../bench/document/page.ts";
import { resultsIn } from "../bench/document/write.ts";
import { agreement, bitsPerToken } from "../bench/language/correctness.ts";
import {
  type Activations,
  GraphReference,
  type GraphWeights,
  type LayerPast,
} from "../bench/language/graph-reference.ts";
import { type LanguageHeats, readOneByOne, runLanguageHeat } from "../bench/language/heat.ts";
import { type LanguageReport } from "../bench/language/report.ts";
import { languageReportText } from "../bench/language/report-text.ts";
import { type LanguageProblem, type PrepareRequest } from "../bench/protocol.ts";
import { timesOf } from "../bench/rounds.ts";
import { type QuantisedMatrix } from "../src/base/quantised-matrix.ts";
import { random } from "../src/base/random.ts";
import { root } from "./docs/blocks.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "qklab-bench-language-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const sizes = {
  hidden_size: 8,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 4,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
};

function madeUpWeights(): GraphWeights {
  const stream = random("bench", "language");
  const matrix = (outputs: number, inputs: number): QuantisedMatrix => ({
    data: Int8Array.from(stream.normals(outputs * inputs, 40), Math.round),
    shape: [outputs, inputs],
    scale: 0.01,
    zeroPoint: 3,
  });
  const gain = new Float32Array(8).fill(1);
  return {
    sizes,
    embedding: matrix(11, 8),
    layers: Array.from({ length: 2 }, () => ({
      inputNorm: gain,
      q: matrix(16, 8),
      k: matrix(8, 8),
      v: matrix(8, 8),
      o: matrix(8, 16),
      feedForwardNorm: gain,
      gate: matrix(12, 8),
      up: matrix(12, 8),
      down: matrix(8, 12),
    })),
    norm: gain,
    head: matrix(11, 8),
  };
}

const heats = (): LanguageHeats => ({
  weights: madeUpWeights(),
  tokens: Array.from({ length: 24 }, (_, place) => (place * 7) % 11),
  errors: new Map(),
});

/** A contestant that computes by the graph, and may change what comes out. */
function standIn(activations: Activations, change = (value: number): number => value): Contestant {
  return {
    description: { versions: {}, threads: 1, notes: [] },
    prepare: ({ problem, outputs }: PrepareRequest) => {
      if (outputs === "") return Promise.resolve({ outputs: [], facts: {} });
      const graph = new GraphReference(madeUpWeights(), activations);
      const logits = (problem as LanguageProblem).tokens.flatMap((token) =>
        [...graph.step(token)].map(change),
      );
      const cache = activations === "exact" ? [] : [...cacheOf(graph.past)];
      writeFileSync(outputs, Buffer.from(Float32Array.from([...logits, ...cache]).buffer));
      return Promise.resolve({ outputs: cache.length === 0 ? ["logits"] : ["logits", "cache"], facts: {} });
    },
    run: () => Promise.resolve({ timeMs: 30 }),
    release: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

/** [G, places, D] of keys and values of each layer. */
function cacheOf(past: readonly LayerPast[]): readonly number[] {
  return past.flatMap(({ keys, values }) =>
    [keys, values].flatMap((rows) =>
      [0, 1].flatMap((head) => rows.flatMap((row) => [...row.subarray(4 * head, 4 * head + 4)])),
    ),
  );
}

function contextOf(contestants: Readonly<Record<string, Contestant | { readonly reason: string }>>): Context {
  return {
    roster: {
      find: (name) => Promise.resolve(contestants[name]),
      absent: () => [],
      present: () => [],
      close: () => Promise.resolve(),
    },
    folder,
    places: { root, programs: folder, peers: folder },
    rounds: 2,
    threads: 1,
    isSmall: true,
    findings: { goals: [], absent: [], wrong: [], curves: [], facts: {} },
    titleOf: (name) => name,
    progress: () => {},
  };
}

describe("a heat", () => {
  const problem = readOneByOne([1, 2, 3]);
  const names = ["own-language", "onnxruntime-language", "onnxruntime-language-one"] as const;
  const entries = names.map((contestant) => ({ contestant, problem }));

  test("times ours where its logits are the graph's without rounding, and theirs where they are those with it", async () => {
    const context = contextOf({
      "own-language": standIn("exact"),
      "onnxruntime-language": standIn("uint8"),
      "onnxruntime-language-one": standIn("uint8", (value) => 1.001 * value),
    });
    const times = await runLanguageHeat(context, heats(), entries);
    expect([...times.keys()].map(({ contestant }) => contestant)).toEqual(names.slice(0, 2));
    expect(context.findings.wrong).toMatchObject([
      { peer: "onnxruntime-language-one", case: "prefill 16 tokens, one by one" },
    ]);
    expect(context.findings.wrong[0].error).toBeCloseTo(0.001, 5);
    // float32 is all that lies between.
    for (const error of Object.values(context.findings.facts).slice(0, 2)) expect(error).toBeLessThan(1e-6);
  });

  test.each([
    ["is rounded as theirs", standIn("uint8")],
    ["is no number", standIn("exact", () => Number.NaN)],
  ])("does not time ours where it %s", async (_, own) => {
    const context = contextOf({ "own-language": own });
    await expect(runLanguageHeat(context, heats(), entries.slice(0, 1))).rejects.toThrow(
      /it must equal the reference: its logits are .* off/,
    );
  });

  test("who is not there takes no part", async () => {
    const context = contextOf({
      "own-language": standIn("exact"),
      "onnxruntime-language": { reason: "it is not installed" },
    });
    expect((await runLanguageHeat(context, heats(), entries.slice(0, 2))).size).toBe(1);
  });
});

describe("what is counted", () => {
  test("a rate is tokens over seconds, and its quartiles are in order", () => {
    const times = timesOf([100, 200, 400]);
    expect(perSecond(32, times)).toEqual({ median: 160, quartiles: [32_000 / 300, 32_000 / 150] });
  });

  test("the ratio of rates is ours over theirs, or over what is promised", () => {
    const title = { against: "somebody", case: "decode", goal: 0.5 };
    const [ours, theirs] = [perSecond(30, timesOf([300])), perSecond(30, timesOf([150]))];
    expect(rateGoal(title, ours, theirs, true)).toMatchObject({ ours_per_s: 100, ratio: 0.5, reached: true });
    expect(rateGoal(title, ours, 250, true)).toMatchObject({ ratio: 0.4, reached: false });
    expect(rateGoal(title, ours, 250, false).reached).toBeNull();
  });

  test("four equal choices cost two bits a token", () => {
    const logits = Float32Array.from({ length: 12 }, () => 7);
    expect(bitsPerToken([0, 3, 1], logits)).toBeCloseTo(2, 6);
    expect(agreement(2, Float32Array.of(1, 2, 4, 3), Float32Array.of(5, 6, 7, 8))).toBe(0.5);
  });
});

describe("how it is told", () => {
  const report: LanguageReport = {
    benchmark: "language",
    preset: "peers",
    rounds: 7,
    threads: 2,
    date: "2026-01-01",
    commit: "abc1234",
    machine: { cpu: "CPU", cores: 2, memoryGB: 8, node: "v20.0.0", platform: "linux x64", load: 0.1 },
    contestants: [{ name: "qklab", versions: {}, threads: 2, notes: [] }],
    goals: [
      rateGoal(
        { against: "60 tokens/s", case: "decode 32 tokens after 512", goal: 1 },
        perSecond(32, timesOf([400])),
        60,
        true,
      ),
    ],
    absent: [],
    wrong: [],
    curves: [],
    facts: { "bits per token of 96, qklab": 4.08 },
    rates: [
      {
        contestant: "qklab",
        case: "prefill 64 tokens",
        tokens_per_s: 900,
        quartiles_per_s: [890, 910],
      },
      {
        contestant: "onnxruntime-node",
        case: "decode 32 tokens after 512",
        tokens_per_s: 160,
        quartiles_per_s: [150, 170],
      },
    ],
    starts: [
      {
        contestant: "qklab",
        processes: 3,
        load_ms: 700,
        load_quartiles_ms: [690, 710],
        first_ms: 300,
        first_quartiles_ms: [290, 310],
        second_ms: 70,
        second_quartiles_ms: [69, 71],
      },
    ],
    start_tokens: 64,
  };

  test("the page has its goals, its rates, its start and its facts", () => {
    const page = performancePage({ ...resultsIn(root), language: [report] });
    const cells = "80 (80–80) tokens/s | 60 tokens/s | 1.33 | ≥ 1 | yes";
    expect(page).toContain(`| 60 tokens/s | decode 32 tokens after 512 | ${cells} |`);
    expect(page).toContain("| tokens/s | qklab | onnxruntime-node |");
    expect(page).toContain("| prefill 64 tokens | 900 (890–910) | – |");
    expect(page).toContain("| qklab | 700 (690–710) ms | 300 (290–310) ms | 70 (69–71) ms |");
    expect(page).toContain("- bits per token of 96, qklab: 4.08");
  });

  test("and so has the terminal", () => {
    const text = languageReportText(report);
    expect(text).toMatch(/prefill 64 tokens +900 \(890–910\) +–/);
    expect(text).toMatch(/start +loading +first prompt of 64 tokens +the same once more/);
  });
});
