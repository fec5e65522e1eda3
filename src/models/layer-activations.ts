/**
 * @file What tokens become in a decoder, layer by layer: its blocks one after the other, as stages or on an engine, with everything
 * between them read. For looking at a model and for teaching another one; training and generation have faster ways through the same
 * blocks.
 */
import { type Tape, type Value } from "../autodiff/index.ts";
import { UnsupportedError } from "../base/errors.ts";
import { type Tensor } from "../base/tensor.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { type Values, withoutGradient } from "./assemble-model.ts";
import { type EmbeddingBlock } from "./decoder-blocks.ts";
import { type ComputedEmbedding, type DecoderBlock, type DecoderLayer } from "./decoder-layers.ts";
import { fusedBlocks } from "./fused-layers.ts";
import { type ModelArrays } from "./model.ts";
import { stagedAttention, stagedBlocks, stagedEmbedding } from "./staged-layers.ts";

/** Queries, keys, values and outputs of heads that share an attention. */
export interface GroupActivations {
  /** [B, H, N, D], before places turn them, as keys are. */
  readonly q: Tensor;
  /** [B, G, N, D] */
  readonly k: Tensor;
  /** [B, G, N, E] */
  readonly v: Tensor;
  /** [B, H, N, E] */
  readonly out: Tensor;
}

/** What one layer makes. */
export interface LayerActivations {
  readonly groups: readonly GroupActivations[];
  /** The residual stream after the attention, [B, N, width]. */
  readonly attended: Tensor;
  /** The residual stream after the feed-forward or the experts, [B, N, width]; `attended` without either. */
  readonly fed: Tensor;
}

/** What the heads of one layer make, and of what. */
export interface HeadActivations {
  /** The residual stream before the layer, [B, N, width]. */
  readonly before: Tensor;
  readonly groups: readonly GroupActivations[];
}

/** What tokens become. */
export interface Activations {
  /** What goes into the first layer, [B, N, width]. */
  readonly embedded: Tensor;
  readonly layers: readonly LayerActivations[];
}

/** What activations are computed by; stages are compiled at the first call. */
export interface ActivationStages {
  /** @param given - `tokens`, and `places` as in `ComputedLayers.run` */
  read(arrays: ModelArrays, given: (tape: Tape) => Values): Promise<Activations>;
  /** @param layers - which, in rising order */
  readHeads(
    arrays: ModelArrays,
    given: (tape: Tape) => Values,
    layers: readonly number[],
  ): Promise<readonly HeadActivations[]>;
  dispose(): void;
}

/** A layer as blocks, the first of which tells what its heads make. */
interface ObservedLayer {
  readonly attention: DecoderBlock;
  readonly after: DecoderBlock | undefined;
}

/** Makes them. */
export function activationStages(
  residual: "plain" | "reversible",
  embedding: EmbeddingBlock,
  layers: readonly DecoderLayer[],
  engine: WasmEngine | undefined,
): ActivationStages {
  const embed: ComputedEmbedding = stagedEmbedding(embedding);
  const seen = new WeakMap<Tape, GroupActivations[]>();
  /** Tapes whose next layer is to be seen. */
  const watched = new WeakSet<Tape>();
  const observed = layers.map((layer): ObservedLayer => {
    const { attention } = layer;
    const attend: typeof attention.attend = async (tape, projected) => {
      if (!watched.has(tape)) return attention.attend(tape, projected);
      const before = await Promise.all(
        attention.groups.map(async ({ names }) => ({
          q: await tensorOf(projected[names.q]),
          k: await tensorOf(projected[names.k]),
          v: await tensorOf(projected[names.v]),
        })),
      );
      const outputs = await attention.attend(tape, projected);
      const groups = attention.groups.map(async ({ names }, index) => ({
        ...before[index],
        out: await tensorOf(outputs[names.out]),
      }));
      seen.set(tape, await Promise.all(groups));
      return outputs;
    };
    const seenLayer = { ...layer, attention: { ...attention, attend } };
    const [first, after] = engine === undefined ? blocksOf(seenLayer) : fusedBlocks(seenLayer, engine);
    return { attention: first, after };
  });
  return {
    read: (arrays, given) => {
      if (residual === "reversible") refuseStreams();
      return withoutGradient(arrays, async (tape, values) => {
        let x = await embed.run(tape, given(tape), values);
        const embedded = await tensorOf(x);
        const made: LayerActivations[] = [];
        watched.add(tape);
        for (const { attention, after } of observed) {
          ({ x } = await attention.run(tape, x, values));
          const attended = await tensorOf(x);
          const groups = seen.get(tape)!;
          if (after !== undefined) ({ x } = await after.run(tape, x, values));
          made.push({ groups, attended, fed: after === undefined ? attended : await tensorOf(x) });
        }
        return { embedded, layers: made };
      });
    },
    readHeads: (arrays, given, layers) => {
      if (residual === "reversible") refuseStreams();
      return withoutGradient(arrays, async (tape, values) => {
        let x = await embed.run(tape, given(tape), values);
        const made: HeadActivations[] = [];
        const last = Math.max(...layers);
        for (const [layer, { attention, after }] of observed.slice(0, last + 1).entries()) {
          if (layers.includes(layer)) watched.add(tape);
          else watched.delete(tape);
          const before = watched.has(tape) ? await tensorOf(x) : undefined;
          ({ x } = await attention.run(tape, x, values));
          if (before !== undefined) made.push({ before, groups: seen.get(tape)! });
          if (after !== undefined && layer < last) ({ x } = await after.run(tape, x, values));
        }
        return made;
      });
    },
    dispose() {
      embed.dispose();
      for (const { attention, after } of observed) [attention, after].forEach((block) => block?.dispose());
    },
  };
}

/** A layer as stages of jax-js, its experts among them. */
function blocksOf(layer: DecoderLayer): readonly DecoderBlock[] {
  const { routed } = layer;
  if (routed === undefined) return stagedBlocks(layer);
  return [
    stagedAttention(layer),
    { reads: [], run: (tape, x, values) => routed.run(tape, x, values), dispose: () => undefined },
  ];
}

/** A copy, as what blocks hand on is released. */
async function tensorOf(value: Value): Promise<Tensor> {
  const { data, shape } = await value.tensor();
  return { data: Float32Array.from(data), shape };
}

function refuseStreams(): never {
  throw new UnsupportedError(
    "activations-residual",
    "Cannot read the activations of layers as layers must add to one stream: the decoder's residual is reversible, with two. " +
      'Make the decoder with residual: "plain"',
  );
}
