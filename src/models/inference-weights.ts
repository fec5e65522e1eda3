/**
 * @file The weights of a decoder in an engine's memory: norms and linear maps of every layer, and the table that embeddings are read
 * from as it was given.
 */
import { MissingError, ShapeError } from "../base/errors.ts";
import { type QuantisedMatrix } from "../base/quantised-matrix.ts";
import { requireFinite, type Tensor } from "../base/tensor.ts";
import {
  keepLinear,
  keepNorm,
  type KeptLinear,
  type KeptNorm,
  type WasmEngine,
} from "../kernels/wasm/index.ts";
import { type FeedForwardBlock, type HeadBlock, type NormBlock } from "./decoder-blocks.ts";
import { type ResolvedDecoderConfig } from "./decoder-config.ts";
import { type DecoderLayer } from "./decoder-layers.ts";
import { type ModelParameter } from "./model.ts";

/** Weights by the names of a decoder's parameters, each as float32 or, where it is a matrix, as 8-bit numbers with a scale. */
export type InferenceWeights = Readonly<Record<string, Tensor | QuantisedMatrix>>;

/** A layer's weights in the engine. */
export interface KeptLayer {
  readonly norm: KeptNorm;
  readonly q: KeptLinear;
  readonly k: KeptLinear;
  readonly v: KeptLinear;
  readonly queryNorm: KeptNorm | undefined;
  readonly keyNorm: KeptNorm | undefined;
  readonly o: KeptLinear;
  readonly feedForward: KeptFeedForward | undefined;
}

/** A feed-forward's weights. */
export interface KeptFeedForward {
  readonly norm: KeptNorm;
  readonly gate: KeptLinear | undefined;
  readonly up: KeptLinear;
  readonly down: KeptLinear;
  readonly activation: "gelu" | "gelu-exact" | "relu";
}

/** The end of a decoder. */
export interface KeptHead {
  readonly norm: KeptNorm;
  readonly table: KeptLinear;
}

/** Weights in an engine's memory until they are disposed. */
export class KeptDecoder {
  readonly layers: readonly KeptLayer[];
  readonly head: KeptHead;
  readonly #engine: WasmEngine;
  readonly #weights: InferenceWeights;
  readonly #kept: { readonly sizeBytes: number; dispose(): void }[] = [];

  constructor(
    engine: WasmEngine,
    weights: InferenceWeights,
    {
      headNorm,
      layers,
      head,
    }: { readonly layers: readonly DecoderLayer[]; readonly head: HeadBlock } & Pick<
      ResolvedDecoderConfig,
      "headNorm"
    >,
  ) {
    this.#engine = engine;
    this.#weights = weights;
    try {
      this.layers = layers.map((layer) => this.#layer(layer, headNorm === "rms"));
      this.head = { norm: this.#norm(head), table: this.#linear(head.weights.table) };
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** Bytes of the engine's memory. */
  get sizeBytes(): number {
    return this.#kept.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  dispose(): void {
    for (const own of this.#kept.splice(0)) own.dispose();
  }

  #layer({ attention, norm, feedForward }: DecoderLayer, hasHeadNorm: boolean): KeptLayer {
    const { weights, biases, headNorm } = attention;
    const ofHeads = (role: "q" | "k"): KeptNorm | undefined =>
      hasHeadNorm && headNorm !== undefined
        ? this.#normOf({ gain: headNorm[role] }, headNorm.epsilon)
        : undefined;
    return {
      norm: this.#norm(norm),
      q: this.#linear(weights.q, biases.q),
      k: this.#linear(weights.k!, biases.k),
      v: this.#linear(weights.v, biases.v),
      queryNorm: ofHeads("q"),
      keyNorm: ofHeads("k"),
      o: this.#linear(weights.o, biases.o),
      feedForward: feedForward === undefined ? undefined : this.#feedForward(feedForward),
    };
  }

  #feedForward({ norm, weights, biases, kind }: FeedForwardBlock): KeptFeedForward {
    const { gate, up, down } = weights;
    // A gate and what it gates are computed at once, and so must be stored alike.
    const isAlike = gate === undefined || formOf(this.#weights[gate]) === formOf(this.#weights[up]);
    return {
      norm: this.#norm(norm),
      gate: gate === undefined ? undefined : this.#linear(gate, biases?.gate, isAlike),
      up: this.#linear(up, biases?.up, isAlike),
      down: this.#linear(down, biases?.down),
      activation: kind === "swiglu" ? "gelu" : kind,
    };
  }

  #linear(weight: string, bias?: string, asStored = true): KeptLinear {
    const kept = keepLinear(
      this.#engine,
      asStored ? this.#weights[weight] : vectorOf(this.#weights, weight),
      bias === undefined ? undefined : vectorOf(this.#weights, bias),
    );
    this.#kept.push(kept);
    return kept;
  }

  #norm({ weights, epsilon }: Pick<NormBlock, "weights" | "epsilon">): KeptNorm {
    return this.#normOf(weights, epsilon);
  }

  #normOf({ gain, shift }: NormBlock["weights"], epsilon: number): KeptNorm {
    const kept = keepNorm(this.#engine, {
      gain: vectorOf(this.#weights, gain),
      ...(shift === undefined ? {} : { shift: vectorOf(this.#weights, shift) }),
      epsilon,
    });
    this.#kept.push(kept);
    return kept;
  }
}

/** How a matrix's numbers are stored. */
function formOf({ data }: Tensor | QuantisedMatrix): string {
  return data.constructor.name;
}

/** A parameter that is no matrix, or one that is used as float32. */
export function vectorOf(weights: InferenceWeights, name: string): Tensor {
  const weight = weights[name];
  if (!("scale" in weight)) return weight;
  return {
    data: Float32Array.from(weight.data, (value) => weight.scale * (value - weight.zeroPoint)),
    shape: weight.shape,
  };
}

/**
 * Refuses weights that are not those of a decoder.
 *
 * @throws MissingError `weights-missing`, ShapeError `weights-shape`, NumbersError `not-finite`
 */
export function requireWeights(weights: InferenceWeights, parameters: readonly ModelParameter[]): void {
  for (const { name, shape } of parameters) {
    const weight = Object.hasOwn(weights, name) ? weights[name] : undefined;
    if (weight === undefined) {
      throw new MissingError(
        "weights-missing",
        `Cannot infer as every parameter of the decoder must have its numbers: '${name}' has none. ` +
          "Pass the weights of the whole model, by the names of decoder(config).parameters",
      );
    }
    if (String(weight.shape) !== String(shape)) {
      throw new ShapeError(
        "weights-shape",
        `Cannot infer as weights must have the shapes that the config says: '${name}' must be [${shape.join(", ")}] and is ` +
          `[${weight.shape.join(", ")}]. Pass the config that these weights were trained with`,
      );
    }
    if (!("scale" in weight)) requireFinite(`'${name}'`, weight);
  }
}

/** Row `row` of a table of `width` columns, added to nothing: `factor` times it, into `target`. */
export function readTableRow(
  table: Tensor | QuantisedMatrix,
  row: number,
  factor: number,
  target: Float32Array,
): void {
  const start = row * target.length;
  const { data } = table;
  if ("scale" in table) {
    const { scale, zeroPoint } = table;
    for (let d = 0; d < target.length; d++) {
      target[d] = factor * Math.fround(scale * (data[start + d] - zeroPoint));
    }
  } else for (let d = 0; d < target.length; d++) target[d] = factor * data[start + d];
}
