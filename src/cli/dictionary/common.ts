/** @file Dictionary: the frame around all commands: help, options that every command has, the last line. */
import { type Bilingual, type Text } from "../language.ts";

export const texts = {
  program: {
    en: "What does a model come to believe belongs together when the space of its queries and keys, or the way they are compared, is replaced?",
    zh: "当查询与键所在的空间、或比较它们的方式被替换后，模型会认为哪些东西应当归在一起？",
  },
  usage: { en: "Usage:", zh: "用法：" },
  arguments: { en: "Arguments:", zh: "参数：" },
  options: { en: "Options:", zh: "选项：" },
  globalOptions: { en: "Global options:", zh: "通用选项：" },
  commands: { en: "Commands:", zh: "命令：" },
  choices: (list: string): Bilingual => ({ en: `one of ${list}`, zh: `可选 ${list}` }),
  fallback: (value: string): Bilingual => ({ en: `default ${value}`, zh: `默认 ${value}` }),
  help: { en: "show this help", zh: "显示帮助" },
  version: { en: "print the version", zh: "输出版本号" },
  lang: {
    en: "language of help and messages (default from the locale)",
    zh: "帮助与消息的语言（默认取自系统区域设置）",
  },
  quiet: { en: "only errors on stderr", zh: "stderr 上只输出错误" },
  verbose: { en: "details, and the stack of an unexpected error", zh: "输出细节，以及意外错误的调用栈" },
  json: { en: "print one JSON document", zh: "输出一个 JSON 文档" },
  format: { en: "form of the printed table", zh: "所输出表格的格式" },
  moreHelp: {
    en: "`qklab COMMAND --help` tells all of one command. stdout carries data only; everything else goes to stderr.",
    zh: "“qklab 命令 --help”给出某个命令的全部说明。stdout 只输出数据，其余内容都写到 stderr。",
  },
  next: (command: string): Bilingual => ({ en: `Next: ${command}`, zh: `下一步：${command}` }),
  error: { en: "Error: ", zh: "错误：" },
  unexpected: (message: string): Bilingual => ({
    en: `Cannot go on as something failed that should not: ${message}. Run it again with -v for the place, and report it`,
    zh: `无法继续，因为发生了不该发生的错误：${message}。请加 -v 重新运行以查看位置，并报告该问题`,
  }),
  system: (message: string): Bilingual => ({
    en: `Cannot go on as the file system must allow it: ${message}. Check the path and its rights`,
    zh: `无法继续，因为文件系统必须允许该操作：${message}。请检查路径与权限`,
  }),
  diskFull: (message: string): Bilingual => ({
    en: `Cannot go on as the disk must have room: ${message}. Free some space, then go on with --resume`,
    zh: `无法继续，因为磁盘必须有空间：${message}。请释放空间，然后用 --resume 继续`,
  }),
} satisfies Record<string, Text>;
