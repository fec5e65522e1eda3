/** @file What tasks, columns and measurements are called in reports and tables. */
import { type Bilingual, type Language, same } from "./bilingual.ts";
import { decimalsFor, formatBytes, formatDuration, formatNumber } from "./format.ts";
import { type PlannedColumn } from "./plan.ts";

const taskTitles: Readonly<Record<string, Bilingual>> = {
  recall: { en: "recall", zh: "联想回忆" },
  "recall-tokens": { en: "recall of tokens", zh: "词元回忆" },
  copy: { en: "copy", zh: "复制" },
  "selective-copy": { en: "selective copy", zh: "选择性复制" },
  induction: { en: "induction", zh: "归纳" },
  "associative-recall": { en: "one question about pairs", zh: "单次联想提问" },
  listops: { en: "nested operations", zh: "嵌套运算" },
  facts: { en: "facts by heart", zh: "事实记忆" },
  language: { en: "language", zh: "语言模型" },
  hierarchy: { en: "hierarchy", zh: "层级结构" },
  extrapolation: { en: "longer than trained", zh: "超出训练长度" },
  scaling: { en: "cost against length", zh: "成本与长度" },
};

/** A task's title; its name where it has none here. */
export function taskTitle(task: string): Bilingual {
  return taskTitles[task] ?? same(task);
}

/** How a measurement is called, counted and printed. */
export interface Measurement {
  readonly title: Bilingual;
  readonly format: (value: number) => string;
  /** Units that axes must show, as their numbers alone would not tell; absent for plain numbers. */
  readonly tickFormat?: (value: number) => string;
  /** What grows along a series of it; length where absent. */
  readonly along?: Bilingual;
}

const withUnit = (en: string, zh: string, format: (value: number) => string): Measurement => ({
  title: { en, zh },
  format,
  tickFormat: format,
});

const plain = (value: number): string => formatNumber(value, decimalsFor([value]));
const whole = (value: number): string => formatNumber(value, 0);

const measurements: Readonly<Record<string, Measurement>> = {
  accuracy: { title: { en: "accuracy", zh: "准确率" }, format: plain },
  exact: { title: { en: "sequences without an error", zh: "完全正确的序列" }, format: plain },
  placeAccuracy: {
    title: { en: "accuracy", zh: "准确率" },
    format: plain,
    along: { en: "place in the word (octaves)", zh: "词内位置（按倍程）" },
  },
  distanceAccuracy: {
    title: { en: "accuracy", zh: "准确率" },
    format: plain,
    along: { en: "pairs since the key was shown (octaves)", zh: "距该键上次出现的键值对数（按倍程）" },
  },
  depthAccuracy: {
    title: { en: "accuracy", zh: "准确率" },
    format: plain,
    along: { en: "nesting depth", zh: "嵌套深度" },
  },
  majorityAccuracy: {
    title: { en: "accuracy of the commonest answer", zh: "总答最常见答案的准确率" },
    format: plain,
  },
  bits: { title: { en: "bits recovered", zh: "恢复的比特数" }, format: whole },
  storedShare: { title: { en: "share of all bits", zh: "占全部比特的比例" }, format: plain },
  bitsPerParameter: { title: { en: "bits per parameter", zh: "每参数比特数" }, format: plain },
  bitsPerActiveParameter: {
    title: { en: "bits per parameter that a token meets", zh: "每个活跃参数的比特数" },
    format: plain,
  },
  activeParameters: {
    title: { en: "parameters that a token meets", zh: "单个词元用到的参数量" },
    format: whole,
  },
  lastBitsPerCharacter: {
    title: { en: "bits per character, last places of each block", zh: "每字符比特数（各块末尾）" },
    format: plain,
  },
  bitsIncrease: {
    title: { en: "increase of bits beyond the trained length", zh: "超出训练长度的比特增量" },
    format: plain,
  },
  timeMs: withUnit("time", "时间", formatDuration),
  bytes: withUnit("memory", "内存", formatBytes),
  memoryExponent: { title: { en: "exponent of memory", zh: "内存指数" }, format: plain },
  timeExponentError: { title: { en: "its standard error", zh: "其标准误差" }, format: plain },
  loss: { title: { en: "loss", zh: "损失" }, format: plain },
  bitsPerCharacter: { title: { en: "bits per character", zh: "每字符比特数" }, format: plain },
  meanAveragePrecision: { title: { en: "mean average precision", zh: "平均精度均值" }, format: plain },
  meanRank: { title: { en: "mean rank", zh: "平均排名" }, format: plain },
  timeExponent: { title: { en: "exponent of time", zh: "时间指数" }, format: plain },
  stepMs: withUnit("time per step", "每步时间", formatDuration),
  trainMs: withUnit("training time", "训练时间", formatDuration),
  peakMemoryBytes: withUnit("peak memory", "峰值内存", formatBytes),
  stateBytes: withUnit("state at inference", "推理状态", formatBytes),
  largestLogit: { title: { en: "largest score", zh: "最大分数" }, format: plain },
  entropy: { title: { en: "attention entropy (nats)", zh: "注意力熵（纳特）" }, format: plain },
  parameters: { title: { en: "parameters", zh: "参数量" }, format: whole },
};

