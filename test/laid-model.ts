/** @file The small decoder that is laid by hand, as a Hugging Face folder. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeSafetensors } from "../src/checkpoints/safetensors-file.node.ts";
import { laidConfig, laidTemplate, laidTensors } from "../src/language/laid-fixtures.ts";
import { type DecoderConfig } from "../src/models/index.ts";
import { byteLevelTokenizer } from "../src/text/tokenizer-fixtures.ts";

/** Writes it where nothing is yet. */
export async function layModelAt(
  place: string,
  change: Readonly<Record<string, unknown>> = {},
  layers: Partial<DecoderConfig> = {},
): Promise<string> {
  await mkdir(place);
  await writeSafetensors(join(place, "model.safetensors"), laidTensors(layers));
  const json = (file: string, value: unknown): Promise<void> =>
    writeFile(join(place, file), JSON.stringify(value));
  await json("config.json", { ...laidConfig, ...change });
  await json("tokenizer.json", byteLevelTokenizer());
  await json("tokenizer_config.json", { eos_token: "<|im_end|>" });
  await writeFile(join(place, "chat_template.jinja"), laidTemplate);
  return place;
}
