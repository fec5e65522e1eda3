/**
 * @file The attention of one layer, alone: taught queries, keys and values go in, with low-rank changes made of the layer's rows where
 * they are learned, and the outputs of all heads come out.
 */
import { type numpy as np } from "@jax-js/jax";
import { stage, type Tape, type Value } from "../autodiff/index.ts";
import { UnsupportedError } from "../base/errors.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { factorNames } from "../language/adapter-format.ts";
import { attentionLayer } from "../models/attention-layer.ts";
import { normBlock } from "../models/decoder-blocks.ts";
import { type ModelArrays, type ModelParameter, type ResolvedDecoderConfig } from "../models/index.ts";
import { splitHeads } from "../nn/heads.ts";
import { linear } from "../nn/linear.ts";

/** Low-rank changes of projections. */
export interface LowRank {
  /** r; 0 for none. */
  readonly rank: number;
  /** α */
  readonly alpha: number;
}

/** What makes a layer. */
export interface MixingLayerOptions {
  readonly config: ResolvedDecoderConfig;
  readonly layer: number;
  readonly engine: WasmEngine | undefined;
  readonly lowRank: LowRank;
  /** What changes move, where the rank is not 0. */
  readonly sides: readonly Side[];
}

type Side = "q" | "k" | "v";

/** Values of a layer on the tape: its rows before the norm [B, N, width], and all its heads [B, H, N, D]. */
export interface TaughtValues {
  readonly x: Value;
  readonly q: Value;
  readonly k: Value;
  readonly v: Value;
}

/** The attention of one layer. */
export interface MixingLayer {
  /** Its attentions' own parameters. */
  readonly own: readonly ModelParameter[];
  /** Weights whose changes move its queries, keys and values; none at rank 0. */
  readonly changed: readonly ModelParameter[];
  /** Names of what it reads and nobody trains. */
  readonly frozen: readonly string[];
  /**
   * On the tape: the outputs of its groups, in the order of heads. What was taught is released.
   *
   * @param values - of `own`, of the factors of `changed`, and of `frozen`, by name
   */
  run(tape: Tape, taught: TaughtValues, values: Readonly<Record<string, Value>>): Promise<readonly Value[]>;
  dispose(): void;
}

/**
 * Makes it.
 *
 * @throws UnsupportedError `distil-model` for models whose heads are not made by projections alone
 */
export function mixingLayer({ config, layer, engine, lowRank, sides }: MixingLayerOptions): MixingLayer {
  const prefix = `model.layers.${layer}`;
  requirePlainHeads(config, lowRank);
  const attention = attentionLayer({
    prefix: `${prefix}.self_attn`,
    groups: config.groups[layer],
    width: config.width,
    headWidth: config.headWidth,
    engine,
    deviations: { into: 1, out: 1 },
  });
  const norm = normBlock(config, `${prefix}.input_layernorm`);
  const { groups, weights } = attention;
  const ownNames = new Set([...attention.held, ...attention.gated]);
  const own = attention.parameters.filter(({ name }) => ownNames.has(name));
  const weightOf = { q: weights.q, k: weights.k, v: weights.v };
  const moved = new Set<Side>(lowRank.rank === 0 ? [] : sides);
  const changedNames = new Set([...moved].map((side) => weightOf[side]));
  const changed = attention.parameters.filter(({ name }) => changedNames.has(name));
  const scale = lowRank.alpha / Math.max(1, lowRank.rank);

  const prepare = stage<string, string>("taught heads", ({ x, q, k, v, ...arrays }: ModelArrays) => {
    const [batch, length, width] = x.shape;
    const rows = norm.apply(x.reshape([batch * length, width]), arrays);
    const prepared: Record<string, np.Array> = {};
    for (const [side, taught] of Object.entries({ q, k, v }) as [Side, np.Array][]) {
      const all = moved.has(side) ? taught.add(changeOf(side, rows.ref, arrays, batch)) : taught;
      let start = 0;
      for (const { names, heads, keyValueHeads } of groups) {
        const stop = start + (side === "q" ? heads : keyValueHeads);
        prepared[names[side]] = all.ref.slice([], [start, stop]);
        start = stop;
      }
      all.dispose();
    }
    const gates = attention.gates(rows, batch, arrays);
    return { ...prepared, ...gates, ...attention.parameterValues(arrays) };
  });

  /** α/r·rows·Aᵀ·Bᵀ by heads. */
  function changeOf(side: Side, rows: np.Array, arrays: ModelArrays, batch: number): np.Array {
    const { a, b } = factorNames(weightOf[side]!);
    const change = linear(linear(rows, arrays[a]), arrays[b]).mul(scale);
    return splitHeads(change, batch, side === "q" ? config.heads : config.keyValueHeads);
  }

  return {
    own,
    changed,
    frozen: norm.parameters.map(({ name }) => name),
    async run(tape, taught, values) {
      const prepared = await tape.run(prepare, { ...taught, ...values });
      tape.release(...Object.values(taught));
      const outputs = await attention.attend(tape, prepared);
      return groups.map(({ names }) => outputs[names.out]);
    },
    dispose() {
      prepare.dispose();
      attention.dispose();
    },
  };
}

function requirePlainHeads(
  { convolution, sharedQueryKey, headNorm }: ResolvedDecoderConfig,
  { rank }: LowRank,
): void {
  const problem =
    convolution > 1
      ? "its heads are convolved"
      : sharedQueryKey
        ? "its keys are its queries"
        : headNorm !== "none" && rank > 0
          ? `its heads have norms, and the rank of changes is ${rank}`
          : undefined;
  if (problem === undefined) return;
  throw new UnsupportedError(
    "distil-model",
    `Cannot distil a model as its queries and keys must be projections of its rows, to which changes of low rank are added: ${problem}. ` +
      "Use rank 0, or another model",
  );
}
