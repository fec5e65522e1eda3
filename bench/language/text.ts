/** @file The text that is read and written: a conversation in Chinese as the model was trained on, over and over again. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { minimindFolder } from "../../src/checkpoints/minimind.node.ts";
import { chatTemplate, huggingFaceTokenizer } from "../../src/text/index.ts";

const conversation = [
  { role: "user", content: "为什么天空是蓝色的？" },
  {
    role: "assistant",
    content:
      "天空之所以呈现蓝色，是因为大气层中的气体分子对太阳光的散射作用。太阳光由各种颜色的光组成，蓝光的波长较短，更容易被散射到各个方向。",
  },
  { role: "user", content: "那么日落时为什么是红色的？" },
  {
    role: "assistant",
    content:
      "日落时太阳光要穿过更厚的大气层，蓝光在途中大部分被散射掉了，剩下波长较长的红光和橙光，所以我们看到的天空是红色的。",
  },
] as const;

/** As many tokens of the conversation as are wanted, which begins again where it ends. */
export function textTokens(count: number): number[] {
  const read = (name: string): unknown => JSON.parse(readFileSync(join(minimindFolder(), name), "utf8"));
  const config = read("tokenizer_config.json");
  const tokenizer = huggingFaceTokenizer({ tokenizer: read("tokenizer.json"), config });
  const tokens = tokenizer.encode(chatTemplate(config)!(conversation, { addGenerationPrompt: false }), {
    addSpecial: false,
  });
  return Array.from({ length: count }, (_, place) => tokens[place % tokens.length]);
}
