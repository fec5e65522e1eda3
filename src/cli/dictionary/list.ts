/** @file Dictionary of `qklab list`. */
import { type Bilingual, type Text } from "../language.ts";

export const texts = {
  summary: {
    en: "what there is: similarities, positions, patterns, selections, normalisers, aggregations, recurrences, routings of experts, tasks, presets",
    zh: "列出现有内容：相似度、位置、模式、选择、归一化、聚合、循环规则、专家路由、任务、预设",
  },
  what: { en: "which kind; all of them when absent", zh: "哪一类；省略则全部列出" },
  required: (option: string): Bilingual => ({ en: `${option} (needed)`, zh: `${option}（必需）` }),
  kinds: {
    similarities: { en: "similarity", zh: "相似度" },
    positions: { en: "position", zh: "位置" },
    patterns: { en: "pattern", zh: "模式" },
    selections: { en: "selection", zh: "选择" },
    normalisers: { en: "normaliser", zh: "归一化" },
    aggregations: { en: "aggregation", zh: "聚合" },
    recurrences: { en: "recurrence", zh: "循环规则" },
    routings: { en: "routing", zh: "专家路由" },
    tasks: { en: "task", zh: "任务" },
    presets: { en: "preset", zh: "预设" },
  },
  columns: {
    kind: { en: "kind", zh: "类别" },
    name: { en: "name", zh: "名称" },
    about: { en: "formula or contents", zh: "公式或内容" },
    formula: { en: "formula", zh: "公式" },
    inputs: { en: "inputs", zh: "输入" },
    options: { en: "options", zh: "选项" },
    source: { en: "source", zh: "来源" },
    title: { en: "what it is", zh: "内容" },
    metric: { en: "metric", zh: "指标" },
    unit: { en: "progress in", zh: "进度单位" },
    rates: { en: "learning rates", zh: "学习率" },
    data: { en: "data", zh: "数据" },
    tasks: { en: "tasks", zh: "任务" },
    attentions: { en: "attentions", zh: "注意力" },
    seeds: { en: "seeds", zh: "种子数" },
    runs: { en: "runs", zh: "运行次数" },
  },
} satisfies Record<string, Text | Record<string, Text>>;
