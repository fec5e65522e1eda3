/** @file Dictionary of `qklab distil`. */
import { type Bilingual, type Text } from "../language.ts";

export const texts = {
  summary: {
    en: "teach a swapped attention of a trained model to do as the original",
    zh: "教会训练好的模型中被替换的注意力模仿原来的注意力",
  },
  details: {
    en:
      "Each swapped layer learns from the original's queries, keys, values and outputs; then, with --tune-steps, the whole model is tuned by changes of " +
      "low rank. The folder becomes an adapter for --adapter; the model's own files stay as they are. Ctrl-C writes a checkpoint and stops; --resume goes " +
      "on with the same numbers as a run that was never stopped.",
    zh:
      "每个被替换的层都向原层的查询、键、值和输出学习；之后若给出 --tune-steps，则用低秩改动微调整个模型。文件夹成为可用于 --adapter 的适配器，模型自身的文件保持不变。" +
      "Ctrl-C 会保存检查点并停止；--resume 继续后得到与从未停止时相同的数值。",
  },
  model: {
    en: "a model: a folder, a file of weights, minimind, or hf:owner/name",
    zh: "模型：文件夹、权重文件、minimind 或 hf:owner/name",
  },
  attention: {
    en: "what takes the place of the attention, such as linear:map=hedgehog",
    zh: "用来替换的注意力，例如 linear:map=hedgehog",
  },
  layers: { en: "layers, such as 4-7 or 0,2 (default all)", zh: "层，例如 4-7 或 0,2（默认全部）" },
  heads: { en: "query heads, such as 0-3 (default all)", zh: "查询头，例如 0-3（默认全部）" },
  calibrate: {
    en: "spread: temperatures that are left out begin turned to the original's scores, and learn; none: as written (default spread)",
    zh: "spread：未写出的温度先按原注意力的分数校准，再学习；none：按所写（默认 spread）",
  },
  data: {
    en: "a text file, or generated:TOKENS, which the model itself writes (default generated:24k)",
    zh: "文本文件，或由模型自己写出的 generated:词元数（默认 generated:24k）",
  },
  steps: { en: "steps of the layers (default 100)", zh: "逐层学习的步数（默认 100）" },
  tuneSteps: { en: "steps of the whole model after them (default 0)", zh: "其后整个模型的步数（默认 0）" },
  loss: {
    en: "what a layer is compared by (default outputs)",
    zh: "按什么与原层比较（默认 outputs）",
  },
  rank: {
    en: "rank of the changes of projections, 0 for none (default 8)",
    zh: "投影改动的秩，0 表示不改动（默认 8）",
  },
  alpha: { en: "changes are scaled by α/rank (default 16)", zh: "改动按 α/秩 缩放（默认 16）" },
  batch: { en: "windows a step (default 4)", zh: "每步的窗口数（默认 4）" },
  length: { en: "tokens of a window (default 256)", zh: "窗口的词元数（默认 256）" },
  rate: { en: "learning rate of the layers (default 0.01)", zh: "逐层学习的学习率（默认 0.01）" },
  tuneRate: { en: "learning rate of the whole model (default 0.001)", zh: "整个模型的学习率（默认 0.001）" },
  seed: { en: "seed (default 0)", zh: "随机种子（默认 0）" },
  threads: { en: "threads of the kernels (default: all processors)", zh: "内核线程数（默认：所有处理器）" },
  out: { en: "the adapter's folder", zh: "适配器的文件夹" },
  resume: { en: "go on with the stopped run in this folder", zh: "继续此文件夹中已停止的运行" },
  needs: {
    en: "Cannot distil as it must be said what and where: --model, --attention and --out are needed. Write for example --model minimind --attention linear:map=hedgehog --out adapter",
    zh: "无法蒸馏，因为必须说明对象与位置：需要 --model、--attention 与 --out。例如写 --model minimind --attention linear:map=hedgehog --out adapter",
  },
  resumeAlone: (flag: string): Bilingual => ({
    en: `Cannot resume with ${flag} as what was begun decides it: both were given. Drop ${flag}, or start anew without --resume`,
    zh: `无法同时使用 --resume 与 ${flag}，因为它由已开始的运行决定。请去掉 ${flag}，或不用 --resume 重新开始`,
  }),
  noRun: (folder: string): Bilingual => ({
    en: `Cannot resume ${folder} as it must hold a distillation: its config.json is absent or of another kind. Pass the folder of --out`,
    zh: `无法继续 ${folder}，因为其中必须有一次蒸馏：config.json 不存在或属于其他类型。请传入 --out 的文件夹`,
  }),
  noData: (path: string, problem: string): Bilingual => ({
    en: `Cannot read ${path} as the text must be a readable file: ${problem}. Check the path, or write --data generated:24k`,
    zh: `无法读取 ${path}，因为文本必须是可读文件：${problem}。请检查路径，或写 --data generated:24k`,
  }),
  writing: (done: number, all: number): Bilingual => ({
    en: `The model writes its text: ${done} of ${all} tokens`,
    zh: `模型正在写文本：${done}/${all} 个词元`,
  }),
  measured: (
    [base, swapped, imitated, distilled]: readonly string[],
    { perplexity, nats }: Readonly<Record<"perplexity" | "nats", string>>,
  ): Bilingual => {
    const isTuned = imitated !== distilled;
    return {
      en:
        `Perplexity ${base} of the model, ${swapped} swapped, ${isTuned ? `${imitated} when its layers had learned, ` : ""}${distilled} distilled: ` +
        `${perplexity} of what was lost is recovered (${nats} in nats)`,
      zh:
        `困惑度：原模型 ${base}，替换后 ${swapped}，${isTuned ? `逐层学习后 ${imitated}，` : ""}蒸馏后 ${distilled}：` +
        `挽回了损失的 ${perplexity}（以奈特计为 ${nats}）`,
    };
  },
  resumable: (folder: string): Bilingual => ({
    en: `The run is kept as far as it came: qklab distil --resume ${folder} goes on`,
    zh: `运行已保存到目前为止的进度：可用 qklab distil --resume ${folder} 继续`,
  }),
} satisfies Record<string, Text>;
