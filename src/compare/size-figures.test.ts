import { parseHTML } from "linkedom";
import { expect, test } from "vitest";
import { madeUpResults } from "../../test/made-up-results.ts";
import { drawFigure } from "./drawing.ts";
import { comparisonReport } from "./report-json.ts";
import { renderReport } from "./report.ts";
import { type ComparisonResults } from "./results.ts";
import { seriesStyles } from "./series-style.ts";
import { sizeFigure, type SizeGroup, sizeGroups } from "./size-figures.ts";

const similarities = ["dot", "dot+none"];
const one = { similarities, seeds: [0], learningRates: [0.01] };

/** A cache grows with the pairs, a matrix does not; what does not fit is forgotten. */
const recall = madeUpResults(
  { ...one, tasks: ["recall"], settings: { recall: { headWidth: [4, 2, 16], pairs: [12, 24] } } },
  ({ selector, settings }) => {
    const [width, pairs] = [Number(settings["headWidth"]), Number(settings["pairs"])];
    const stateBytes = selector === "dot" ? 2 * pairs * (width + 16) * 4 : width * 16 * 4;
    return { accuracy: selector === "dot" ? 1 : Math.min(1, width / pairs), stateBytes };
  },
);

function groupsOf(results: ComparisonResults, size: SizeGroup["size"]): readonly SizeGroup[] {
  return sizeGroups(results, results.plan.columns, size, seriesStyles(similarities));
}

test("columns that differ in the model's size are one group, those that differ in the task are apart", () => {
  const groups = groupsOf(recall, "stateBytes");
  expect(groups.map(({ title, columns }) => [title.variant, columns.length])).toEqual([
    [{ pairs: 12 }, 3],
    [{ pairs: 24 }, 3],
  ]);
  const [{ cells }] = groups;
  expect(cells).toHaveLength(6);
  expect(cells.map(({ size }) => size)).toEqual(cells.map(({ size }) => size).sort((a, b) => a - b));
  expect(cells.slice(0, 3).map(({ selector, size }) => `${selector} ${size}`)).toEqual([
    "dot+none 128",
    "dot+none 256",
    "dot+none 1024",
  ]);
});

test("a figure has a line for each attention over its bytes, and says its numbers in words", () => {
  const [group] = groupsOf(recall, "stateBytes");
  const figure = sizeFigure(group);
  expect(figure.caption.en).toBe("recall, pairs 12: metric against the state kept at inference");
  expect(figure.description.en).toContain("dot+none head width 2, 128 B: 0.167");
  for (const width of [540, 350]) {
    const { document } = parseHTML(drawFigure(figure, width, "wide"));
    const lines = [...document.querySelectorAll("g[aria-label=line] path")];
    expect(lines).toHaveLength(2);
    // Three points are joined by two strokes.
    for (const line of lines) expect(line.getAttribute("d")?.match(/L/g)).toHaveLength(2);
    expect(document.querySelector("svg")?.outerHTML).not.toMatch(/NaN|undefined|Infinity/);
  }
});

test("a size at which a setting has no effect stands in the figure of every value of it", () => {
  const settings = { facts: { width: 8, experts: [0, 4], router: ["dot", "l2"] } };
  const facts = madeUpResults({ ...one, tasks: ["facts"], settings }, ({ settings: { experts } }) => ({
    bits: 1,
    parameters: 100 + Number(experts),
    activeParameters: 100,
  }));
  expect(
    groupsOf(facts, "parameters").map(({ title, columns }) => [title.variant, columns.map(({ id }) => id)]),
  ).toEqual(
    ["dot", "l2"].map((router) => [{ router }, ["facts@experts=0", `facts@experts=4,router=${router}`]]),
  );
});

test("models of one size make no figure", () => {
  const same = madeUpResults({ ...one, tasks: ["recall"] }, () => ({ accuracy: 1, stateBytes: 64 }));
  expect(groupsOf(same, "stateBytes")).toEqual([]);
});

test("parameters are an axis only of a task that counts what a token meets, each kind of them its own", () => {
  const settings = { facts: { width: [8, 16] } };
  const facts = madeUpResults({ ...one, tasks: ["facts"], settings }, ({ settings: { width } }) => ({
    bits: Number(width),
    parameters: 100 * Number(width),
    activeParameters: 25 * Number(width),
  }));
  expect(groupsOf(facts, "parameters")[0].cells.map(({ size }) => size)).toEqual([800, 800, 1600, 1600]);
  expect(groupsOf(facts, "activeParameters")[0].cells.map(({ size }) => size)).toEqual([200, 200, 400, 400]);
  const others = madeUpResults(
    { ...one, tasks: ["recall"], settings: { recall: { headWidth: [2, 4] } } },
    ({ settings: { headWidth } }) => ({ accuracy: 1, parameters: Number(headWidth) }),
  );
  expect(groupsOf(others, "parameters")).toEqual([]);
});

test("a model without experts stands beside those that have some, with all its parameters", () => {
  const settings = { language: { experts: [0, 4, 8], routing: ["switch", "mixtral"] } };
  const language = madeUpResults({ ...one, tasks: ["language"], settings }, ({ settings: { experts } }) => ({
    bitsPerCharacter: 2,
    stateBytes: 64,
    parameters: 100 * (1 + Number(experts)),
    ...(experts === 0 ? {} : { activeParameters: 120 }),
  }));
  const [bySwitch, byMixtral] = groupsOf(language, "parameters");
  expect([bySwitch, byMixtral].map(({ title }) => title.variant)).toEqual([
    { routing: "switch" },
    { routing: "mixtral" },
  ]);
  expect(bySwitch.cells.map(({ size }) => size)).toEqual([100, 100, 500, 500, 900, 900]);
  expect(groupsOf(language, "activeParameters")[0].cells.map(({ size }) => size)).toEqual([
    100, 100, 120, 120, 120, 120,
  ]);
  // They are no size of the state.
  expect(groupsOf(language, "stateBytes")).toEqual([]);
});

test("the report has the figures, and their numbers as a table with the smallest state first", () => {
  const html = renderReport(recall, comparisonReport(recall, {}, new Date("2025-01-02T03:04:05Z")));
  const { document } = parseHTML(html);
  const tables = [...document.querySelectorAll("table")].filter((table) =>
    table.querySelector("caption")?.textContent.includes("what each size buys"),
  );
  expect(tables).toHaveLength(2);
  const rows = [...tables[0].querySelectorAll("tbody tr")].map((row) =>
    [...row.querySelectorAll("td:not(.text)")].map((cell) => cell.textContent.trim()),
  );
  expect(rows[0]).toEqual(["128 B", "0.167"]);
  expect(rows).toHaveLength(6);
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
});
