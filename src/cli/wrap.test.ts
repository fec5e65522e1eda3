import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cutMiddle, cutTo, padTo, widthOf, wrapText } from "./wrap.ts";

const text = fc.string({ unit: fc.constantFrom("a", "b", " ", "—", "注", "意", "，", "（", "）", "-", "x") });

describe("wrapText", () => {
  test("loses nothing but the spaces where lines break", () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 30 }), (original, columns) => {
        const without = (words: string): string => words.replaceAll(/\s/g, "");
        expect(without(wrapText(original, columns).join(""))).toBe(without(original));
      }),
    );
  });

  test("keeps Chinese lines within the columns", () => {
    const character = fc.constantFrom("查", "询", "与", "键，", "（值", "列。");
    fc.assert(
      fc.property(fc.array(character), (pieces) => {
        for (const line of wrapText(pieces.join(""), 10)) expect(widthOf(line)).toBeLessThanOrEqual(10);
      }),
    );
  });

  test("breaks between Chinese characters and between Latin words", () => {
    expect(wrapText("注意力的选择器", 8)).toEqual(["注意力的", "选择器"]);
    expect(wrapText("one two three", 8)).toEqual(["one two", "three"]);
  });

  test("never begins a line with a closing mark", () => {
    expect(wrapText("查询与键，宽度", 8)).toEqual(["查询与", "键，宽度"]);
  });
});

describe("padTo and cutTo", () => {
  test("count columns, not characters", () => {
    expect(padTo("键", 4)).toBe("键  ");
    expect(padTo("7", 3, "right")).toBe("  7");
    expect(cutTo("查询与键", 5)).toBe("查询…");
    expect(cutMiddle("l2+rope · seed 0", 11)).toBe("l2+ro…eed 0");
  });

  test("a cut text fits", () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 20 }), (original, columns) => {
        expect(widthOf(cutTo(original, columns))).toBeLessThanOrEqual(columns);
        expect(widthOf(cutMiddle(original, columns))).toBeLessThanOrEqual(columns);
      }),
    );
  });
});
