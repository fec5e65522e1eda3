import stringWidth from "string-width";
import { describe, expect, test } from "vitest";
import { sampleComparison, samplePlan } from "../../test/sample-comparison.ts";
import { comparisonResults } from "./results.ts";
import { printComparison } from "./table.ts";

/** Everything that a table can show: ties, divergence, a crash, one seed, cells that are not compared. */
const quick = sampleComparison();
const withCrash = sampleComparison({
  tasks: ["recall", "language"],
  similarities: ["dot", "l2", "cauchy", "poincare"],
  seeds: [0, 1, 2],
  learningRates: [0.001, 0.003, 0.03],
});
const oneSeed = sampleComparison({ preset: "quick", seeds: [0] });

const BOLD = "\u001B[1m";

describe("the text table", () => {
  test.each([
    ["en", 80],
    ["en", 120],
    ["zh", 80],
    ["zh", 120],
  ] as const)("in %s fits %i columns, and its rows line up", (language, terminalColumns) => {
    for (const results of [quick, withCrash, oneSeed]) {
      const text = printComparison(results, { format: "text", language, terminalColumns });
      const rows = text.split("\n\n")[0].split("\n");
      const tables = text.slice(0, text.indexOf("±") < 0 ? undefined : text.lastIndexOf("\n\n"));
      expect(Math.max(...tables.split("\n").map((line) => stringWidth(line)))).toBeLessThanOrEqual(
        terminalColumns,
      );
      const rule = rows.find((line) => line.startsWith("─")) ?? "";
      expect(Math.max(...rows.map((line) => stringWidth(line)))).toBe(stringWidth(rule));
    }
  });

  test("reads as it was reviewed", async () => {
    const text = [quick, withCrash, oneSeed]
      .map((results) => printComparison(results, { format: "text", language: "en" }))
      .join("\n======\n\n");
    await expect(text).toMatchFileSnapshot("../../test/golden/comparison/table.txt");
  });

  test("prints the best bold only where it is not tied", () => {
    const text = printComparison(quick, { format: "text", language: "en", hasColour: true });
    const bold = text
      .split(BOLD)
      .slice(1)
      .map((after) => Number.parseFloat(after));
    const best = quick.cells.filter((cell) => cell.best).map((cell) => cell.metric?.mean ?? 0);
    expect(best.length).toBeGreaterThan(0);
    expect(bold).toHaveLength(best.length);
    for (const mean of best) expect(bold).toContain(Number(mean.toFixed(3)));
  });

  test("says that one seed has no spread, and marks no best", () => {
    const text = printComparison(oneSeed, { format: "text", language: "en", hasColour: true });
    expect(text).toContain("one seed: its spread is not known");
    expect(text).not.toMatch(/[±*]/);
    expect(text).not.toContain(BOLD);
  });

  test("marks failed cells and gives the reason below", () => {
    const text = printComparison(withCrash, { format: "text", language: "en" });
    expect(text).toMatch(/^cauchy .* failed \[1\]/m);
    expect(text).toMatch(/^\[1\] cauchy \(language\): Cannot finish the run .* SIGKILL$/m);
  });

  test("shows what has not run yet", () => {
    const text = printComparison(comparisonResults(samplePlan(), new Map()), {
      format: "text",
      language: "zh",
    });
    expect(text).toContain("未运行");
  });
});

describe("other forms", () => {
  test("Markdown has a row for every attention, and bold for the best", () => {
    const text = printComparison(quick, { format: "md", language: "en" });
    expect(text).toMatch(/^\| similarity \| recall \(accuracy ↑\) \|/m);
    expect(text).toMatch(/^\| `dot\+alibi` \| \*\*[\d.]+ ± [\d.]+\*\* \|$/m);
    const widths = text
      .split("\n\n")[0]
      .split("\n")
      .map((line) => line.split("|").length);
    expect(new Set(widths).size).toBe(1);
  });

  test("CSV has one line for each cell and quotes what needs it", () => {
    const lines = printComparison(withCrash, { format: "csv", language: "zh" }).trimEnd().split("\r\n");
    expect(lines).toHaveLength(1 + withCrash.cells.length);
    expect(lines[0]).toMatch(
      /^task,variant,similarity,status,metric,unit,better,mean,deviation,seeds,learningRate,/,
    );
    const crashed = lines.find((line) => line.includes("failed"));
    expect(crashed).toMatch(/^language,,cauchy,failed,/);
    const scaled = printComparison(quick, { format: "csv", language: "en" });
    expect(scaled).toContain('"dot+rope:scaling=ntk,factor=16"');
  });

  test("JSON has the numbers unrounded", () => {
    const rows = JSON.parse(printComparison(quick, { format: "json", language: "en" })) as { mean: number }[];
    expect(rows.map(({ mean }) => mean)).toEqual(quick.cells.map((cell) => cell.metric?.mean));
  });
});
