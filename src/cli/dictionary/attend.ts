/** @file Dictionary of `qklab attend`. */
import { type Bilingual, type Text } from "../language.ts";

export const texts = {
  summary: {
    en: "compute one attention on tensors of a safetensors file, forward and backward: how to check qklab against another framework",
    zh: "对 safetensors 文件中的张量计算一次注意力（前向与反向）：用来与其他框架核对结果",
  },
  details: {
    en:
      "Reads q [B, H, Q, D], k [B, G, S, D], v [B, G, S, E] (G divides H) and, where they are there, bias and mask (U8) [B or 1, H or 1, Q, S], " +
      "key_lengths (integers, [B]), param.<name>, and dout [B, H, Q, E] with --backward. Writes out, lse (under softmax), with --backward dq, dk, dv, dbias and " +
      "dparam.<name>, and the parameter values used as param.<name>; the metadata name selector, device and version. F16 and BF16 are widened to F32. " +
      "Where q, k or v is F64 the reference reads and writes F64; otherwise outputs are F32. A rule of the recurrent class, such as gla, reads what " +
      "`qklab inspect gla` lists (decay or log_decay, beta, a, kappa, ka, u, state), and dstate with --backward, the gradient of the last state; it writes out, state and " +
      "the gradients d<name>.",
    zh:
      "读取 q [B, H, Q, D]、k [B, G, S, D]、v [B, G, S, E]（G 整除 H），以及文件中存在的 bias 与 mask（U8）[B 或 1, H 或 1, Q, S]、key_lengths（整数，[B]）、param.<名称>，" +
      "使用 --backward 时还读取 dout [B, H, Q, E]。写出 out、lse（softmax 时），使用 --backward 时写出 dq、dk、dv、dbias 与 dparam.<名称>，并把所用参数值写为 param.<名称>；" +
      "元数据注明选择器、设备与版本。F16 与 BF16 会提升为 F32。q、k 或 v 为 F64 时，参考实现读写 F64；否则输出为 F32。" +
      "循环规则（例如 gla）读取 `qklab inspect gla` 列出的张量（decay 或 log_decay、beta、a、kappa、ka、u、state），使用 --backward 时还可读取 dstate（最后状态的梯度）；写出 out、state 与梯度 d<名称>。",
  },
  spec: {
    en: "the attention, such as l2+causal, or recurrence, such as retnet",
    zh: "注意力的选择器，例如 l2+causal，或循环规则，例如 retnet",
  },
  in: { en: "safetensors file with q, k, v", zh: "含 q、k、v 的 safetensors 文件" },
  out: { en: "safetensors file to write", zh: "要写出的 safetensors 文件" },
  backward: { en: "also the gradients, from dout of the file", zh: "同时根据文件中的 dout 计算梯度" },
  device: { en: "what computes it", zh: "用什么计算" },
  return: { en: "also write scores, weights or both", zh: "同时写出 scores、weights 或两者" },
  offset: { en: "place of the first query (default 0)", zh: "第一个查询的位置（默认 0）" },
  keyLengths: { en: "keys that count, one number per batch entry", zh: "每个批次条目的有效键数" },
  scale: {
    en: "value of the similarity's temperature, for every head",
    zh: "相似度的温度参数值，对所有头相同",
  },
  seed: {
    en: "seed of drawn parameters such as those of log-cpb",
    zh: "随机参数（例如 log-cpb 的参数）的种子",
  },
  missingPattern: (spec: string): Bilingual => ({
    en: `Cannot attend with '${spec}' as it must be said which pairs are allowed: no pattern. Write ${spec}+full or ${spec}+causal`,
    zh: `无法用 '${spec}' 计算注意力，因为必须说明允许哪些配对：没有给出模式。请写 ${spec}+full 或 ${spec}+causal`,
  }),
  positionOutside: (name: string): Bilingual => ({
    en: `Cannot attend with '${name}' as it is added to token embeddings, which an attention never sees. Use rope, alibi or log-cpb`,
    zh: `无法使用 '${name}'，因为它是加在词元嵌入上的，注意力看不到。请用 rope、alibi 或 log-cpb`,
  }),
  sameFile: (path: string): Bilingual => ({
    en: `Cannot write ${path} as the output must not replace the input: both are one file. Choose another --out`,
    zh: `无法写入 ${path}，因为输出不能覆盖输入：两者是同一个文件。请换一个 --out`,
  }),
  noFolder: (path: string): Bilingual => ({
    en: `Cannot write ${path} as its folder must be there: it is absent. Make the folder first`,
    zh: `无法写入 ${path}，因为它所在的文件夹必须存在。请先创建该文件夹`,
  }),
  dtype: (name: string, allowed: string, seen: string): Bilingual => ({
    en: `Cannot read ${name} as its dtype must be ${allowed}: ${seen}. Convert it where it was made`,
    zh: `无法读取 ${name}，因为它的数据类型必须是 ${allowed}：${seen}。请在生成它的地方转换`,
  }),
  lengthsShape: (shape: string): Bilingual => ({
    en: `Cannot limit keys as key_lengths must be one number per batch entry, [B]: [${shape}]. Reshape it`,
    zh: `无法限制键，因为 key_lengths 必须是每个批次条目一个数，形状 [B]：[${shape}]。请改变它的形状`,
  }),
  lengthsTwice: {
    en: "Cannot limit keys as the lengths must come from one place: --key-lengths and key_lengths in the file. Drop one of them",
    zh: "无法限制键，因为长度只能来自一处：同时给出了 --key-lengths 与文件中的 key_lengths。请去掉其中一个",
  },
  noGradient: (path: string): Bilingual => ({
    en: `Cannot go backward as ${path} must hold dout, the gradient of the loss by out: it is absent. Add dout, or drop --backward`,
    zh: `无法计算反向，因为 ${path} 必须含有 dout（损失对 out 的梯度）：文件中没有。请加入 dout，或去掉 --backward`,
  }),
  tooLarge: (pairs: string, needed: string, memory: string): Bilingual => ({
    en: `Cannot attend as the scores of all pairs must fit in memory: ${pairs} pairs need ${needed}, this machine has ${memory}. Pass fewer queries, keys, heads or batch entries`,
    zh: `无法计算注意力，因为所有配对的分数必须放得进内存：${pairs} 对需要 ${needed}，本机有 ${memory}。请减少查询、键、头或批次`,
  }),
  recurrenceTooLarge: (needed: string, memory: string): Bilingual => ({
    en: `Cannot attend as the features of all tokens must fit in memory: they need ${needed}, this machine has ${memory}. Pass fewer tokens, heads or batch entries, or take fewer features`,
    zh: `无法计算注意力，因为所有词元的特征必须放得进内存：需要 ${needed}，本机有 ${memory}。请减少词元、头或批次，或减少特征数`,
  }),
  noDevice: (selector: string): Bilingual => ({
    en: `Cannot attend with '${selector}' on jax as recurrences run on the reference and on wasm, and jax-js has no form of them: --device jax. Pass one of them; training on jax takes the reference, and says so`,
    zh: `无法在 jax 上计算 '${selector}'，因为循环规则只在参考实现和 wasm 上运行，jax-js 没有它们的形式。请改用其中之一；在 jax 上训练时会使用参考实现并加以说明`,
  }),
  referenceAlone: (selector: string): Bilingual => ({
    en: `Cannot attend with '${selector}' on jax as this rule runs on the reference alone: --device jax. Pass --device reference; training on jax takes it, and says so`,
    zh: `无法在 jax 上计算 '${selector}'，因为该规则只在参考实现上运行。请使用 --device reference；在 jax 上训练时会使用它并加以说明`,
  }),
  pairOption: (selector: string, flag: string): Bilingual => ({
    en: `Cannot attend with '${selector}' and ${flag} as a recurrence has no scores of pairs: ${flag} was given. Drop it`,
    zh: `无法同时使用 '${selector}' 与 ${flag}，因为循环规则没有成对的分数。请去掉 ${flag}`,
  }),
  unread: (path: string, names: string): Bilingual => ({
    en: `Note: not used from ${path}: ${names}`,
    zh: `注意：${path} 中未使用：${names}`,
  }),
  rounded: (device: string): Bilingual => ({
    en: `Note: F64 inputs are rounded to F32, as ${device} computes in F32; --device reference keeps them`,
    zh: `注意：${device} 以 F32 计算，F64 输入已舍入为 F32；--device reference 会保留 F64`,
  }),
  done: (selector: string, device: string, time: string, path: string): Bilingual => ({
    en: `${selector} on ${device} in ${time} → ${path}`,
    zh: `${selector}，设备 ${device}，用时 ${time} → ${path}`,
  }),
} satisfies Record<string, Text>;
