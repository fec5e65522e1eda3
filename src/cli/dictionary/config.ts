/** @file Dictionary: config files and the options of runs. */
import { type Bilingual, type Text } from "../language.ts";

export const texts = {
  preset: { en: "size of the comparison", zh: "比较的规模" },
  tasks: { en: "tasks, a comma list; see `qklab list tasks`", zh: "任务，逗号列表；见“qklab list tasks”" },
  task: { en: "the task; see `qklab list tasks`", zh: "任务；见“qklab list tasks”" },
  similarities: {
    en: "attentions, a comma list of selectors such as dot,l2,cosine+rope",
    zh: "注意力选择器的逗号列表，例如 dot,l2,cosine+rope",
  },
  similarity: {
    en: "the attention, such as l2 or dot+rope:theta=100",
    zh: "注意力选择器，例如 l2 或 dot+rope:theta=100",
  },
  seeds: { en: "seeds, a comma list", zh: "随机种子，逗号列表" },
  seed: { en: "seed (default 0)", zh: "随机种子（默认 0）" },
  rates: {
    en: "learning rates to try, a comma list (default the recipe's)",
    zh: "要尝试的学习率，逗号列表（默认取任务自带的）",
  },
  rate: {
    en: "learning rate (default the middle one of the recipe's)",
    zh: "学习率（默认取任务自带列表的中间值）",
  },
  set: {
    en: "a task's setting, such as language.steps=100; may be repeated",
    zh: "任务的设置，例如 language.steps=100；可重复",
  },
  config: {
    en: "TOML or JSON with the flags' names as keys; flags win",
    zh: "以选项名为键的 TOML 或 JSON 文件；命令行选项优先",
  },
  out: {
    en: "folder that run folders are made in (default runs)",
    zh: "存放运行文件夹的文件夹（默认 runs）",
  },
  name: { en: "part of the folder's name", zh: "文件夹名称的一部分" },
  resume: {
    en: "go on with a stopped one: its folder, or latest (default)",
    zh: "继续已停止的：给出其文件夹，或 latest（默认）",
  },
  maxTime: {
    en: "stop after 90s, 10m, 1h30m, with a checkpoint",
    zh: "在 90s、10m、1h30m 后停止并保存检查点",
  },
  threads: { en: "threads (default 1)", zh: "线程数（默认 1）" },
  jobs: { en: "runs at a time (default one a core)", zh: "同时进行的运行数（默认每核一个）" },
  device: {
    en: "what computes attentions: wasm, the fused kernels (auto); jax, their composition on jax-js",
    zh: "由什么计算注意力：wasm，融合内核（auto）；jax，在 jax-js 上的组合",
  },
  noDevice: {
    en: "Cannot train on webgpu as this version trains on WebAssembly only: --device webgpu. Use --device wasm, or leave it out",
    zh: "无法在 webgpu 上训练，因为此版本只在 WebAssembly 上训练：--device webgpu。请用 --device wasm，或省略该选项",
  },
  resumeAlone: (flag: string): Bilingual => ({
    en: `Cannot resume with ${flag} as what was begun decides it: both were given. Drop ${flag}, or start anew without --resume`,
    zh: `无法同时使用 --resume 与 ${flag}，因为它由已开始的运行决定。请去掉 ${flag}，或不用 --resume 重新开始`,
  }),
  nothingToResume: (out: string): Bilingual => ({
    en: `Cannot resume the latest run as one must lie in ${out}: there is none. Start one, or pass its folder`,
    zh: `无法继续最近的运行，因为 ${out} 中必须有一个：没有找到。请先开始一个，或给出它的文件夹`,
  }),
  unknownKey: (
    path: string,
    key: string,
    known: readonly string[],
    nearest: readonly string[],
  ): Bilingual => ({
    en: `Cannot use ${path} as its keys must be ${known.join(", ")}: '${key}'. Did you mean '${nearest.join("' or '")}'?`,
    zh: `无法使用 ${path}，因为它的键必须是 ${known.join("、")}：'${key}'。您是不是想用 '${nearest.join("' 或 '")}'？`,
  }),
  badValue: (path: string, key: string, problem: string): Bilingual => ({
    en: `Cannot use ${path} as the value of '${key}' must fit its flag: ${problem}. Write it as after --${key.split(".")[0]}`,
    zh: `无法使用 ${path}，因为 '${key}' 的值必须符合对应选项：${problem}。请按 --${key.split(".")[0]} 的写法书写`,
  }),
  unreadable: (path: string, problem: string): Bilingual => ({
    en: `Cannot read ${path} as the config file must be there and readable: ${problem}. Check the path`,
    zh: `无法读取 ${path}，因为配置文件必须存在且可读：${problem}。请检查路径`,
  }),
  form: (path: string): Bilingual => ({
    en: `Cannot read ${path} as a config file must end in .toml or .json: its name says neither. Rename it`,
    zh: `无法读取 ${path}，因为配置文件必须以 .toml 或 .json 结尾。请重命名`,
  }),
  unparsable: (path: string, problem: string): Bilingual => ({
    en: `Cannot read ${path} as it must be well-formed: ${problem}. Mend it there`,
    zh: `无法读取 ${path}，因为它的格式必须正确：${problem}。请修正`,
  }),
} satisfies Record<string, Text>;
