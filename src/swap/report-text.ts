/** @file The words of a report of swaps, in both languages. */
import { type Bilingual } from "../compare/bilingual.ts";

/** What stands in the report. */
export const swapText = {
  title: { en: "What a swapped attention changes", zh: "替换注意力后的变化" },
  lead: {
    en: "The attention of a trained model was replaced, and nothing was trained again but where an adapter is named. What the model still knows, and where it breaks, is measured.",
    zh: "替换了训练好的模型的注意力；除标明的适配器外，没有再训练。这里测量模型还保留什么、在哪里失效。",
  },
  base: { en: "the model's own", zh: "模型原有" },
  attention: { en: "attention", zh: "注意力" },
  layer: { en: "layer", zh: "层" },
  layers: { en: "layers", zh: "层" },
  head: { en: "layer.head", zh: "层.头" },
  perplexity: { en: "perplexity", zh: "困惑度" },
  perplexityBefore: { en: "perplexity before", zh: "替换前困惑度" },
  perplexityAfter: { en: "perplexity after", zh: "替换后困惑度" },
  bits: { en: "bits per character", zh: "每字符比特数" },
  bitsAfter: { en: "bits per character after", zh: "替换后每字符比特数" },
  change: { en: "Δ bits per character", zh: "Δ 每字符比特数" },
  error: { en: "standard error", zh: "标准误" },
  stream: { en: "error of the last stream", zh: "最后残差流误差" },
  streamHere: { en: "error of the stream, all upstream swapped", zh: "残差流误差（含上游替换）" },
  tokens: { en: "tokens", zh: "个词元" },
  characters: { en: "characters", zh: "个字符" },
  source: { en: "Text", zh: "文本" },
  recovered: { en: "recovered", zh: "恢复" },
  recoveredMeans: {
    en: "Recovered is the share of the bits that an adapter's attentions cost before they learned which what it learned wins back: 100 % is the model's own, 0 % what the attentions alone give.",
    zh: "“恢复”是适配器的注意力在学习之前所损失的比特数中，通过学习挽回的比例：100 % 即回到原模型，0 % 即只换注意力而不学习。",
  },
  cut: {
    en: "the temperature is at its largest value, and rows of scores spread less than they should, in heads",
    zh: "以下各头的温度已达上限，分数各行的离散程度低于应有值：",
  },
  needed: { en: "needed", zh: "需要" },
  temperature: { en: "temperature", zh: "温度" },
  matrix: { en: "Which layers bear it", zh: "哪些层能承受" },
  matrixCaption: {
    en: "Bits per character more than the model's own attention needs, by attention and swapped layer. The deeper the tint, the worse.",
    zh: "与原有注意力相比每字符多用的比特数，按注意力与被替换的层列出。底色越深越差。",
  },
  cost: { en: "What each swap costs", zh: "每次替换的代价" },
  costCaption: {
    en: "On the same windows of the text; the standard error is that of the difference over windows.",
    zh: "在文本的相同窗口上测量；标准误为各窗口差值的标准误。",
  },
  local: { en: "Layers by themselves", zh: "各层自身的变化" },
  localCaption: {
    en: "Both attentions on the queries, keys and values of the unchanged model; an adapter's, on those that it makes of the same stream. Means over rows and heads. A dash: the attention has no weights of its own, or its outputs depend on more than these.",
    zh: "两种注意力都作用于原模型的查询、键和值；适配器的注意力作用于它由同一残差流得到的查询、键和值。取各行、各头的均值。短横表示该注意力没有权重，或其输出还取决于其他量。",
  },
  byHead: { en: "Head by head", zh: "逐头" },
  divergence: { en: "KL(own‖swapped), nats", zh: "KL（原‖新），奈特" },
  variation: { en: "total variation", zh: "总变差" },
  outputError: { en: "relative error of outputs", zh: "输出相对误差" },
  entropyBefore: { en: "entropy before", zh: "替换前熵" },
  entropyAfter: { en: "entropy after", zh: "替换后熵" },
  sinkBefore: { en: "first token before", zh: "替换前首词元权重" },
  sinkAfter: { en: "first token after", zh: "替换后首词元权重" },
  needles: { en: "A hidden fact, by depth", zh: "按深度找回隐藏的事实" },
  needlesCaption: {
    en: "How much likelier the right answer is than the likeliest wrong one (above 0: found), by where the fact stands.",
    zh: "正确答案比最可能的错误答案高出多少（大于 0 即找到），按事实所在深度。",
  },
  needlesTable: { en: "Facts found, by depth", zh: "按深度找到的事实数" },
  depth: { en: "depth, %", zh: "深度，%" },
  margin: { en: "ln p(right) − ln p(wrong)", zh: "ln p(对) − ln p(错)" },
  said: { en: "What is said", zh: "续写的文本" },
  saidCaption: { en: "The likeliest token at every place", zh: "每一步取最可能的词元" },
  prompt: { en: "Prompt", zh: "提示" },
  missing: { en: "Not measured", zh: "未测量" },
  left: { en: "cells are left", zh: "个单元格未完成" },
  method: { en: "How it was measured", zh: "测量方法" },
  download: { en: "Download as JSON", zh: "下载 JSON" },
} as const;

/** How the numbers came about, one paragraph each. */
export const swapMethods: readonly Bilingual[] = [
  {
    en: "Temperatures that were left out are turned, head by head, until the rows of the new scores spread as those of the old on the model's own queries and keys (unless calibration is none). A similarity whose parameter has a largest value may not reach the spread; heads where that is so are named.",
    zh: "未写明的温度逐头调整，使新分数各行的离散程度与原分数在模型自身查询和键上的离散程度一致（校准为 none 时除外）。参数有上限的相似度可能达不到；这样的头会列出。",
  },
  {
    en: "Perplexity is e to the mean −ln p of a token; bits per character divide the bits of the whole text by its characters. Windows follow each other without overlap, each after the mark that begins a text where the tokenizer has one, so the first tokens of a window have little before them.",
    zh: "困惑度为每个词元平均 −ln p 的指数；每字符比特数为全文比特数除以字符数。窗口互不重叠，若分词器有起始标记则每个窗口都以它开头，因此窗口开头的词元几乎没有上文。",
  },
  {
    en: "Weights and outputs of layers, and residual streams, are those of the first window.",
    zh: "各层的权重、输出与残差流取自第一个窗口。",
  },
];
