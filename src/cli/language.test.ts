import { describe, expect, test } from "vitest";
import { chooseLanguage } from "./language.ts";

describe("chooseLanguage", () => {
  test.each([
    [["list"], {}, "en"],
    [["list"], { LANG: "zh_CN.UTF-8" }, "zh"],
    [["list"], { LC_ALL: "en_US.UTF-8", LANG: "zh_CN.UTF-8" }, "en"],
    [["list"], { LC_ALL: "", LC_MESSAGES: "zh_TW", LANG: "C" }, "zh"],
    [["list", "--lang", "zh"], {}, "zh"],
    [["--lang=en", "list"], { LANG: "zh_CN" }, "en"],
    [["list", "--", "--lang", "zh"], {}, "en"],
  ])("%j with %j speaks %s", (arguments_, environment, language) => {
    expect(chooseLanguage(arguments_, environment)).toBe(language);
  });
});
