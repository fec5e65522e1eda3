import { describe, expect, test } from "vitest";
import { samplePlan, sampleRecipes } from "../../test/sample-comparison.ts";
import { DomainError } from "../base/errors.ts";
import { canonicalJson } from "./canonical-json.ts";
import { label, planComparison } from "./plan.ts";
import { comparisonResults } from "./results.ts";
import { runNotes } from "./table-blocks.ts";

const small = { preset: "quick", tasks: ["recall"], similarities: ["dot", "l2"] } as const;

describe("a plan", () => {
  test("is the product of similarities, tasks, learning rates and seeds", () => {
    const plan = samplePlan({
      ...small,
      tasks: ["recall", "language"],
      seeds: [0, 1, 2],
      learningRates: [0.1, 0.01],
    });
    expect(plan.cells).toHaveLength(2 * 2);
    expect(plan.runs).toHaveLength(2 * 2 * 3 * 2);
    expect(plan.cells[0]).toMatchObject({ id: "recall/dot", learningRates: [0.01, 0.1], seeds: [0, 1, 2] });
  });

  test("is the same for the same request, and its ids tell configurations apart", () => {
    const [one, again] = [samplePlan(small), samplePlan(small)];
    expect(again).toEqual(one);
    expect(samplePlan({ ...small, settings: { recall: { steps: 201 } } }).id).not.toBe(one.id);
    expect(one.id).toMatch(/^[0-9a-f]{6}$/);
    expect(new Set(one.runs.map(({ id }) => id)).size).toBe(one.runs.length);
    expect(new Set(one.runs.map(({ folder }) => folder)).size).toBe(one.runs.length);
  });

  test("gives a run the same id in another comparison", () => {
    const alone = samplePlan({ ...small, similarities: ["l2"] }).runs[0];
    const among = samplePlan(small).runs.find(
      ({ selector, seed, learningRate }) =>
        selector === "l2" && seed === alone.seed && learningRate === alone.learningRate,
    );
    expect(among?.id).toBe(alone.id);
  });

  test("has rows of the recurrent class where a task has a model", () => {
    const { cells } = samplePlan({ ...small, similarities: ["linear:map=elu1", "deltanet+causal", "dot"] });
    expect(cells.map(({ selector }) => selector)).toEqual(["linear:map=elu1", "deltanet", "dot"]);
    const refused = (tasks: readonly string[], similarity: string): (() => unknown) => {
      return () => samplePlan({ ...small, tasks, similarities: [similarity] });
    };
    expect(refused(["recall"], "linear+full")).toThrow("Drop '+full'");
    expect(refused(["hierarchy"], "linear")).toThrow("takes similarities, which compare pairs");
  });

  test("starts something of every column before it repeats one", () => {
    const plan = samplePlan();
    const first = plan.runs.slice(0, plan.columns.length).map(({ column }) => column);
    expect(new Set(first)).toEqual(new Set(plan.columns.map(({ id }) => id)));
  });

  test("makes a column of every value of a setting that is given as a list", () => {
    const plan = samplePlan({
      preset: "quick",
      tasks: ["hierarchy"],
      settings: { hierarchy: { width: [2, 3] } },
    });
    expect(plan.columns.map(({ id, variant }) => [id, variant])).toEqual([
      ["hierarchy@width=2", { width: 2 }],
      ["hierarchy@width=3", { width: 3 }],
    ]);
    expect(plan.columns[1].settings).toMatchObject({ width: 3, steps: 200 });
  });

  describe("with settings that have no effect under others", () => {
    const recipe = {
      ...sampleRecipes("language"),
      settings: (set: object) => ({ experts: 0, router: "dot", choices: 0, ...set }),
      idle: (set: object): Record<string, string> =>
        (set as { experts: number }).experts === 0 ? { router: "experts", choices: "experts" } : {},
    };
    const planned = (language: Record<string, unknown>): ReturnType<typeof planComparison> =>
      planComparison({ preset: "quick", tasks: ["language"], settings: { language } }, () => recipe);

    test("has one column of those that differ in nothing else, and says what it leaves out", () => {
      const { columns, runs } = planned({ experts: [0, 8], router: ["l2", "poincare"], choices: 1 });
      expect(columns).toMatchObject([
        { id: "language@experts=0", settings: { router: "dot", choices: 0 } },
        { id: "language@experts=8,router=l2", settings: { router: "l2", choices: 1 } },
        { id: "language@experts=8,router=poincare", settings: { router: "poincare", choices: 1 } },
      ]);
      expect(columns.map(({ unused }) => unused)).toEqual([
        { router: "experts", choices: "experts" },
        undefined,
        undefined,
      ]);
      const plain = planned({}).runs.map(({ id }) => id);
      expect(runs.filter(({ column }) => column === "language@experts=0").map(({ id }) => id)).toEqual(plain);
      const { cells } = planned({ experts: [0, 8], router: "l2" });
      const results = comparisonResults(planned({ experts: [0, 8], router: "l2" }), new Map());
      expect(runNotes(results)[0]).toMatchObject({
        places: cells.filter(({ column }) => column === "language@experts=0").map(({ id }) => id),
        text: { en: expect.stringMatching(/experts 0\): No effect where experts is 0: router$/) as string },
      });
    });

    test("refuses one that has an effect nowhere", () => {
      for (const settings of [{ router: "l2" }, { router: ["l2", "dot"], experts: [0] }, { choices: 0 }]) {
        expect(() => planned(settings)).toThrow(/no effect where experts is 0: .*Set experts too/);
      }
    });
  });

  test("keeps a setting whole that is a list by nature", () => {
    const recipe = { ...sampleRecipes("recall"), settings: (set: object) => ({ lengths: [1, 2], ...set }) };
    const plan = planComparison({ ...small, settings: { recall: { lengths: [4, 8] } } }, () => recipe);
    expect(plan.columns).toHaveLength(1);
    expect(plan.columns[0].settings["lengths"]).toEqual([4, 8]);
  });

  test("applies settings under * to every task, and those of the task over them", () => {
    const plan = samplePlan({ ...small, settings: { "*": { steps: 7, batch: 2 }, recall: { steps: 8 } } });
    expect(plan.columns[0].settings).toMatchObject({ steps: 8, batch: 2 });
  });

  test("writes one attention once, however it is spelt, and keeps what is written at its default", () => {
    const plan = samplePlan({ ...small, similarities: ["dot", " dot", "dot+nope"] });
    expect(plan.cells.map(({ selector }) => selector)).toEqual(["dot", "dot+nope"]);
  });

  test("takes the asked number of the recipe's learning rates, spread over its list", () => {
    // The recipe has 0.001, 0.003, 0.01 and 0.03, and the preset asks for three of them.
    expect(samplePlan(small).cells[0].learningRates).toEqual([0.001, 0.003, 0.03]);
  });

  test("names runs readably", () => {
    const [run] = samplePlan({ ...small, seeds: [3], learningRates: [0.01] }).runs;
    expect(label(run)).toBe("recall · dot · lr 0.01 · seed 3");
    expect(run.folder).toMatch(/^recall-dot-lr0\.01-s3-[0-9a-f]{6}$/);
  });
});

