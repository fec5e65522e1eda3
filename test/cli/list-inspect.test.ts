import { execFileSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { evaluate, parseSelector, partFactories, recurrences } from "../../src/index.ts";
import { encodeSafetensors } from "../../src/checkpoints/index.ts";
import { routings, switchRouting } from "../../src/kernels/reference/routing-rule.ts";
import { presetNames } from "../../src/compare/presets.ts";
import { resolveDecoderConfig } from "../../src/models/decoder-config.ts";
import { cli, cliJson, temporaryFolder, useBuiltCli } from "./run-cli.ts";

useBuiltCli();
const folder = temporaryFolder();

interface Listed {
  readonly name: string;
  readonly formula?: string;
}

describe("list", () => {
  test("--json holds every part of the library with its formula, the tasks and the presets", async () => {
    const all = await cliJson<Record<string, readonly Listed[]>>(["list"]);
    const kinds = {
      similarities: "similarity",
      positions: "position",
      patterns: "pattern",
      selections: "selection",
      normalisers: "normaliser",
      aggregations: "aggregation",
    } as const;
    for (const [listed, kind] of Object.entries(kinds)) {
      const wanted = partFactories[kind].map(({ definition: { selector, formula } }) => ({
        name: selector,
        formula,
      }));
      expect(all[listed]?.map(({ name, formula }) => ({ name, formula }))).toEqual(wanted);
    }
    expect(all["recurrences"]?.map(({ name, formula }) => ({ name, formula }))).toEqual(
      recurrences.map(({ definition: { selector, formula } }) => ({ name: selector, formula })),
    );
    expect(all["routings"]?.map(({ name }) => name)).toEqual(["switch", "mixtral"]);
    expect(all["tasks"]?.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["recall", "copy", "induction", "facts", "language", "hierarchy", "scaling"]),
    );
    expect(all["presets"]?.map(({ name }) => name)).toEqual([...presetNames]);
  });

  test("tables come as text, Markdown and CSV, and nothing else is on stdout", async () => {
    const count = partFactories.similarity.length;
    const [text, markdown, csv] = await Promise.all(
      ["table", "md", "csv"].map((format) => cli(["list", "similarities", "--format", format])),
    );
    expect(text?.stdout.trimEnd().split("\n")).toHaveLength(count + 2);
    expect(markdown?.stdout.trimEnd().split("\n")).toHaveLength(count + 2);
    expect(csv?.stdout.trimEnd().split("\r\n")).toHaveLength(count + 1);
    for (const result of [text, markdown, csv]) expect(result?.stderr).toMatch(/^Next: [^\n]+\n$/);
  });
});

interface Inspected {
  readonly kind: string;
  readonly selector: string;
  readonly parameters: readonly { name: string; smallest: number }[];
  readonly derivatives: { readonly by: readonly string[]; readonly javascript: string };
  readonly fits: { readonly positions: readonly { name: string; fits: boolean }[] };
  readonly spread: { readonly rowSpread: number; readonly calibrated: Record<string, number> };
}

describe("inspect SELECTOR", () => {
  test("prints JavaScript that computes the score and its derivatives", async () => {
    const { derivatives, parameters } = await cliJson<Inspected>([
      "inspect",
      "cauchy",
      "--derivatives",
      "--width",
      "16",
    ]);
    expect(parameters).toMatchObject([
      { name: "beta", smallest: 1 },
      { name: "tau", smallest: 16 },
    ]);
    const names = derivatives.by;
    const values = [0.3, 1.2, 0.9, 1.5, 2];
    expect(names).toEqual(["s", "q2", "k2", "beta", "tau"]);
    const program = `const out = [], [${names.join(", ")}] = [${values.join(", ")}];\n${derivatives.javascript}\nconsole.log(JSON.stringify(out));`;
    const out = JSON.parse(execFileSync(process.execPath, ["-e", program], { encoding: "utf8" })) as number[];
    const score = (at: readonly number[]): number =>
      evaluate(
        parseSelector("cauchy").similarity.score,
        Object.fromEntries(names.map((name, i) => [name, at[i] ?? 0])),
      );
    expect(out[0]).toBe(score(values));
    names.forEach((_, i) => {
      const step = 1e-6;
      const moved = (by: number): number => score(values.map((value, j) => (j === i ? value + by : value)));
      // Central difference: the step squared, and rounding over the step.
      expect(out[i + 1]).toBeCloseTo((moved(step) - moved(-step)) / (2 * step), 8);
    });
  });

  test("says which positions fit, the spread before training, and the temperature that makes it one", async () => {
    const l1 = await cliJson<Inspected>(["inspect", "l1", "--heads", "1"]);
    const fits = Object.fromEntries(l1.fits.positions.map(({ name, fits }) => [name, fits]));
    expect(fits).toMatchObject({ rope: false, alibi: true, nope: true });
    const beta = l1.spread.calibrated["beta"] ?? 0;
    const calibrated = await cliJson<Inspected>(["inspect", `l1:beta=${beta}`, "--heads", "1"]);
    expect(calibrated.spread.rowSpread).toBeCloseTo(1, 12);
  });

  test("has a readable form in both languages", async () => {
    const [english, translated] = await Promise.all([
      cli(["inspect", "l2+rope+causal", "--derivatives"]),
      cli(["inspect", "l2+rope+causal", "--format", "md", "--lang", "zh"]),
    ]);
    expect(english.stdout).toContain("s_ij = ((beta * ((s * 2) - k2)) - (beta * q2))");
    expect(english.stdout).toContain("out[0] = ");
    expect(translated.stdout).toContain("## 一对查询与键的分数");
  });

  test("an unknown name gets the nearest, of similarities and of recurrences", async () => {
    const [cosine, retnet] = await Promise.all([cli(["inspect", "cosin"]), cli(["inspect", "retnt"])]);
    expect([cosine.code, retnet.code]).toEqual([2, 2]);
    expect(cosine.stderr).toContain("'cosine'");
    expect(retnet.stderr).toContain("'retnet'");
  });

  test("of a recurrence lists its inputs, its parameters and the size of its state", async () => {
    const [document, text, turned, refused] = await Promise.all([
      cliJson<{
        readonly inputs: readonly Listed[];
        readonly state: object;
        readonly parameters: readonly Listed[];
      }>(["inspect", "linear:map=hedgehog", "--width", "8", "--heads", "2"]),
      cli(["inspect", "rwkv7"]),
      cli(["inspect", "retnet+rope:theta=100"]),
      cli(["inspect", "gla", "--derivatives"]),
    ]);
    expect(document.inputs.map(({ name }) => name)).toEqual(["q", "k", "v", "state"]);
    expect(document.state).toEqual({ shape: [1, 2, 16, 9], sizeBytes: 1152 });
    expect(document.parameters.map(({ name }) => name)).toEqual(["projection"]);
    expect(text.stdout).toContain("logDecay");
    expect(text.stderr).toMatch(/Next: .* attend --spec rwkv7 /);
    expect(turned.stdout).toContain("rope:theta=100: pair m");
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain("only similarities have a score of pairs");
  });
});