/** How to show a measurement; one that is not listed keeps its name, spaced into words. */
export function measurement(name: string): Measurement {
  const words = name.replaceAll(/(?<=[a-z])(?=[A-Z0-9])/g, " ").toLowerCase();
  return measurements[name] ?? { title: same(words), format: plain };
}

const unitTitles: Readonly<Record<string, string>> = {
  accuracy: "准确率",
  "bits per character": "比特/字符",
  "bits per character at the longest length": "最长长度处的比特/字符",
  "share of queries": "答对比例",
  "share of questions": "答对比例",
  "share of symbols": "答对的符号比例",
  "share of expressions": "答对的表达式比例",
  bits: "比特",
};

/** The unit of a column's metric with the direction that is better: `mAP ↑`. */
export function unitTitle({ metric }: Pick<PlannedColumn, "metric">): Bilingual {
  const arrow = metric.better === "higher" ? "↑" : "↓";
  return { en: `${metric.unit} ${arrow}`, zh: `${unitTitles[metric.unit] ?? metric.unit} ${arrow}` };
}

const settingTitles: Readonly<Record<string, Bilingual>> = {
  width: { en: "width", zh: "宽度" },
  headWidth: { en: "head width", zh: "头宽度" },
  length: { en: "length", zh: "长度" },
  layers: { en: "layers", zh: "层数" },
  heads: { en: "heads", zh: "头数" },
  experts: { en: "experts", zh: "专家数" },
  choices: { en: "experts of a token", zh: "每词元专家数" },
  routing: { en: "routing", zh: "路由" },
  router: { en: "router", zh: "路由器" },
  balance: { en: "balance", zh: "均衡损失权重" },
  pairs: { en: "pairs", zh: "键值对数" },
  noise: { en: "noise", zh: "噪声长度" },
  symbols: { en: "symbols", zh: "符号数" },
  depth: { en: "depth", zh: "深度" },
  facts: { en: "facts", zh: "事实数" },
};

/** What a setting is called; its name where it has no title here. */
export function settingTitle(setting: string): Bilingual {
  return settingTitles[setting] ?? same(setting);
}

/** The settings in which a column differs from its siblings: `width 2`; empty where it has none. */
export function variantTitle({ variant }: Pick<PlannedColumn, "variant">): Bilingual {
  const list = (language: Language): string =>
    Object.entries(variant)
      .map(([setting, value]) => `${settingTitle(setting)[language]} ${value}`)
      .join(language === "en" ? ", " : "，");
  return { en: list("en"), zh: list("zh") };
}

/** A column's title in one line: `hierarchy, width 2`. */
export function columnTitle(column: Pick<PlannedColumn, "task" | "variant">): Bilingual {
  const [task, variant] = [taskTitle(column.task), variantTitle(column)];
  if (variant.en === "") return task;
  return { en: `${task.en}, ${variant.en}`, zh: `${task.zh}，${variant.zh}` };
}
