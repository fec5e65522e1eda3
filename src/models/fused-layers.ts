/**
 * @file The layers of a decoder as fused blocks of an engine: project, attend, merge, feed forward. What the blocks hand on
 * stays out of jax-js, which has only what places add to embeddings, the domains of attentions' own parameters, the gates of
 * recurrences, the norm before experts, and whole blocks that the kernels do not have: attentions with biases or norms of heads,
 * feed-forwards with biases or with another function than SwiGLU and GPT-2's GELU. Their attentions themselves stay fused.
 */
import {
  embeddingOperation,
  fusedFeedForwardOperation,
  fusedLossOperation,
  fusedMergeOperation,
  fusedProjectionOperation,
  type Operation,
  stage,
  type Value,
} from "../autodiff/index.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { pick, type Values } from "./assemble-model.ts";
import { type EmbeddingBlock, type FeedForwardBlock, type HeadBlock } from "./decoder-blocks.ts";
import {
  type ComputedEmbedding,
  type ComputedLayers,
  type ComputedLoss,
  type DecoderBlock,
  type DecoderLayer,
  namesOf,
  rowsOf,
} from "./decoder-layers.ts";
import { type ModelArrays } from "./model.ts";
import { type RoutedFeedForward } from "./routed-feed-forward.ts";
import { stagedAttention, stagedFeedForward } from "./staged-layers.ts";

/** Makes the operations. */
export function fusedLayers(
  embedding: EmbeddingBlock,
  layers: readonly DecoderLayer[],
  engine: WasmEngine,
): ComputedLayers {
  const embed = fusedEmbedding(embedding);
  const blocks = layers.flatMap((layer) => fusedBlocks(layer, engine));
  return {
    async run(tape, inputs, values, observe) {
      let x = await embed.run(tape, inputs, values);
      const balances: Value[] = [];
      for (const block of blocks) {
        const made = await block.run(tape, x, values, observe);
        ({ x } = made);
        if (made.balance !== undefined) balances.push(made.balance);
      }
      return { inputs: { x }, balances };
    },
    reads: [],
    rows: ({ x }) => rowsOf(x),
    dispose: () => [embed, ...blocks].forEach((own) => own.dispose()),
  };
}

/** The rows of a table, and what places add to them. */
export function fusedEmbedding(embedding: EmbeddingBlock): ComputedEmbedding {
  const takeTokens = embeddingOperation();
  const { place } = embedding;
  const addPlaces: Operation<string, string> | undefined =
    place && stage("places", ({ x, ...arrays }: ModelArrays) => ({ x: place(x, arrays) }));
  const placeNames = namesOf(embedding).filter((name) => name !== embedding.table);
  return {
    async run(tape, { tokens, ...places }, values) {
      const { rows } = await tape.run(takeTokens, { ids: tokens, table: values[embedding.table] });
      let x = rows;
      if (addPlaces !== undefined) {
        ({ x } = await tape.run(addPlaces, { x: rows, ...places, ...pick(values, placeNames) }));
        tape.release(rows, ...Object.values(places));
      }
      tape.release(tokens);
      return x;
    },
    dispose: () => addPlaces?.dispose(),
  };
}

/** The blocks of a layer: its attention, and its feed-forward or its experts where it has them. */
export function fusedBlocks(layer: DecoderLayer, engine: WasmEngine): readonly DecoderBlock[] {
  const { feedForward, routed } = layer;
  const attention = canFuseAttention(layer) ? fusedAttention(layer, engine) : stagedAttention(layer);
  if (routed !== undefined) return [attention, expertBlock(routed)];
  if (feedForward === undefined) return [attention];
  return [
    attention,
    canFuseFeedForward(feedForward) ? fusedFeedForward(feedForward, engine) : stagedFeedForward(feedForward),
  ];
}

