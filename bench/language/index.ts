/** @file The benchmark of a trained language model on our kernels, and by onnxruntime-node on the same package's own graph. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { MissingError } from "../../src/base/errors.ts";
import { minimindFolder } from "../../src/checkpoints/minimind.node.ts";
import { openOnnxWeights } from "../../src/checkpoints/onnx-weights.node.ts";
import { type Part } from "../attention/context.ts";
import { type Benchmark } from "../benchmark.ts";
import { writeDocument } from "../document/write.ts";
import { UsageError } from "../options.ts";
import { runParts } from "../run-parts.ts";
import { type GraphWeights, type LlamaSizes, readGraphWeights } from "./graph-reference.ts";
import { distilling } from "./distilling.ts";
import { type LanguageHeats } from "./heat.ts";
import {
  decoding,
  type LanguageFindings,
  type LanguagePart,
  logits,
  mostTokens,
  prefill,
  sizesOf,
  start,
} from "./parts.ts";
import { languageReportText } from "./report-text.ts";
import { type LanguageReport } from "./report.ts";
import { textTokens } from "./text.ts";

/** In this order they are run and reported. */
const parts: Readonly<Record<string, LanguagePart>> = { logits, start, prefill, decoding, distilling };

/** `npm run bench -- language` */
export const language: Benchmark<LanguageReport> = {
  name: "language",
  async run(options, places, progress) {
    const heats: LanguageHeats = {
      weights: await weightsOf(folderOf()),
      tokens: textTokens(mostTokens),
      errors: new Map(),
    };
    const found: LanguageFindings = { rates: [], starts: [] };
    const withPeers = options.preset !== "own";
    const made = Object.entries(parts).map(([name, run]): Part => ({
      name,
      hasPeers: false,
      run: (context) => run({ context, heats, found, withPeers }),
    }));
    const report = await runParts("language", made, { options, places, progress });
    const isSmall = options.preset === "quick";
    return { ...report, ...found, start_tokens: sizesOf({ isSmall }).startTokens };
  },
  text: languageReportText,
  write: writeDocument,
};

function folderOf(): string {
  try {
    return minimindFolder();
  } catch (error) {
    if (!(error instanceof MissingError)) throw error;
    throw new UsageError(error.message);
  }
}

async function weightsOf(folder: string): Promise<GraphWeights> {
  const sizes = JSON.parse(readFileSync(join(folder, "config.json"), "utf8")) as LlamaSizes;
  const source = await openOnnxWeights(join(folder, "onnx", "model_quantized.onnx"));
  try {
    return await readGraphWeights(source, sizes);
  } finally {
    await source.close();
  }
}
