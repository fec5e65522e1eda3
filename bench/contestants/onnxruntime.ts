/** @file ONNX Runtime as a contestant, native (onnxruntime-node) or in WebAssembly (onnxruntime-web): one API, two packages. */
import { joinHeads, onnxModel, splitHeads } from "./onnx-model.ts";
import { peerPackages } from "./peer-package.ts";
import { requireAttention, serve } from "./serve.ts";

interface OrtTensor {
  readonly data: Float32Array;
}

type Results = Readonly<Record<string, OrtTensor>>;

/** The part of onnxruntime-common that is used. */
interface Ort {
  readonly env: { readonly wasm: { numThreads?: number } };
  readonly Tensor: new (type: "float32", data: Float32Array, dims: readonly number[]) => OrtTensor;
  readonly InferenceSession: {
    readonly create: (
      model: Uint8Array,
      options: object,
    ) => Promise<{
      readonly run: (feeds: Results) => Promise<Results>;
      readonly release: () => Promise<void>;
    }>;
  };
}

const [, , threadsWord, folder, name] = process.argv;
const threads = Number(threadsWord);
const packages = peerPackages(folder);
const ort = packages.load<Ort>(name);
const isWeb = name === "onnxruntime-web";
if (isWeb) ort.env.wasm.numThreads = threads;

await serve({
  describe: () => ({ versions: { [name]: packages.version(name) }, threads, notes: [] }),
  async prepare(request, inputs) {
    const problem = requireAttention(request);
    if (problem.similarity !== "dot")
      throw new Error(`ONNX Runtime has no attention by ${problem.similarity}`);
    if (problem.direction !== "forward") throw new Error("ONNX Runtime has no gradients here");
    const session = await ort.InferenceSession.create(onnxModel(packages, problem), {
      executionProviders: [isWeb ? "wasm" : "cpu"],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: "all",
    });
    const { batch, heads, length, width } = problem;
    const tensor = (data: Float32Array): OrtTensor =>
      new ort.Tensor("float32", joinHeads(data, problem), [batch, length, heads * width]);
    const feeds = { q: tensor(inputs.q), k: tensor(inputs.k), v: tensor(inputs.v) };
    return {
      run: () => session.run(feeds),
      read: ({ out }: Results) => ({ out: splitHeads(out.data, problem) }),
      release: () => session.release(),
    };
  },
});
