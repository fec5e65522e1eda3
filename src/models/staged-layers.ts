/**
 * @file The layers of a decoder as stages of jax-js: embed+project, attend, merge+project, attend … What lies between two
 * attentions is one stage, and the last merge is one with the head and the loss, so that little is computed twice. Experts
 * come after a merge of their own.
 */
import { numpy as np } from "@jax-js/jax";
import { lossStage, type Operation, stage, type Value } from "../autodiff/index.ts";
import { crossEntropy } from "../nn/cross-entropy.ts";
import { pick } from "./assemble-model.ts";
import { type EmbeddingBlock, type FeedForwardBlock } from "./decoder-blocks.ts";
import { type ResolvedDecoderConfig } from "./decoder-config.ts";
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

/** Makes the stages. */
export function stagedLayers(
  { width }: ResolvedDecoderConfig,
  embedding: EmbeddingBlock,
  layers: readonly DecoderLayer[],
): ComputedLayers {
  /** The `x` that comes out is a leaf: jax-js cannot differentiate a function with an output that another one is made of. */
  const project = (
    rows: np.Array,
    [batch, length]: readonly number[],
    { norm, attention }: DecoderLayer,
    arrays: ModelArrays,
  ): Record<string, np.Array> => {
    const projected = attention.project(norm.apply(rows.ref, arrays), batch, arrays);
    return { x: rows.reshape([batch, length, width]), ...projected };
  };
  const merge = ({ attention, feedForward, routed }: DecoderLayer, arrays: ModelArrays): np.Array => {
    if (routed !== undefined) return rowsOf(arrays["x"]);
    const rows = rowsOf(arrays["x"]).add(attention.merge(arrays));
    return feedForward === undefined ? rows : feedForward.apply(rows, arrays);
  };
  const projectedNames = ({ norm, attention }: DecoderLayer): readonly string[] => [
    ...namesOf(norm),
    ...attention.projected,
  ];
  const mergedNames = ({ attention, feedForward, routed }: DecoderLayer): readonly string[] =>
    routed === undefined
      ? [...attention.merged, ...(feedForward === undefined ? [] : namesOf(feedForward))]
      : [];
  const mergesBeforeExperts = layers.map(({ attention, routed }): Operation<string, "x"> | undefined =>
    routed === undefined
      ? undefined
      : stage("merge", (arrays: ModelArrays) => {
          const { shape } = arrays["x"];
          return {
            x: rowsOf(arrays["x"])
              .add(attention.merge(arrays))
              .reshape([...shape]),
          };
        }),
  );
  const stages = layers.map((layer, index) =>
    index === 0
      ? {
          operation: stage("embed and project", ({ tokens, ...arrays }: ModelArrays) => {
            const { shape } = tokens;
            return project(embedding.apply(tokens, arrays), shape, layer, arrays);
          }),
          reads: [...namesOf(embedding), ...projectedNames(layer)],
        }
      : {
          operation: stage("merge and project", (arrays: ModelArrays) => {
            const { shape } = arrays["x"];
            return project(merge(layers[index - 1], arrays), shape, layer, arrays);
          }),
          reads: [...mergedNames(layers[index - 1]), ...projectedNames(layer)],
        },
  );
  const last = layers[layers.length - 1];
  return {
    async run(tape, given, values, observe) {
      let inputs = given;
      const balances: Value[] = [];
      for (const [index, { operation, reads }] of stages.entries()) {
        const { x, ...projected } = await tape.run(operation, { ...inputs, ...pick(values, reads) });
        tape.release(...Object.values(inputs));
        const { attention, routed } = layers[index];
        inputs = { x, ...(await attention.attend(tape, projected, observe)) };
        const mergeOnly = mergesBeforeExperts[index];
        if (routed === undefined || mergeOnly === undefined) continue;
        const merged = await tape.run(mergeOnly, { ...inputs, ...pick(values, attention.merged) });
        tape.release(...Object.values(inputs));
        const { balance, ...fed } = await routed.run(tape, merged.x, values, observe);
        balances.push(balance);
        inputs = fed;
      }
      return { inputs, balances };
    },
    reads: mergedNames(last),
    rows: (arrays) => merge(last, arrays),
    dispose() {
      for (const { operation } of stages) operation.dispose();
      for (const operation of mergesBeforeExperts) operation?.dispose();
    },
  };
}

