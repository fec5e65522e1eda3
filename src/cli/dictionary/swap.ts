/** @file Dictionary of `qklab swap`. */
import { type Bilingual, type Text } from "../language.ts";

export const texts = {
  summary: {
    en: "what changes at once when a trained model's attention is replaced",
    zh: "替换训练好的模型的注意力后，立刻有哪些变化",
  },
  details: {
    en:
      "Measures perplexity and bits per character, weights, outputs, entropy and first tokens of each layer, hidden facts by depth, and what is said after a prompt, before " +
      "and after. An adapter is measured against the same model, also with its attentions as they were before they learned. A comma list of selectors, and --each-layer, are a matrix; each cell is kept when it is measured, and --resume goes on. Writes report.html and report.json.",
    zh: "测量替换前后的困惑度与每字符比特数，各层的权重、输出、熵与首词元权重，按深度隐藏的事实，以及提示后的续写。适配器与同一模型比较，并测量其注意力在学习之前的情形。选择器的逗号列表与 --each-layer 构成矩阵；每个单元格测完即保存，--resume 继续。写出 report.html 和 report.json。",
  },
  model: {
    en: "folder, file of weights, minimind, or hf:owner/name@revision",
    zh: "文件夹、权重文件、minimind 或 hf:owner/name@revision",
  },
  attention: { en: "what takes the place of the model's own", zh: "用来替换的注意力" },
  adapter: {
    en: "what distil has taught this model, in its folder; again for several",
    zh: "distil 为该模型训练得到的适配器文件夹；可多次给出",
  },
  layers: { en: "layers, such as 2-5 or 0,3 (default all)", zh: "层，如 2-5 或 0,3（默认全部）" },
  heads: { en: "query heads (default all)", zh: "查询头（默认全部）" },
  eachLayer: { en: "one layer at a time", zh: "每次只替换一层" },
  eval: { en: "a text file, or the text itself", zh: "文本文件，或文本本身" },
  calibrate: {
    en: "temperatures that are left out get the spread of the old scores, or stay",
    zh: "未写明的温度按原分数的离散程度校准，或保持不变",
  },
  context: { en: "tokens of a window", zh: "每个窗口的词元数" },
  tokens: { en: "at most so many tokens of the text", zh: "最多使用文本的多少词元" },
  prompt: { en: "what the models go on from", zh: "供模型续写的提示" },
  newTokens: { en: "tokens that they say", zh: "续写的词元数" },
  needles: {
    en: "tokens of a text that a fact is hidden in; 0 hides none",
    zh: "隐藏事实的文本长度（词元）；0 表示不测",
  },
  out: { en: "where the folder is made", zh: "在何处建立文件夹" },
  resume: { en: "go on with this folder", zh: "继续该文件夹" },
  maxTime: { en: "begin no cell after this time", zh: "超过此时间后不再开始新的单元格" },
  seed: { en: "seed of new parameters and of hidden facts", zh: "新参数与隐藏事实的随机种子" },
  threads: { en: "threads of the kernels", zh: "内核线程数" },
  planned: (cells: number, folder: string): Bilingual => ({
    en: `${cells} swaps, in ${folder}`,
    zh: `${cells} 次替换，文件夹 ${folder}`,
  }),
  reused: (cells: number): Bilingual => ({ en: `${cells} are done already`, zh: `其中 ${cells} 次已经完成` }),
  base: { en: "the model's own attention", zh: "模型原有的注意力" },
  measured: (cell: string, before: string, after: string, time: string): Bilingual => ({
    en: `✓ ${cell}: ${before} → ${after} bits per character in ${time}`,
    zh: `✓ ${cell}：每字符 ${before} → ${after} 比特，用时 ${time}`,
  }),
  failed: (cell: string, message: string): Bilingual => ({
    en: `✗ ${cell}: ${message}`,
    zh: `✗ ${cell}：${message}`,
  }),
  stopping: {
    en: "Stopping after this swap; press Ctrl-C again to stop at once",
    zh: "测完当前替换后停止；再按一次 Ctrl-C 立即停止",
  },
  left: (cells: number): Bilingual => ({ en: `${cells} swaps are left`, zh: `剩余 ${cells} 次替换` }),
  report: (path: string): Bilingual => ({ en: `Report: ${path}`, zh: `报告：${path}` }),
  alone: (option: string): Bilingual => ({
    en: `Cannot swap as --resume goes on with what its folder asks for: ${option} was given too. Drop it, or begin anew`,
    zh: `无法替换，因为 --resume 会按文件夹中的要求继续：还给出了 ${option}。请去掉它，或重新开始`,
  }),
  placesAlone: (flag: string): Bilingual => ({
    en: `Cannot use ${flag} without --attention as it says where another attention goes: only an adapter was given, which has its own places. Add --attention, or drop ${flag}`,
    zh: `没有 --attention 时无法使用 ${flag}，因为它说明另一种注意力放在哪里：只给出了适配器，而适配器自有其位置。请加上 --attention，或去掉 ${flag}`,
  }),
  cut: (cell: Bilingual, layers: string, heads: readonly string[]): Bilingual => ({
    en: `Note: ${cell.en} · ${layers}: the temperature is at its largest value, and scores spread less than they should, in heads ${headList(heads, "en")}`,
    zh: `注意：${cell.zh} · ${layers}：以下各头的温度已达上限，分数的离散程度低于应有值：${headList(heads, "zh")}`,
  }),
  columns: {
    attention: { en: "attention", zh: "注意力" },
    layers: { en: "layers", zh: "层" },
    perplexity: { en: "perplexity", zh: "困惑度" },
    bits: { en: "bits/character", zh: "比特/字符" },
    change: { en: "Δ bits", zh: "Δ 比特" },
    error: { en: "± error", zh: "± 标准误" },
    divergence: { en: "KL, nats", zh: "KL，奈特" },
    output: { en: "output error", zh: "输出误差" },
    stream: { en: "stream error", zh: "残差流误差" },
    entropy: { en: "entropy", zh: "熵" },
    sink: { en: "first token", zh: "首词元" },
    needles: { en: "facts found", zh: "找到的事实" },
    recovered: { en: "recovered", zh: "恢复比例" },
  },
} satisfies Record<string, Text | Readonly<Record<string, Text>>>;

const headsNamed = 8;

/** The first of them, and how many there are. */
function headList(heads: readonly string[], language: "en" | "zh"): string {
  const named = heads.slice(0, headsNamed).join(language === "en" ? ", " : "、");
  const left = heads.length - headsNamed;
  if (left <= 0) return named;
  return language === "en" ? `${named} and ${left} more` : `${named} 等 ${heads.length} 个`;
}