test("inspect of a routing has its formula, options with defaults, parameters, cost and source", async () => {
  const [document, mixtral, refused] = await Promise.all([
    cliJson<Record<string, unknown>>(["inspect", "switch", "--width", "12"]),
    cli(["inspect", "mixtral", "--lang", "zh"]),
    cli(["inspect", "switch:choices=2"]),
  ]);
  const rule = switchRouting();
  const { source, formula } = routings.switch;
  const { hidden } = resolveDecoderConfig({
    vocabulary: 9,
    width: 12,
    layers: 1,
    heads: 1,
    attention: "dot+causal",
    maximumLength: 4,
    experts: { count: 8, routing: "switch" },
  });
  const ofExpert = 3 * 12 * hidden;
  expect(document).toMatchObject({
    kind: "routing",
    name: "switch",
    formula,
    source,
    hidden,
    weighing: "all",
    experts: 8,
    parameterCount: 8 * (12 + ofExpert),
    activeParameterCount: 8 * 12 + ofExpert,
    multiplications: { router: 8 * 12, experts: ofExpert },
  });
  const defaults = (document["options"] as { name: string; default: unknown }[]).map(
    (option) => [option.name, option.default] as const,
  );
  expect(Object.fromEntries(defaults)).toMatchObject({
    choices: rule.choices,
    capacityFactor: rule.capacityFactor,
    balance: rule.balance,
  });
  expect(mixtral.stdout).toContain("选择它的全部词元");
  expect(mixtral.stderr).toContain("routing=mixtral");
  expect(refused).toMatchObject({ code: 2 });
  expect(refused.stderr).toContain("Write inspect switch");
});

describe("inspect TASK, FILE and what is neither", () => {
  test("a task shows its settings with their defaults", async () => {
    const task = await cliJson<{
      kind: string;
      settings: Record<string, unknown>;
      metric: { better: string };
    }>(["inspect", "hierarchy"]);
    expect(task).toMatchObject({
      kind: "task",
      settings: { source: "mammals" },
      metric: { better: "higher" },
    });
  });

  test("a safetensors file shows its tensors without obeying their names", async () => {
    const path = join(folder, "names.safetensors");
    const tensors = {
      "\u001b[2Jevil": { shape: [2], data: Float32Array.of(1, 2) },
      plain: { shape: [], data: Float64Array.of(3) },
    };
    await writeFile(path, encodeSafetensors(tensors, { selector: "dot+full" }));
    const { stdout } = await cli(["inspect", path]);
    expect(stdout).not.toContain("\u001b");
    expect(stdout).toContain("evil");
    const document = await cliJson<{ tensors: unknown[]; metadata: unknown }>(["inspect", path]);
    expect(document.metadata).toEqual({ selector: "dot+full" });
    expect(document.tensors).toContainEqual({ name: "plain", dtype: "F64", shape: [], sizeBytes: 8 });
  });

  test.each([
    [join(folder, "absent.safetensors"), "Check the path"],
    [folder, "config.json"],
  ])("%s ends in exit code 3", async (path, words) => {
    const { code, stdout, stderr } = await cli(["inspect", path]);
    expect(stderr).toContain(words);
    expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
  });
});
