/** @file Dictionary: values of options that are not what the option takes. */
import { type Bilingual, type Text } from "../language.ts";

const because = (option: string, rule: Bilingual, seen: string, cure: Bilingual): Bilingual => ({
  en: `Cannot use ${option} as it must be ${rule.en}: '${seen}'. ${cure.en}`,
  zh: `无法使用 ${option}，因为它必须是${rule.zh}：'${seen}'。${cure.zh}`,
});

const write = (...examples: readonly string[]): Bilingual => ({
  en: `Write for example ${examples.join(" or ")}`,
  zh: `例如可写 ${examples.join(" 或 ")}`,
});

export const texts = {
  whole: (option: string, minimum: number, seen: string): Bilingual =>
    because(
      option,
      { en: `a whole number ≥ ${minimum}`, zh: `不小于 ${minimum} 的整数` },
      seen,
      write(`${Math.max(8, minimum)}`, "4k"),
    ),
  number: (option: string, seen: string): Bilingual =>
    because(option, { en: "a number", zh: "数字" }, seen, write("0.5", "1.5M")),
  positive: (option: string, seen: string): Bilingual =>
    because(option, { en: "a number > 0", zh: "大于 0 的数字" }, seen, write("0.001", "3e-3")),
  duration: (option: string, seen: string): Bilingual =>
    because(
      option,
      { en: "a time with its unit (ms, s, m, h)", zh: "带单位（ms、s、m、h）的时间" },
      seen,
      write("90s", "10m", "1h30m"),
    ),
  emptyList: (option: string): Bilingual =>
    because(option, { en: "a comma list without empty places", zh: "用逗号分隔且没有空项的列表" }, "", {
      en: "Drop the extra comma, or leave the option out",
      zh: "去掉多余的逗号，或省略该选项",
    }),
  choice: (option: string, seen: string, known: readonly string[], nearest: readonly string[]): Bilingual =>
    because(option, { en: `one of ${known.join(", ")}`, zh: `以下之一：${known.join("、")}` }, seen, {
      en: `Did you mean ${nearest.map((name) => `'${name}'`).join(" or ")}?`,
      zh: `您是不是想用 ${nearest.map((name) => `'${name}'`).join(" 或 ")}？`,
    }),
  places: (option: string, seen: string): Bilingual =>
    because(
      option,
      { en: "all, or places from 0 and ranges of them", zh: " all，或从 0 起的序号及其范围" },
      seen,
      write("2-5", "0,3,6-7"),
    ),
  setting: (seen: string): Bilingual =>
    because(
      "--set",
      { en: "setting=value or task.setting=value", zh: "设置=值 或 任务.设置=值" },
      seen,
      write("language.steps=100"),
    ),
  settingJson: (seen: string, problem: string): Bilingual => ({
    en: `Cannot use --set as a value that begins with a quote or a bracket must be JSON: '${seen}' (${problem}). Quote it for the shell too`,
    zh: `无法使用 --set，因为以引号或括号开头的值必须是 JSON：'${seen}'（${problem}）。请同时为 shell 加引号`,
  }),
  oneTask: (seen: string): Bilingual => ({
    en: `Cannot train as a run has one task, one similarity, one seed and one learning rate: ${seen}. Use qklab compare for several`,
    zh: `无法训练，因为一次运行只有一个任务、一个相似度、一个种子和一个学习率：${seen}。要比较多个请用 qklab compare`,
  }),
  otherTask: (seen: string, task: string): Bilingual => ({
    en: `Cannot train '${task}' as settings must be its own: '${seen}' is given settings too. Drop those, or add their task with qklab compare`,
    zh: `无法训练 '${task}'，因为设置必须属于它：还给出了 '${seen}' 的设置。请去掉，或用 qklab compare 加入该任务`,
  }),
} satisfies Record<string, Text>;
