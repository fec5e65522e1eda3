/**
 * @file The layers of a decoder with reversible residuals: attentions add to one stream and feed-forwards to the other, and
 * training keeps the activations of no layer. Both streams begin as the embeddings; the head reads their mean.
 */
import { type Operation, reversibleOperation, stage, type Tape, type Value } from "../autodiff/index.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { pick, type Values } from "./assemble-model.ts";
import { type EmbeddingBlock } from "./decoder-blocks.ts";
import { type ComputedLayers, type DecoderBlock, type DecoderLayer, rowsOf } from "./decoder-layers.ts";
import { fusedBlocks, fusedEmbedding } from "./fused-layers.ts";
import { type ModelArrays } from "./model.ts";
import { type LayerObserver } from "./observe-scores.ts";
import { stagedBlocks, stagedEmbedding } from "./staged-layers.ts";

/** From both streams as they begin to both as they end; the first ones are released. */
type RunStreams = (
  tape: Tape,
  x: Value,
  values: Values,
  observe?: LayerObserver,
) => Promise<Readonly<Record<"y1" | "y2", Value>>>;

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
  const blocks = blocksOf(layers, engine);
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
  return betweenStreams(embedding, engine, blocks, async (tape, x, values, observe) => {
    const operation = observe === undefined ? unobserved : stack(observe);
    const streams = await tape.run(operation, { x1: x, x2: x, ...pick(values, reads) });
    tape.release(x);
    return streams;
  });
}

/**
 * The same where nothing goes backward: blocks run on the tape that they are given, by which their attentions find what they
 * keep.
 *
 * @param layers - as of {@link reversibleLayers}
 */
export function forwardStreams(
  embedding: EmbeddingBlock,
  layers: readonly DecoderLayer[],
  engine: WasmEngine | undefined,
): ComputedLayers {
  const blocks = blocksOf(layers, engine);
  const add = stage("add to a stream", ({ to, out, from }: ModelArrays) => ({ x: to.add(out.sub(from)) }));
  return betweenStreams(embedding, engine, [...blocks, add], async (tape, x, values) => {
    // The stream that a block adds to comes first; then they change places.
    let [to, from] = [x, x];
    for (const block of blocks) {
      const { x: out } = await block.run(tape, tape.constant(from.array.ref), values);
      const { x: sum } = await tape.run(add, { to, out, from });
      tape.release(out, ...(to === from ? [] : [to]));
      [to, from] = [from, sum];
    }
    return { y1: to, y2: from };
  });
}

/** Layers whose embeddings become two streams, and whose rows are the mean of both. */
function betweenStreams(
  embedding: EmbeddingBlock,
  engine: WasmEngine | undefined,
  owned: readonly { dispose(): void }[],
  runStreams: RunStreams,
): ComputedLayers {
  const embed = engine === undefined ? stagedEmbedding(embedding) : fusedEmbedding(embedding);
  const join = stage("mean of streams", ({ y1, y2 }: ModelArrays) => ({ x: y1.add(y2).mul(0.5) }));
  return {
    async run(tape, inputs, values, observe) {
      const x = await embed.run(tape, inputs, values);
      const streams = await runStreams(tape, x, values, observe);
      const { x: mean } = await tape.run(join, streams);
      tape.release(...Object.values(streams));
      return { inputs: { x: mean }, balances: [] };
    },
    reads: [],
    rows: ({ x }) => rowsOf(x),
    dispose: () => [embed, join, ...owned].forEach((own) => own.dispose()),
  };
}

function blocksOf(layers: readonly DecoderLayer[], engine: WasmEngine | undefined): readonly DecoderBlock[] {
  return layers.flatMap((layer) => (engine === undefined ? stagedBlocks(layer) : fusedBlocks(layer, engine)));
}
