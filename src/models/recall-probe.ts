/**
 * @file The smallest model that recall in vectors needs: one attention between the projections q, k, v and o over inputs
 * [key; value], read out as products with the table of values. Nothing else can solve the task in its place, so it measures
 * the attention alone.
 */
import { numpy as np } from "@jax-js/jax";
import { type AnyPartFactory, compose, completeSelector } from "../attention/index.ts";
import { lossStage, stage, type Tape } from "../autodiff/index.ts";
import { DomainError, ShapeError } from "../base/errors.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { crossEntropy } from "../nn/cross-entropy.ts";
import { takeRows, unembed } from "../nn/embedding.ts";
import { assembleModel, type ModelRun, pick, type Values } from "./assemble-model.ts";
import { attentionLayer } from "./attention-layer.ts";
import { type LayerGroup } from "./attention-group.ts";
import { parseMixer } from "./mixer.ts";
import { type Model, type ModelArrays } from "./model.ts";
import { type RecurrentHeads } from "./recurrence-group.ts";
import { type LayerObserver } from "./observe-scores.ts";
import { groupStateBytes } from "./state-bytes.ts";

/** Sizes of a probe. */
export interface RecallProbeConfig {
  /** The attention, with its pattern. */
  readonly selector: string;
  /** Coordinates of a key in the inputs. */
  readonly keyWidth: number;
  /** D of each head: the width that is studied. */
  readonly headWidth: number;
  /** H (default 1) */
  readonly heads?: number;
  /** The table of values, [classes, valueWidth]; fixed. */
  readonly values: { readonly classes: number; readonly valueWidth: number; readonly rows: Float32Array };
}

/** Sequences of vectors with labels. */
export interface VectorBatch {
  /** [B, N, keyWidth + valueWidth] */
  readonly inputs: Float32Array;
  /** B */
  readonly batch: number;
  /** Classes at the labelled places, [M]. */
  readonly targets: Int32Array;
  /** Labelled places, as sequence·N + place, [M]. */
  readonly positions: Int32Array;
}

/**
 * Makes a probe. Its heads have values as wide as the table's, whatever D is, so that D decides the comparison alone.
 *
 * @param config - see {@link RecallProbeConfig}
 * @param options - `similarities`: the caller's own, which the selector may name; `engine`: computes the attention by fused
 *   kernels, jax-js when absent
 * @throws DomainError `probe-position` for positions that are added to embeddings, which a probe does not have
 * @throws DomainError, ShapeError, UnsupportedError when the attention does not fit its sizes
 * @example
 * ```ts
 * import { random } from "qklab";
 * import { recallProbe } from "qklab/models";
 * import { valueTable } from "qklab/tasks";
 * const values = valueTable(64, 16, random(1, "recall", "values"));
 * const probe = recallProbe({ selector: "l2:beta=auto+causal", keyWidth: 16, headWidth: 8, values });
 * probe.parameterCount; // 1281
 * ```
 */
export function recallProbe(
  config: RecallProbeConfig,
  options: {
    readonly similarities?: readonly AnyPartFactory[];
    readonly engine?: WasmEngine | undefined;
  } = {},
): Model<VectorBatch> {
  const { selector, keyWidth, headWidth, heads = 1, values } = config;
  const group = { ...readMixer(selector, headWidth, options.similarities), heads, keyValueHeads: heads };
  const width = keyWidth + values.valueWidth;
  const layer = attentionLayer({
    prefix: "probe",
    groups: [group],
    width,
    headWidth,
    valueWidth: values.valueWidth,
    outWidth: values.valueWidth,
    engine: options.engine,
    deviations: { into: width ** -0.5, out: (heads * values.valueWidth) ** -0.5 },
  });

  const project = stage("project", ({ inputs, ...arrays }: ModelArrays) => {
    const [batch, length] = inputs.shape;
    return layer.project(inputs.reshape([batch * length, width]), batch, arrays);
  });
  const logitsOf = ({ positions, table, ...arrays }: ModelArrays): np.Array =>
    unembed(takeRows(layer.merge(arrays), positions), table);
  const lossOperation = lossStage("merge, read out and loss", ({ targets, ...arrays }: ModelArrays) => ({
    loss: np.mean(crossEntropy(logitsOf(arrays), targets)),
  }));
  const labelsOperation = stage("merge, read out and labels", ({ targets, ...arrays }: ModelArrays) => {
    const logits = logitsOf(arrays);
    return { predicted: np.argmax(logits.ref, -1), losses: crossEntropy(logits, targets) };
  });

  async function run(
    tape: Tape,
    held: Values,
    batch: VectorBatch,
    observe?: LayerObserver,
  ): Promise<ModelRun> {
    const length = lengthOf(batch, width);
    const inputs = tape.constant(np.array(batch.inputs, { shape: [batch.batch, length, width] }));
    const projected = await tape.run(project, { inputs, ...pick(held, layer.projected) });
    tape.release(inputs);
    const { classes, valueWidth, rows } = values;
    const inputsOfLast = {
      ...(await layer.attend(tape, projected, observe)),
      ...pick(held, layer.merged),
      table: tape.constant(np.array(rows, { shape: [classes, valueWidth] })),
      targets: tape.constant(np.array(batch.targets)),
      positions: tape.constant(np.array(batch.positions)),
    };
    return { inputs: inputsOfLast };
  }

  return assembleModel({
    parameters: layer.parameters,
    run,
    loss: async (tape, inputs) => (await tape.run(lossOperation, inputs)).loss,
    labelsOperation,
    stateBytes: (length) => groupStateBytes(group, { length, headWidth, valueWidth: values.valueWidth }),
    owned: [project, lossOperation, layer],
  });
}

function readMixer(
  selector: string,
  headWidth: number,
  similarities: readonly AnyPartFactory[] | undefined,
): Pick<LayerGroup, "composition"> | Pick<RecurrentHeads, "recurrence"> {
  const mixer = parseMixer(selector, similarities);
  if (mixer.kind === "recurrence") {
    if (mixer.position !== undefined) requireInside(selector, mixer.position);
    return { recurrence: mixer.recurrence };
  }
  const composition = compose(completeSelector(mixer.parts, {}));
  requireInside(selector, composition.position);
  composition.similarity.terms(headWidth);
  return { composition };
}

function requireInside(selector: string, position: { readonly place: string; readonly name: string }): void {
  if (position.place !== "embedding") return;
  throw new DomainError(
    "probe-position",
    `Cannot probe '${selector}' as '${position.name}' is added to token embeddings, and its inputs are vectors. ` +
      "Leave the position out, or use rope, alibi or log-cpb",
  );
}

function lengthOf({ inputs, batch, targets, positions }: VectorBatch, width: number): number {
  const length = inputs.length / (batch * width);
  if (Number.isInteger(length) && length > 0 && targets.length === positions.length && targets.length > 0)
    return length;
  throw new ShapeError(
    "probe-batch",
    `Cannot probe as inputs must be [B, N, ${width}] with as many targets as positions: ${inputs.length} numbers for ` +
      `${batch} sequences, ${targets.length} targets, ${positions.length} positions. Pass a batch of recallVectors`,
  );
}
