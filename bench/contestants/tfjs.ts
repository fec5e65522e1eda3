/** @file TensorFlow.js on its WebAssembly backend as a contestant: softmax(q·kᵀ/√D)·v as its operations. */
import { peerPackages } from "./peer-package.ts";
import { requireAttention, serve } from "./serve.ts";

interface TfTensor {
  readonly dataSync: () => Float32Array;
  readonly dispose: () => void;
}

/** The part of tfjs-core that is used. */
interface Tf {
  readonly setBackend: (name: string) => Promise<boolean>;
  readonly ready: () => Promise<void>;
  readonly tensor: (data: Float32Array | Int32Array, shape: readonly number[], dtype?: string) => TfTensor;
  readonly matMul: (a: TfTensor, b: TfTensor, transposeA?: boolean, transposeB?: boolean) => TfTensor;
  readonly mul: (a: TfTensor, b: TfTensor | number) => TfTensor;
  readonly add: (a: TfTensor, b: TfTensor) => TfTensor;
  readonly softmax: (a: TfTensor) => TfTensor;
  readonly tidy: <T>(run: () => T) => T;
}

interface TfWasm {
  readonly setThreadsCount: (threads: number) => void;
  readonly getThreadsCount: () => number;
}

const [, , threadsWord, folder] = process.argv;
const packages = peerPackages(folder);
const tf = packages.load<Tf>("@tensorflow/tfjs-core");
const wasm = packages.load<TfWasm>("@tensorflow/tfjs-backend-wasm");
wasm.setThreadsCount(Number(threadsWord));
if (!(await tf.setBackend("wasm"))) throw new Error("tfjs has no WebAssembly backend here");
await tf.ready();

await serve({
  describe: () => {
    const threads = wasm.getThreadsCount();
    return {
      versions: { "@tensorflow/tfjs-backend-wasm": packages.version("@tensorflow/tfjs-backend-wasm") },
      threads,
      notes: threads < Number(threadsWord) ? ["it does not use threads under Node"] : [],
    };
  },
  async prepare(request, inputs) {
    const problem = requireAttention(request);
    if (problem.similarity !== "dot")
      throw new Error(`it is asked for the dot product only, not ${problem.similarity}`);
    if (problem.direction !== "forward") throw new Error("its gradients are not asked for");
    const { batch, heads, length, width, isCausal } = problem;
    const tensor = (data: Float32Array): TfTensor => tf.tensor(data, [batch * heads, length, width]);
    const [q, k, v] = [tensor(inputs.q), tensor(inputs.k), tensor(inputs.v)];
    const hidden = isCausal ? tf.tensor(laterPairs(length), [1, length, length]) : undefined;
    const scale = 1 / Math.sqrt(width);
    return {
      run: () => {
        const out = tf.tidy(() => {
          const scores = tf.mul(tf.matMul(q, k, false, true), scale);
          return tf.matMul(tf.softmax(hidden === undefined ? scores : tf.add(scores, hidden)), v);
        });
        const data = out.dataSync();
        out.dispose();
        return data;
      },
      read: (out: Float32Array) => ({ out }),
      release: () => [q, k, v, hidden].forEach((held) => held?.dispose()),
    };
  },
});

/** 0 where a query sees a key, and elsewhere what no score overcomes: how TensorFlow.js masks, which has no mask of pairs. */
function laterPairs(length: number): Float32Array {
  const smallest = -1e9;
  return Float32Array.from({ length: length * length }, (_, pair) =>
    pair % length > Math.floor(pair / length) ? smallest : 0,
  );
}
