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

  const sidesOf = (areMoved: boolean): readonly Side[] =>
    (["q", "k", "v"] as const).filter((side) => moved.has(side) === areMoved);
  const intoGroups = (side: Side, all: np.Array): Record<string, np.Array> => {
    const parts: Record<string, np.Array> = {};
    let start = 0;
    for (const { names, heads, keyValueHeads } of groups) {
      const stop = start + (side === "q" ? heads : keyValueHeads);
      parts[names[side]] = all.ref.slice([], [start, stop]);
      start = stop;
    }
    all.dispose();
    return parts;
  };
  /** What nobody moves has no gradient, so it stays out of the stage that has one. */
  const taughtAlone = stage<string, string>(
    "taught heads",
    (arrays: ModelArrays) =>
      Object.assign({}, ...sidesOf(false).map((side) => intoGroups(side, arrays[side]))) as ModelArrays,
  );
  const learned = stage<string, string>("learned heads", ({ x, ...arrays }: ModelArrays) => {
    const [batch, length, width] = x.shape;
    const rows = norm.apply(x.reshape([batch * length, width]), arrays);
    const parts = sidesOf(true).map((side) =>
      intoGroups(side, arrays[side].add(changeOf(side, rows.ref, arrays, batch))),
    );
    const gates = attention.gates(rows, batch, arrays);
    return Object.assign({}, ...parts, gates, attention.parameterValues(arrays)) as ModelArrays;
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
      const pick = (sides: readonly Side[]): Record<string, Value> =>
        Object.fromEntries(sides.map((side) => [side, taught[side]]));
      const alone = moved.size === 3 ? {} : await tape.run(taughtAlone, pick(sidesOf(false)));
      const learns = moved.size + own.length > 0;
      const moving = learns
        ? await tape.run(learned, { x: taught.x, ...pick(sidesOf(true)), ...values })
        : {};
      tape.release(...Object.values(taught));
      const prepared = { ...alone, ...moving };
      const outputs = await attention.attend(tape, prepared);
      return groups.map(({ names }) => outputs[names.out]);
    },
    dispose() {
      taughtAlone.dispose();
      learned.dispose();
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