describe("a request is refused", () => {
  const refuse = (request: object): string => {
    try {
      samplePlan({ ...small, ...request });
    } catch (error) {
      expect(error).toBeInstanceOf(DomainError);
      return (error as DomainError).message;
    }
    return "it was accepted";
  };

  test.each([
    ["an unknown preset", { preset: "quik" }, "Did you mean 'quick'"],
    ["an unknown task", { tasks: ["recal"] }, "Did you mean 'recall'"],
    ["an unknown similarity", { similarities: ["cosin"] }, "'cosine'"],
    [
      "settings of a task that is not compared",
      { settings: { language: { steps: 1 } } },
      "not compared: 'language'",
    ],
    ["settings of an unknown task", { settings: { lang: { steps: 1 } } }, "Did you mean 'language'"],
    ["a seed that is no whole number", { seeds: [0.5] }, "0.5"],
    ["a learning rate of zero", { learningRates: [0] }, "must be a finite number > 0: 0"],
    ["an empty list", { similarities: [] }, "at least one"],
    ["an empty list of seeds", { seeds: [] }, "no runs in recall/dot"],
  ])("with %s", (_, request, words) => {
    expect(refuse(request)).toContain(words);
  });
});

test("canonical JSON does not depend on the order of keys, and keeps numbers that JSON has no word for", () => {
  expect(canonicalJson({ b: [1, { d: 1, c: Number.NaN }], a: "x" })).toBe(
    canonicalJson({ a: "x", b: [1, { c: Number.NaN, d: 1 }] }),
  );
  expect(canonicalJson({ a: Number.NaN })).not.toBe(canonicalJson({ a: null }));
});
