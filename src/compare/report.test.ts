import { parseHTML } from "linkedom";
import { describe, expect, test } from "vitest";
import { sampleComparison, sampleEnd, samplePlan } from "../../test/sample-comparison.ts";
import { encodeNumbers } from "../train/json-numbers.ts";
import { renderReport } from "./report.ts";
import { type ComparisonReport, comparisonReport } from "./report-json.ts";
import { comparisonResults, type ComparisonResults, type RunEnd } from "./results.ts";

const date = new Date("2025-01-02T03:04:05Z");
const environment = { qklab: "0.1.0", node: "v20.20.2", cores: 2 };

function render(results: ComparisonResults): { readonly html: string; readonly document: Document } {
  const html = renderReport(results, comparisonReport(results, environment, date));
  return { html, document: parseHTML(html).document };
}

const sample = sampleComparison();
const { html, document } = render(sample);
const all = (selector: string): Element[] => [...document.querySelectorAll(selector)];

describe("the report", () => {
  test("needs nothing from anywhere: no address, no foreign script, style, font or image", () => {
    expect(html).not.toMatch(/https?:|url\(|@import|\bsrc=|<link\b|<iframe\b|<img\b/);
    expect(all("a").every((link) => link.getAttribute("href")?.startsWith("#") === true)).toBe(true);
  });

  test("has every id once, and everything that is referred to", () => {
    const ids = all("[id]").map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const named = ["aria-labelledby", "aria-describedby", "data-from"].flatMap((name) =>
      all(`[${name}]`).map((element) => element.getAttribute(name) ?? ""),
    );
    const linked = all("a").map((link) => link.getAttribute("href")?.slice(1) ?? "");
    expect(named.length).toBeGreaterThan(0);
    for (const id of [...named, ...linked]) expect(ids).toContain(id);
  });

  test("closes what it opens", () => {
    const voids = new Set(["meta", "input", "br"]);
    const open: string[] = [];
    const body = html.replaceAll(/<(script|style)\b[^>]*>.*?<\/\1>/gs, "").replace(/^<!doctype html>/, "");
    for (const [, slash, name, selfClosing] of body.matchAll(
      /<(\/?)([a-z][a-z0-9]*)\b(?:[^>"]|"[^"]*")*?(\/?)>/gi,
    )) {
      if (voids.has(name) || selfClosing === "/") continue;
      if (slash === "") open.push(name);
      else expect(open.pop()).toBe(name);
    }
    expect(open).toEqual([]);
  });

  test("says everything in both languages", () => {
    expect(all("body [lang=en]").length).toBe(all("body [lang=zh]").length);
    for (const english of all("h2 [lang=en], figcaption [lang=en], caption [lang=en], th [lang=en]")) {
      expect(english.nextElementSibling?.getAttribute("lang")).toBe("zh");
      expect(english.nextElementSibling?.textContent).toMatch(/\p{Script=Han}/u);
    }
  });

  test("has a title and a description in every plot, and a caption and scopes in every table", () => {
    expect(all("svg.plot").length).toBeGreaterThan(0);
    for (const plot of all("svg.plot")) {
      expect(plot.getAttribute("role")).toBe("img");
      expect([...plot.querySelectorAll("title, desc")].map((words) => words.textContent)).not.toContain("");
      expect(plot.querySelectorAll("title, desc").length).toBe(4);
    }
    for (const table of all("table")) {
      expect(table.querySelector("caption")?.textContent).not.toBe("");
      expect([...table.querySelectorAll("th")].every((head) => head.hasAttribute("scope"))).toBe(true);
      expect(table.parentElement?.getAttribute("tabindex")).toBe("0");
    }
  });

  test("draws every plot for wide and for narrow screens, in numbers", () => {
    expect(all("svg.wide").length).toBe(all("svg.narrow").length);
    expect(all("figure").length).toBe(all("svg.wide").length);
    expect(
      all("svg.plot")
        .map((plot) => plot.outerHTML)
        .join(""),
    ).not.toMatch(/NaN|undefined|Infinity|\uE000/);
  });

  test("has the plots of every task: spread, curves, learning rates, cost, width, lengths", () => {
    const figures = all("figcaption").map(({ id }) => id.replace("-caption", ""));
    for (const figure of [
      "recall-metric",
      "recall-curves",
      "recall-rates",
      "recall-stepMs",
      "recall-stateBytes",
      "hierarchy-width-2-variants",
      "extrapolation-bitsPerCharacter-lengths",
    ]) {
      expect(figures).toContain(figure);
    }
  });

  test("carries its numbers as JSON, the same as report.json", () => {
    const carried = JSON.parse(document.getElementById("report-json")?.textContent ?? "") as ComparisonReport;
    expect(carried).toEqual(
      JSON.parse(JSON.stringify(encodeNumbers(comparisonReport(sample, environment, date)))),
    );
    expect(Object.keys(carried)).toEqual([
      "schema",
      "version",
      "created",
      "environment",
      "plan",
      "cells",
      "runs",
      "verdicts",
      "rankRule",
    ]);
    expect(carried.cells).toHaveLength(sample.cells.length);
    expect(carried.runs).toHaveLength(sample.plan.runs.length);
  });

  test("is not broken by what an error says", () => {
    const plan = samplePlan({ tasks: ["recall"], similarities: ["dot"], seeds: [0], learningRates: [0.1] });
    const message = '</script><script>alert(1)</script> "<b>" & \u2028';
    const end: RunEnd = { status: "failed", failure: { code: "run-crashed", message } };
    const bad = render(comparisonResults(plan, new Map([[plan.runs[0].id, end]])));
    expect(bad.html).not.toContain("<script>alert");
    expect(bad.html.match(/<script/g)).toHaveLength(3);
    expect(bad.html).toContain(
      "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt; &quot;&lt;b&gt;&quot; &amp; \u2028",
    );
    const carried = bad.document.getElementById("report-json")?.textContent ?? "";
    expect((JSON.parse(carried) as ComparisonReport).cells[0].failures[0].message).toBe(message);
  });

  test("can be made of a comparison in which nothing ran", () => {
    const empty = render(comparisonResults(samplePlan(), new Map()));
    expect(empty.document.querySelectorAll("figure").length).toBe(0);
    expect(empty.html).toContain("not run");
  });

  test("of one attention and one seed reads as it was reviewed", async () => {
    const plan = samplePlan({
      tasks: ["recall"],
      similarities: ["dot", "l2"],
      seeds: [0, 1],
      learningRates: [0.003],
    });
    const { html } = render(
      comparisonResults(plan, new Map(plan.runs.map((run) => [run.id, sampleEnd(run)]))),
    );
    const words = html
      .replaceAll(/<(script|style)\b[^>]*>.*?<\/\1>/gs, "<$1>…</$1>")
      .replaceAll(/<svg\b.*?<\/svg>/gs, "<svg>…</svg>");
    await expect(words).toMatchFileSnapshot("../../test/golden/comparison/report.html");
    const drawing = /<svg\b[^>]*class="plot wide"[^>]*>.*?<\/svg>/s.exec(html)?.[0] ?? "";
    await expect(`${drawing}\n`).toMatchFileSnapshot("../../test/golden/comparison/metric.svg");
  });
});
