/** @file Dictionary of `qklab emit`. */
import { type Bilingual, type Text } from "../language.ts";

export const texts = {
  summary: {
    en: "print the code that an attention or a recurrence runs as, the formula above every block",
    zh: "输出注意力或循环规则实际运行的代码，每一块上方都有公式",
  },
  details: {
    en:
      "Prints WebAssembly's text format; --format wasm writes the bytes, whose name section holds the same names. Lengths, heads and batch are given at " +
      "the call, so the code depends on what is named and its widths alone; --bias and --mask are for calls of attentions that have them.",
    zh:
      "输出 WebAssembly 文本格式；--format wasm 写出字节，其名称段含有相同的名称。长度、头数与批次在调用时给出，因此代码只取决于所选部件及其宽度；" +
      "--bias 与 --mask 用于带有它们的调用。",
  },
  spec: { en: "what to emit, such as l2+causal or gla", zh: "要输出的选择器，例如 l2+causal 或 gla" },
  device: { en: "whose code", zh: "哪种设备的代码" },
  width: { en: "D, width of queries and keys", zh: "查询与键的宽度 D" },
  valueWidth: { en: "E, width of values (default D)", zh: "值的宽度 E（默认 D）" },
  only: {
    en: "regular expression of the functions to print, such as '^forward'",
    zh: "要输出的函数名的正则表达式，例如 '^forward'",
  },
  plainSimd: {
    en: "without relaxed SIMD, for engines that do not have it",
    zh: "不使用 relaxed SIMD，用于不支持它的引擎",
  },
  bias: { en: "for calls with a bias", zh: "用于带 bias 的调用" },
  mask: { en: "for calls with a mask", zh: "用于带 mask 的调用" },
  featureMap: {
    en: "the kernel that maps the queries and keys of a recurrence, which runs before its own",
    zh: "输出映射循环规则的查询与键的内核，它在循环规则自己的内核之前运行",
  },
  format: { en: "text, or the bytes of the module", zh: "文本，或模块的字节" },
  out: { en: "file to write instead of stdout", zh: "写入该文件而不是 stdout" },
  json: {
    en: "print one JSON document about the kernel instead of its code",
    zh: "输出一个关于内核的 JSON 文档，而不是代码",
  },
  missingPattern: (spec: string): Bilingual => ({
    en: `Cannot emit '${spec}' as it must be said which pairs are allowed: no pattern. Write ${spec}+full or ${spec}+causal`,
    zh: `无法输出 '${spec}'，因为必须说明允许哪些配对：没有给出模式。请写 ${spec}+full 或 ${spec}+causal`,
  }),
  positionOutside: (name: string): Bilingual => ({
    en: `Cannot emit '${name}' as it is added to token embeddings, which a kernel never sees. Use rope, alibi or log-cpb`,
    zh: `无法输出 '${name}'，因为它是加在词元嵌入上的，内核看不到。请用 rope、alibi 或 log-cpb`,
  }),
  onlyAttention: (flag: string, selector: string): Bilingual => ({
    en: `Cannot emit '${selector}' with ${flag} as a recurrence compares no pairs that it could be for: ${flag} was given. Leave it out`,
    zh: `无法以 ${flag} 输出 '${selector}'，因为循环规则没有它所针对的配对：给出了 ${flag}。请去掉它`,
  }),
  onlyRecurrence: (spec: string): Bilingual => ({
    en: `Cannot emit the feature map of '${spec}' as an attention has none: --feature-map was given. Leave it out`,
    zh: `无法输出 '${spec}' 的特征映射，因为注意力没有特征映射：给出了 --feature-map。请去掉它`,
  }),
  noWebgpu: {
    en: "Cannot emit for webgpu as its kernels are not built yet: --device webgpu. Use --device wasm",
    zh: "无法为 webgpu 输出代码，因为它的内核尚未实现：--device webgpu。请用 --device wasm",
  },
  noKernels: (device: string): Bilingual => ({
    en: `Cannot emit for ${device} as it has no kernels of its own that could be printed: --device ${device}. Use --device wasm`,
    zh: `无法为 ${device} 输出代码，因为它没有可输出的内核：--device ${device}。请用 --device wasm`,
  }),
  badPattern: (pattern: string, problem: string): Bilingual => ({
    en: `Cannot use --only as it must be a regular expression: '${pattern}' (${problem}). Write for example '^forward'`,
    zh: `无法使用 --only，因为它必须是正则表达式：'${pattern}'（${problem}）。例如可写 '^forward'`,
  }),
  noFunction: (pattern: string, known: string): Bilingual => ({
    en: `Cannot print a kernel as --only must match one of its functions: '${pattern}' matches none of ${known}. Choose among them`,
    zh: `无法输出内核，因为 --only 必须匹配其中的函数：'${pattern}' 与以下都不匹配：${known}。请从中选择`,
  }),
  wholeModule: {
    en: "Cannot write a part of the bytes as a module must hold all functions that it calls: --only with --format wasm. Drop one of them",
    zh: "无法只写出部分字节，因为模块必须含有它调用的全部函数：同时给出了 --only 与 --format wasm。请去掉其中一个",
  },
  terminal: {
    en: "Cannot print bytes as a terminal shows text only: stdout is a terminal. Name a file with --out, or use a pipe",
    zh: "无法输出字节，因为终端只显示文本：stdout 是终端。请用 --out 指定文件，或使用管道",
  },
  noFolder: (path: string): Bilingual => ({
    en: `Cannot write ${path} as its folder must be there: it is absent. Make the folder first`,
    zh: `无法写入 ${path}，因为它所在的文件夹必须存在。请先创建该文件夹`,
  }),
  done: (hash: string, selector: string, count: number, size: string): Bilingual => ({
    en: `Kernel ${hash} of ${selector}: ${count} functions, ${size} as bytes`,
    zh: `${selector} 的内核 ${hash}：${count} 个函数，字节形式为 ${size}`,
  }),
} satisfies Record<string, Text>;
