import { describe, expect, test } from "vitest";
import { printTable, type Table } from "./table.ts";
import { widthOf } from "./wrap.ts";

const table: Table = {
  columns: [
    { key: "name", title: { en: "name", zh: "名称" } },
    { key: "count", title: { en: "count", zh: "数量" } },
  ],
  rows: [
    { name: 'a|b, "c"', count: 3 },
    { name: "two\nlines", count: 0.123456 },
  ],
};

describe("printTable", () => {
  test("aligns text to the left and numbers to the right", () => {
    const simple: Table = {
      columns: table.columns,
      rows: [
        { name: "x", count: 3 },
        { name: "yy", count: 12 },
      ],
    };
    expect(printTable(simple, "table", { language: "zh" }).split("\n")).toEqual([
      "名称  数量",
      "────  ────",
      "x        3",
      "yy      12",
      "",
    ]);
  });

  test("quotes CSV as RFC 4180 says, with keys whatever the language", () => {
    expect(printTable(table, "csv", { language: "zh" })).toBe(
      'name,count\r\n"a|b, ""c""",3\r\n"two\nlines",0.123456\r\n',
    );
  });

  test("escapes what would end a Markdown cell", () => {
    expect(printTable(table, "md", { language: "en" })).toBe(
      '| name | count |\n|---|---|\n| a\\|b, "c" | 3 |\n| two<br>lines | 0.1235 |\n',
    );
  });

  test("wraps cells to the terminal, the widest first", () => {
    const long = { columns: table.columns, rows: [{ name: "word ".repeat(30).trim(), count: "short" }] };
    const lines = printTable(long, "table", { language: "en", terminalColumns: 40 }).split("\n");
    expect(lines.length).toBeGreaterThan(4);
    for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(40);
  });

  test("shows control characters instead of sending them to the terminal", () => {
    const hostile = { columns: table.columns, rows: [{ name: "\u001b[2Jgone\u0007", count: 1 }] };
    expect(printTable(hostile, "table", { language: "en" })).toContain("\\u{1b}[2Jgone\\u{7}");
  });
});