/** The kernels of projections know neither biases nor norms of heads. */
const canFuseAttention = ({ attention }: DecoderLayer): boolean =>
  attention.headNorm === undefined && Object.keys(attention.biases).length === 0;

/** Those of feed-forwards know SwiGLU and GPT-2's GELU, without biases. */
const canFuseFeedForward = ({ kind, biases }: FeedForwardBlock): boolean =>
  biases === undefined && (kind === "swiglu" || kind === "gelu");

function fusedFeedForward(feedForward: FeedForwardBlock, engine: WasmEngine): DecoderBlock {
  const feed = fusedFeedForwardOperation(engine, feedForward.norm.epsilon);
  return {
    reads: namesOf(feedForward),
    async run(tape, x, values) {
      const { out } = await tape.run(feed, { x, ...byRole(values, feedForward.weights) });
      tape.release(x);
      return { x: out };
    },
    dispose: () => feed.dispose(),
  };
}

/** Experts are the layer's to dispose. */
const expertBlock = (routed: RoutedFeedForward): DecoderBlock => ({
  reads: namesOf(routed),
  run: (tape, x, values, observe) => routed.run(tape, x, values, observe),
  dispose: () => undefined,
});

function fusedAttention({ attention, norm }: DecoderLayer, engine: WasmEngine): DecoderBlock {
  const project = fusedProjectionOperation(engine, attention.groups, norm.epsilon);
  const merge = fusedMergeOperation(engine, attention.groups);
  const hold: Operation<string, string> | undefined =
    attention.held.length === 0
      ? undefined
      : stage("attention parameters", (arrays: ModelArrays) => attention.parameterValues(arrays));
  const gate: Operation<string, string> | undefined =
    attention.gated.length === 0
      ? undefined
      : stage("gates", ({ x, ...arrays }: ModelArrays) => {
          const [batch] = x.shape;
          return attention.gates(norm.apply(rowsOf(x), arrays), batch, arrays);
        });
  const gateNames = [...namesOf(norm), ...attention.gated];
  const shareKeys: Operation<string, string> | undefined =
    attention.weights.k === undefined
      ? stage("shared keys", (queries: ModelArrays) => attention.keysOf(queries))
      : undefined;
  const { o, ...into } = attention.weights;
  return {
    reads: [...namesOf(norm), ...attention.projected, o],
    async run(tape, x, values, observe) {
      const { x: passed, ...heads } = await tape.run(project, {
        x,
        ...byRole(values, { ...norm.weights, ...into }),
      });
      tape.release(x);
      const queries = attention.groups.map(({ names }) => names.q);
      const projected = {
        ...heads,
        ...(shareKeys === undefined ? {} : await tape.run(shareKeys, pick(heads, queries))),
        ...(hold === undefined ? {} : await tape.run(hold, pick(values, attention.held))),
        ...(gate === undefined ? {} : await tape.run(gate, { x: passed, ...pick(values, gateNames) })),
      };
      const attended = await attention.attend(tape, projected, observe);
      const { out } = await tape.run(merge, { x: passed, ...attended, weight: values[o] });
      tape.release(passed, ...Object.values(attended));
      return { x: out };
    },
    dispose: () => [hold, gate, shareKeys].forEach((own) => own?.dispose()),
  };
}

/** The last norm, the head and the loss as one block. */
export function fusedLoss({ weights, epsilon }: HeadBlock, engine: WasmEngine): ComputedLoss {
  const operation = fusedLossOperation(engine, epsilon);
  return {
    async run(tape, { x, targets, positions, ...values }) {
      const labels = positions === undefined ? { targets } : { targets, positions };
      return (await tape.run(operation, { x, ...labels, ...byRole(values, weights) })).loss;
    },
    dispose: () => operation.dispose(),
  };
}

/** Values under the roles that they have in a block. */
function byRole(values: Values, names: Readonly<Record<string, string>>): Values {
  return Object.fromEntries(Object.entries(names).map(([role, name]) => [role, values[name]]));
}
