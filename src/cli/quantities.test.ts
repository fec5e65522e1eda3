import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CommandError } from "./command-error.ts";
import {
  durationMs,
  printDuration,
  printNumber,
  printQuantity,
  readNumber,
  realNumber,
  wholeNumber,
} from "./quantities.ts";

describe("readNumber", () => {
  test.each([
    ["12", 12],
    ["-3.5", -3.5],
    ["1e-3", 1e-3],
    [".5", 0.5],
    ["4k", 4000],
    ["1.5M", 1.5e6],
    ["2G", 2e9],
  ])("reads %s as %d", (text, value) => {
    expect(readNumber(text)).toBeCloseTo(value, 12);
  });

  test.each(["", "k", "4kk", "4m", "1,5", "0x10", "Infinity", "NaN", "1e999", "four"])(
    "'%s' is no number",
    (text) => {
      expect(readNumber(text)).toBeUndefined();
    },
  );

  test("reads back whatever JavaScript prints", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        expect(readNumber(String(value))).toBe(value === 0 ? Number(String(value)) : value);
      }),
    );
  });
});

describe("options that are numbers", () => {
  test("a whole number has a least value", () => {
    expect(wholeNumber("--jobs", "2k", 1)).toBe(2000);
    for (const text of ["0", "1.5", "many", "1e300"]) {
      expect(() => wholeNumber("--jobs", text, 1)).toThrow(CommandError);
    }
  });

  test("a learning rate must be above zero, a scale need not", () => {
    expect(realNumber("--scale", "-0.5")).toBe(-0.5);
    expect(() => realNumber("--lr", "-0.5", "positive")).toThrow(/--lr as it must be a number > 0: '-0.5'/);
  });
});

describe("durationMs", () => {
  test.each([
    ["90s", 90_000],
    ["10m", 600_000],
    ["1h", 3_600_000],
    ["1h30m", 5_400_000],
    ["250ms", 250],
    ["1.5s", 1500],
  ])("reads %s", (text, timeMs) => {
    expect(durationMs("--max-time", text)).toBe(timeMs);
  });

  test.each(["90", "", "0s", "10 m", "s", "1d", "-5s"])(
    "refuses '%s', which has no unit or no time",
    (text) => {
      expect(() => durationMs("--max-time", text)).toThrow(CommandError);
    },
  );
});

describe("short forms", () => {
  test("counts have three digits and a suffix", () => {
    expect([987, 12_345, 4_560_000, 2e9].map(printQuantity)).toEqual(["987", "12.3k", "4.56M", "2G"]);
  });

  test("times have two units at most", () => {
    expect([400, 12_400, 185_000, 4_790_000].map(printDuration)).toEqual(["0s", "12s", "3m05s", "1h20m"]);
  });

  test("measured numbers have four digits, and say when they are none", () => {
    expect([0.123456, 1200, Number.NaN, -Infinity].map(printNumber)).toEqual([
      "0.1235",
      "1200",
      "NaN",
      "-Infinity",
    ]);
  });
});
