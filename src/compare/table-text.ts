/** @file The words of the table in both languages. */
import { type Bilingual } from "./bilingual.ts";

/** Everything that a table says beside numbers and names. */
export const tableText = {
  similarity: { en: "similarity", zh: "相似度" },
  failed: { en: "failed", zh: "失败" },
  left: { en: "not run", zh: "未运行" },
  notes: { en: "Failed:", zh: "失败：" },
  best: { en: "better than every other by more than the spread", zh: "优于其他所有结果，且差异大于离散程度" },
  "tied-with-best": {
    en: "tied for the best: the difference is inside the spread",
    zh: "并列最佳：差异在离散范围之内",
  },
  partial: { en: "some of its runs are missing", zh: "部分运行缺失" },
  edge: {
    en: "best at the first or last learning rate tried: a better one may lie outside",
    zh: "最佳学习率位于所试范围的边缘：更好的可能在范围之外",
  },
  spread: {
    en: "mean ± standard deviation over seeds, at the learning rate chosen on validation data",
    zh: "按验证集选出的学习率下，各随机种子的均值 ± 标准差",
  },
  oneSeed: {
    en: "one seed: its spread is not known, so nothing is ranked",
    zh: "只有一个随机种子：离散程度未知，因此不排名",
  },
} as const;

/** The rule of ranks, for reports. */
export const rankRule: Bilingual = {
  en:
    "Within a task, a difference of two means counts only when it is larger than the larger of their two standard " +
    "deviations; otherwise it is a tie. A rank is 1 plus the number of attentions that are better by such a difference. " +
    "With one seed the spread is not known: nothing is ranked and no winner is named.",
  zh:
    "在同一任务内，两个均值之差只有大于二者标准差中较大的一个才算差异，否则视为平局。名次为 1 加上以此标准更优的注意力个数。" +
    "只有一个随机种子时离散程度未知：不排名，也不评出胜者。",
};
