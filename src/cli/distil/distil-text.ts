/** @file The tokens that a distillation learns from: a file's, or those that the model writes, which are kept in the run's folder. */
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type LanguageModel } from "../../language/open-model.node.ts";
import { readSafetensors, writeSafetensors } from "../../checkpoints/safetensors-file.node.ts";
import { generatedText } from "../../distil/generated-text.ts";
import { type WasmEngine } from "../../kernels/wasm/index.ts";
import { CommandError } from "../command-error.ts";
import { texts } from "../dictionary/distil.ts";
import { exitCodes } from "../exit-codes.ts";
import { type Session } from "../session.ts";
import { generatedCount, type PlacedDistillation } from "./distil-run.ts";

const generatedFile = "generated.safetensors";
const reportEvery = 5000;

/** Reads or writes them. */
export async function distilTokens(
  { run, folder }: PlacedDistillation,
  model: LanguageModel,
  engine: WasmEngine | undefined,
  session: Session,
): Promise<Int32Array> {
  const { data, length } = run.settings;
  const count = generatedCount(data);
  if (count === undefined) {
    return Int32Array.from(model.tokenizer.encode(await readText(data), { addSpecial: false }));
  }
  const path = join(folder, generatedFile);
  const kept = await readSafetensors(path, ["tokens"]).catch(() => undefined);
  const made = JSON.stringify({ model: model.name, data, length, seed: run.seed });
  if (kept?.metadata.get("made") === made)
    return Int32Array.from(kept.tensors.get("tokens")!.data as Int32Array);
  const loaded = await model.load({ engine });
  let reportedMs = performance.now();
  const tokens = await generatedText(loaded, model, {
    tokens: count,
    length: Math.min(length + 1, loaded.model.config.maximumLength),
    seed: run.seed,
    onProgress(done) {
      if (performance.now() - reportedMs < reportEvery) return;
      reportedMs = performance.now();
      session.tell(texts.writing(done, count));
    },
  });
  loaded.model.dispose();
  await mkdir(folder, { recursive: true });
  await writeSafetensors(path, { tokens: { data: tokens, shape: [tokens.length] } }, { made });
  return tokens;
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new CommandError("no-data", texts.noData(path, (error as Error).message), exitCodes.missing);
  }
}
