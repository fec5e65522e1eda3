/**
 * @file The layers of a decoder with reversible residuals: attentions add to one stream and feed-forwards to the other, and
 * training keeps the activations of no layer. Both streams begin as the embeddings; the head reads their mean.
 */
import { type Operation, reversibleOperation, stage } from "../autodiff/index.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { pick } from "./assemble-model.ts";
import { type EmbeddingBlock } from "./decoder-blocks.ts";
import { type ComputedLayers, type DecoderLayer, rowsOf } from "./decoder-layers.ts";
import { fusedBlocks, fusedEmbedding } from "./fused-layers.ts";
import { type ModelArrays } from "./model.ts";
import { type LayerObserver } from "./observe-scores.ts";
import { stagedBlocks, stagedEmbedding } from "./staged-layers.ts";

/**
 * Makes the operations.
 *
 * @param layers - each with a feed-forward, none with experts, whose balance would leave a block as well
 * @param engine - computes the blocks; jax-js when absent
 */
export function reversibleLayers(
  embedding: EmbeddingBlock,
  layers: readonly DecoderLayer[],
  engine: WasmEngine | undefined,
): ComputedLayers {
  const embed = engine === undefined ? stagedEmbedding(embedding) : fusedEmbedding(embedding);
  const blocks = layers.flatMap((layer) =>
    engine === undefined ? stagedBlocks(layer) : fusedBlocks(layer, engine),
  );
  const stack = (observe?: LayerObserver): Operation<string, "y1" | "y2"> =>
    reversibleOperation(
      "reversible layers",
      blocks.map((block) => ({
        reads: block.reads,
        run: async (tape, x, values) => (await block.run(tape, x, values, observe)).x,
      })),
    );
  const unobserved = stack();
  const reads = blocks.flatMap((block) => block.reads);
  const join = stage("mean of streams", ({ y1, y2 }: ModelArrays) => ({ x: y1.add(y2).mul(0.5) }));
  return {
    async run(tape, inputs, values, observe) {
      const x = await embed.run(tape, inputs, values);
      const operation = observe === undefined ? unobserved : stack(observe);
      const streams = await tape.run(operation, { x1: x, x2: x, ...pick(values, reads) });
      tape.release(x);
      const { x: mean } = await tape.run(join, streams);
      tape.release(...Object.values(streams));
      return { inputs: { x: mean }, balances: [] };
    },
    reads: [],
    rows: ({ x }) => rowsOf(x),
    dispose: () => [embed, join, ...blocks].forEach((own) => own.dispose()),
  };
}
