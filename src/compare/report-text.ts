/** @file The words of the report in both languages; tasks and measurements have theirs in `labels.ts`. */
import { type Bilingual } from "./bilingual.ts";
import { rankRule } from "./table-text.ts";

/** What stands on and under plots. */
export const plotText = {
  metric: { en: "mean, standard deviation and seeds (small dots)", zh: "均值、标准差与各随机种子（小点）" },
  curves: {
    en: "training loss at the chosen learning rate (thin: seeds)",
    zh: "所选学习率下的训练损失（细线为各随机种子）",
  },
  rates: {
    en: "validation metric against learning rate (filled: chosen, ×: diverged)",
    zh: "验证集指标与学习率（实心为所选，× 为发散）",
  },
  against: (what: Bilingual, along: Bilingual): Bilingual => ({
    en: `${what.en} against ${along.en}`,
    zh: `${what.zh}与${along.zh}`,
  }),
  variant: ({ en, zh }: Bilingual): Bilingual => ({ en: `metric against ${en}`, zh: `指标与${zh}` }),
  cost: { en: "metric against time per step", zh: "指标与每步时间" },
  state: { en: "metric against the state kept at inference", zh: "指标与推理时保存的状态" },
  parameters: { en: "metric against parameters", zh: "指标与参数量" },
  activeParameters: {
    en: "metric against the parameters that one token meets",
    zh: "指标与单个词元用到的参数量",
  },
  step: { en: "step", zh: "步" },
  loss: { en: "training loss", zh: "训练损失" },
  learningRate: { en: "learning rate", zh: "学习率" },
  length: { en: "length", zh: "长度" },
} as const;

/** What stands around them. */
export const reportText = {
  title: { en: "Comparison of attentions", zh: "注意力机制比较" },
  question: {
    en: "What does a model come to believe belongs together when the way its queries and keys are compared is replaced?",
    zh: "当查询与键的比较方式被替换后，模型会认为哪些东西应当归在一起？",
  },
  language: { en: "Language", zh: "语言" },
  theme: { en: "Colours", zh: "颜色" },
  themeAuto: { en: "system", zh: "跟随系统" },
  themeLight: { en: "light", zh: "浅色" },
  themeDark: { en: "dark", zh: "深色" },
  verdicts: { en: "What the field expects, and what was measured", zh: "领域的预期与实测结果" },
  verdictsLead: {
    en: "Every verdict is computed from the numbers of this comparison.",
    zh: "每条结论都由本次比较的数据计算得出。",
  },
  unmeasured: (count: number): Bilingual => ({
    en: `Not measured by this comparison: ${count} ${count === 1 ? "expectation" : "expectations"}`,
    zh: `本次比较未测量：${count} 条预期`,
  }),
  source: { en: "Source", zh: "来源" },
  matrix: { en: "Results", zh: "结果" },
  matrixCaption: {
    en: "Test metric: mean ± standard deviation over seeds, at the learning rate that is best on validation data. The deeper a cell's tint, the better within its column.",
    zh: "测试指标：按验证集选出最佳学习率后，各随机种子的均值 ± 标准差。底色越深，在该列中越好。",
  },
  similarity: { en: "similarity", zh: "相似度" },
  notPlanned: { en: "not compared", zh: "未参与比较" },
  best: { en: "best", zh: "最佳" },
  tied: { en: "tied for the best", zh: "并列最佳" },
  partial: { en: "runs missing", zh: "部分运行缺失" },
  edge: { en: "best at the edge of the learning rates", zh: "最佳学习率位于边缘" },
  failures: { en: "Failed runs", zh: "失败的运行" },
  notes: { en: "Notes of the runs", zh: "运行附注" },
  details: {
    en: "measured at the chosen learning rate (means over seeds)",
    zh: "所选学习率下的测量值（各随机种子的均值）",
  },
  bySize: { en: "what each size buys", zh: "各规模的效果" },
  size: { en: "sizes", zh: "规模" },
  learningRate: { en: "learning rate", zh: "学习率" },
  rank: { en: "rank", zh: "名次" },
  preset: { en: "preset", zh: "预设" },
  seeds: { en: "seeds", zh: "种子数" },
  settings: { en: "Settings", zh: "设置" },
  runs: { en: "Every run", zh: "全部运行" },
  runsCaption: { en: "All runs with their test metric", zh: "全部运行及其测试指标" },
  task: { en: "task", zh: "任务" },
  seed: { en: "seed", zh: "种子" },
  status: { en: "status", zh: "状态" },
  value: { en: "test metric", zh: "测试指标" },
  method: { en: "How it was measured", zh: "测量方法" },
  environment: { en: "Environment", zh: "环境" },
  data: { en: "Data of this report", zh: "本报告的数据" },
  downloadJson: { en: "Download as JSON", zh: "下载 JSON" },
  downloadCsv: { en: "Download the cells as CSV", zh: "下载单元格 CSV" },
  statuses: {
    finished: { en: "finished", zh: "完成" },
    diverged: { en: "diverged", zh: "发散" },
    failed: { en: "failed", zh: "失败" },
    left: { en: "not run", zh: "未运行" },
  },
} as const;

/** How the numbers came about, one paragraph each. */
export const methodText: readonly Bilingual[] = [
  {
    en: "Every cell is trained at each of its learning rates with each seed. The rate with the best mean on validation data is chosen, among those at which most seeds finished; the cell shows the test metric at that rate only.",
    zh: "每个单元格在其每个学习率、每个随机种子下各训练一次。在完成种子数最多的学习率中，选取验证集均值最佳者；单元格只显示该学习率下的测试指标。",
  },
  rankRule,
  {
    en: "Temperatures are calibrated before training, for every similarity alike: rows of scores start with unit standard deviation, and the temperature is then learned. Nothing else differs between the attentions of a task.",
    zh: "训练前对所有相似度一视同仁地校准温度：每行分数的初始标准差为 1，之后温度参与学习。同一任务内的各注意力除此之外没有差别。",
  },
  {
    en: "Every run is a process of its own; peak memory is that process's. Time per step is the median over steps, measured while other runs used the other cores.",
    zh: "每次运行都是独立进程，峰值内存即该进程的峰值。每步时间取各步的中位数，测量时其他核心上有其他运行。",
  },
];