/** Tokens to the residual stream as a stage. */
export function stagedEmbedding(embedding: EmbeddingBlock): ComputedEmbedding {
  const operation = stage("embed", ({ tokens, ...arrays }: ModelArrays) => {
    const [batch, length] = tokens.shape;
    return { x: inSequences(embedding.apply(tokens, arrays), batch, length) };
  });
  const reads = namesOf(embedding);
  return {
    async run(tape, inputs, values) {
      const { x } = await tape.run(operation, { ...inputs, ...pick(values, reads) });
      tape.release(...Object.values(inputs));
      return x;
    },
    dispose: () => operation.dispose(),
  };
}

/** The blocks of a layer, with stages of their own: its attention, and its feed-forward where it has one. */
export function stagedBlocks(layer: DecoderLayer): readonly DecoderBlock[] {
  const { feedForward } = layer;
  return [stagedAttention(layer), ...(feedForward === undefined ? [] : [stagedFeedForward(feedForward)])];
}

/** x + attention(norm(x)), of an attention that may have an engine. */
export function stagedAttention({ norm, attention }: DecoderLayer): DecoderBlock {
  const project: Operation<string, string> = stage("project", ({ x, ...arrays }: ModelArrays) => {
    const [batch] = x.shape;
    return attention.project(norm.apply(rowsOf(x), arrays), batch, arrays);
  });
  const merge = stage("merge", ({ x, ...arrays }: ModelArrays) => {
    const [batch, length] = x.shape;
    return { x: inSequences(rowsOf(x).add(attention.merge(arrays)), batch, length) };
  });
  const projected = [...namesOf(norm), ...attention.projected];
  return {
    reads: [...projected, ...attention.merged],
    async run(tape, x, values, observe) {
      const heads = await tape.run(project, { x, ...pick(values, projected) });
      const attended = await attention.attend(tape, heads, observe);
      const { x: out } = await tape.run(merge, { x, ...attended, ...pick(values, attention.merged) });
      tape.release(x, ...Object.values(attended));
      return { x: out };
    },
    dispose: () => [project, merge].forEach((own) => own.dispose()),
  };
}

/** x + feedForward(norm(x)). */
export function stagedFeedForward(feedForward: FeedForwardBlock): DecoderBlock {
  const feed = stage("feed forward", ({ x, ...arrays }: ModelArrays) => {
    const [batch, length] = x.shape;
    return { x: inSequences(feedForward.apply(rowsOf(x), arrays), batch, length) };
  });
  const reads = namesOf(feedForward);
  return {
    reads,
    async run(tape, x, values) {
      const { x: out } = await tape.run(feed, { x, ...pick(values, reads) });
      tape.release(x);
      return { x: out };
    },
    dispose: () => feed.dispose(),
  };
}

/** [B·N, width] to [B, N, width]. */
const inSequences = (rows: np.Array, batch: number, length: number): np.Array =>
  rows.reshape([batch, length, rows.shape[1]]);

/** The last merge, the head and the loss as one stage. */
export function stagedLoss(
  logitsOf: (arrays: ModelArrays, positions: np.Array | undefined) => np.Array,
): ComputedLoss {
  const operation = lossStage("merge, head and loss", ({ targets, positions, ...arrays }: ModelArrays) => ({
    loss: np.mean(crossEntropy(logitsOf(arrays, positions), targets)),
  }));
  return {
    run: async (tape, inputs) => (await tape.run(operation, inputs)).loss,
    dispose: () => operation.dispose(),
  };
}
