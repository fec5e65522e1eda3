/** @file Dictionary: wrong usage of the command line. */
import { type Bilingual, type Text } from "../language.ts";

const quotedEn = (names: readonly string[]): string => names.map((name) => `'${name}'`).join(" or ");
const quotedZh = (names: readonly string[]): string => names.map((name) => `'${name}'`).join(" 或 ");

export const texts = {
  unknownCommand: (name: string, nearest: readonly string[]): Bilingual => ({
    en: `Cannot run '${name}' as qklab has no such command: '${name}'. Did you mean ${quotedEn(nearest)}?`,
    zh: `无法运行 '${name}'，因为 qklab 没有这个命令：'${name}'。您是不是想用 ${quotedZh(nearest)}？`,
  }),
  unknownOption: (command: string, flag: string, nearest: readonly string[]): Bilingual => ({
    en: `Cannot run '${command}' as it has no such option: '${flag}'. Did you mean ${quotedEn(nearest)}?`,
    zh: `无法运行 '${command}'，因为它没有这个选项：'${flag}'。您是不是想用 ${quotedZh(nearest)}？`,
  }),
  missingArgument: (command: string, name: string): Bilingual => ({
    en: `Cannot run '${command}' as it needs ${name}: nothing was given. See \`${command} --help\``,
    zh: `无法运行 '${command}'，因为缺少 ${name}：没有给出。请看“${command} --help”`,
  }),
  missingOption: (command: string, flags: string): Bilingual => ({
    en: `Cannot run '${command}' as it needs ${flags}: it is absent. Add it; \`${command} --help\` shows how`,
    zh: `无法运行 '${command}'，因为缺少必需的 ${flags}。请加上它；用法见“${command} --help”`,
  }),
  missingValue: (command: string, flags: string): Bilingual => ({
    en: `Cannot run '${command}' as ${flags} needs a value: nothing follows it. Write the value after it`,
    zh: `无法运行 '${command}'，因为 ${flags} 需要一个值：后面没有内容。请把值写在它后面`,
  }),
  excessArguments: (command: string, expected: string, seen: string): Bilingual => ({
    en: `Cannot run '${command}' as it takes ${expected} argument(s): ${seen} were given. Drop what is too much, or quote spaces`,
    zh: `无法运行 '${command}'，因为它接受 ${expected} 个参数：给出了 ${seen} 个。请去掉多余的，或为空格加引号`,
  }),
  conflict: (command: string, message: string): Bilingual => ({
    en: `Cannot run '${command}' as two options exclude each other: ${message}. Drop one of them`,
    zh: `无法运行 '${command}'，因为两个选项互相排斥：${message}。请去掉其中一个`,
  }),
} satisfies Record<string, Text>;
