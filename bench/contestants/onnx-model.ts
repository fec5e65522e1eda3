/** @file A model file with one MultiHeadAttention of ONNX Runtime's own operators: q, k, v of [batch, length, heads·width]. */
import { type AttentionProblem } from "../protocol.ts";
import { type PeerPackages } from "./peer-package.ts";

/** The part of onnx-proto that writes a model. */
interface OnnxProto {
  readonly onnx: {
    readonly ModelProto: {
      readonly fromObject: (model: unknown) => object;
      readonly encode: (model: object) => { readonly finish: () => Uint8Array };
    };
  };
}

const floatType = 1;
const [floatAttribute, integerAttribute] = [1, 2];

/** The bytes of the model of a problem. */
export function onnxModel(packages: PeerPackages, problem: AttentionProblem): Uint8Array {
  const { batch, heads, length, width, isCausal } = problem;
  const { ModelProto } = packages.load<OnnxProto>("onnx-proto").onnx;
  const tensor = (name: string): object => ({
    name,
    type: {
      tensorType: {
        elemType: floatType,
        shape: { dim: [batch, length, heads * width].map((dimValue) => ({ dimValue })) },
      },
    },
  });
  const integer = (name: string, i: number): object => ({ name, type: integerAttribute, i });
  const model = ModelProto.fromObject({
    irVersion: 8,
    opsetImport: [
      { domain: "", version: 17 },
      { domain: "com.microsoft", version: 1 },
    ],
    producerName: "qklab",
    graph: {
      name: "attention",
      node: [
        {
          opType: "MultiHeadAttention",
          domain: "com.microsoft",
          input: ["q", "k", "v"],
          output: ["out"],
          attribute: [
            integer("num_heads", heads),
            integer("unidirectional", isCausal ? 1 : 0),
            { name: "scale", type: floatAttribute, f: 1 / Math.sqrt(width) },
          ],
        },
      ],
      input: [tensor("q"), tensor("k"), tensor("v")],
      output: [tensor("out")],
    },
  });
  return ModelProto.encode(model).finish();
}

/** [batch, heads, length, width] as [batch, length, heads·width]. */
export function joinHeads(data: Float32Array, problem: AttentionProblem): Float32Array {
  return moveHeads(data, problem, (split, joined, target) => (target[joined] = data[split]));
}

/** The way back. */
export function splitHeads(data: Float32Array, problem: AttentionProblem): Float32Array {
  return moveHeads(data, problem, (split, joined, target) => (target[split] = data[joined]));
}

function moveHeads(
  data: Float32Array,
  { batch, heads, length, width }: AttentionProblem,
  move: (split: number, joined: number, target: Float32Array) => void,
): Float32Array {
  const target = new Float32Array(data.length);
  for (let row = 0; row < batch * heads * length; row++) {
    const place = row % length;
    const head = Math.floor(row / length) % heads;
    const entry = Math.floor(row / (length * heads));
    const joinedRow = (entry * length + place) * heads + head;
    for (let d = 0; d < width; d++) move(row * width + d, joinedRow * width + d, target);
  }
  return target;
}
