/**
 * @file Feature maps φ on an engine: features of all rows of a tensor, and their gradients. Where a map is learned, rows
 * that query heads share are mapped once for each of them, by its own weights.
 */
import { type Tensor } from "../../../base/tensor.ts";
import { DenseCall, type DenseRecord, inDenseCall, mostParts } from "../dense/dense-call.ts";
import { blockRows } from "../dense/dense-code.ts";
import {
  type HeadBlockField,
  headBlockFields,
  largeRowShares,
  type RowShare,
  rowShares,
} from "../dense/head-blocks.ts";
import { type WasmEngine } from "../engine/engine.ts";
import { featureMapModule, mapScratchBytes } from "./feature-map-kernel.ts";
import {
  type Blocks,
  type ComputedMap,
  featureCount,
  type FeatureMapSpec,
  mapBlocks,
} from "./feature-map-spec.ts";

/** What is mapped. */
export interface FeatureMapInputs {
  /** [B, G, N, D] */
  readonly x: Tensor;
  /** W of each query head, [H, D, D], of a map that is learned; G divides H. */
  readonly weight?: Tensor;
}

/**
 * φ(x), [B, H, N, F], or [B, G, N, F] for a map without weights: that of `feature-map.ts` in float32.
 *
 * @throws UnsupportedError `memory` beyond 4 GiB
 */
export function fusedFeatureMap(engine: WasmEngine, map: ComputedMap, inputs: FeatureMapInputs): Tensor {
  return inDenseCall(engine, () => {
    const call = new FeatureMapCall(engine, map, inputs);
    const heads = call.takeFeatures();
    const places = { input: call.copyInput(), heads };
    const packed = call.packWeights();
    call.run(
      "mapFeatures",
      call.blocks().map((share) => call.record(share, places, { packed })),
    );
    return call.readFeatures(heads);
  });
}

/**
 * Gradients of Σ φ(x)·dφ by x and by the weights.
 *
 * @param features - φ(x), as {@link fusedFeatureMap} gave it
 * @param gradient - dφ
 */
export function fusedFeatureMapBackward(
  engine: WasmEngine,
  map: ComputedMap,
  inputs: FeatureMapInputs,
  features: Tensor,
  gradient: Tensor,
): FeatureMapInputs {
  return inDenseCall(engine, () => {
    const call = new FeatureMapCall(engine, map, inputs);
    const inputGradient = call.takeInput();
    const places = {
      input: call.copyInput(),
      inputGradient,
      heads: call.copyFeatures(features),
      headGradients: call.copyFeatures(gradient),
    };
    if (inputs.weight === undefined) {
      call.run(
        "pullFeatures",
        call.blocks().map((share) => call.record(share, places, {})),
      );
      return { x: call.readInput(inputGradient) };
    }
    const weight = call.copyWeights();
    const shares = call.shares();
    const sums = call.partSums(Math.max(...shares.map(({ part }) => part)) + 1, {
      weightGradient: call.weightFloats,
    });
    call.run(
      "pullFeatures",
      shares.map((share) => call.record(share, places, { weight, ...sums.of(share.part) })),
    );
    const { weightGradient } = sums.join();
    return { x: call.readInput(inputGradient), weight: call.readWeights(weightGradient) };
  });
}

/** Blocks of rows of one head of x, in `sequences` batch entries from the share's on. */
interface HeadShare extends RowShare {
  readonly head: number;
  readonly part: number;
}

type Places = Readonly<Partial<Record<"input" | "inputGradient" | "heads" | "headGradients", number>>>;
type Weights = Readonly<Partial<Record<"packed" | "weight" | "weightGradient", number>>>;

/** One call: where rows, features and weights lie. */
class FeatureMapCall extends DenseCall<HeadBlockField> {
  readonly #inputs: FeatureMapInputs;
  readonly #x: Blocks;
  readonly #features: Blocks;
  readonly #featureShape: readonly number[];
  readonly #weights: Blocks;
  /** Query heads that share a head of x, each with its features. */
  readonly #group: number;

  constructor(engine: WasmEngine, map: ComputedMap, inputs: FeatureMapInputs) {
    const { x, weight } = inputs;
    const [batch, count, tokens, width] = x.shape;
    const { relaxed, shared } = engine;
    const spec: FeatureMapSpec = { map, width, relaxed, shared };
    super(engine, {
      key: `feature map ${map} ${width}`,
      module: () => featureMapModule(spec),
      fields: headBlockFields,
      scratchBytes: mapScratchBytes(spec),
    });
    const blocks = mapBlocks(spec, tokens);
    const heads = weight?.shape[0] ?? count;
    const padded = blocks.x.padded.width;
    this.#inputs = inputs;
    this.#x = blocks.x;
    this.#features = blocks.features;
    this.#featureShape = [batch, heads, tokens, featureCount(map, width)];
    this.#weights = { own: { rows: width, width }, padded: { rows: padded, width: padded } };
    this.#group = heads / count;
  }

  get #rows(): number {
    return this.#x.padded.rows;
  }

  copyInput(): number {
    return this.copy(this.#inputs.x.data, this.#x.own, this.#x.padded);
  }

  takeInput(): number {
    const [batch, count] = this.#inputs.x.shape;
    return this.take(batch * count * sizeOf(this.#x));
  }

  readInput(address: number): Tensor {
    return this.read(address, this.#inputs.x.shape, this.#x.own, this.#x.padded);
  }

  copyFeatures({ data }: Tensor): number {
    return this.copy(data, this.#features.own, this.#features.padded);
  }

  takeFeatures(): number {
    const [batch, heads] = this.#featureShape;
    return this.take(batch * heads * sizeOf(this.#features));
  }

  readFeatures(address: number): Tensor {
    return this.read(address, this.#featureShape, this.#features.own, this.#features.padded);
  }

  get weightFloats(): number {
    return this.#featureShape[1] * sizeOf(this.#weights);
  }

  copyWeights(): number {
    const { weight } = this.#inputs;
    return weight === undefined ? 0 : this.copy(weight.data, this.#weights.own, this.#weights.padded);
  }

  readWeights(address: number): Tensor {
    return this.read(address, this.#inputs.weight!.shape, this.#weights.own, this.#weights.padded);
  }

  packWeights(): number {
    const { rows, width } = this.#weights.padded;
    if (this.#inputs.weight === undefined) return 0;
    return this.pack("packWide", this.copyWeights(), this.#featureShape[1] * rows, width);
  }

  /** All blocks of rows. */
  blocks(): HeadShare[] {
    const [batch, count] = this.#inputs.x.shape;
    const shares = rowShares(batch, this.#rows, blockRows);
    return Array.from({ length: count }, (_, head) =>
      shares.map((share) => ({ ...share, head, part: 0 })),
    ).flat();
  }

  /** Blocks that sum their gradients of a head's weights, in at most eight parts whatever the threads. */
  shares(): HeadShare[] {
    const [batch, count] = this.#inputs.x.shape;
    const shares = largeRowShares(batch, this.#rows, mostParts);
    return Array.from({ length: count }, (_, head) =>
      shares.map((share, part) => ({ ...share, head, part })),
    ).flat();
  }

  /** A record for a share of the rows, of the places where all rows and weights lie. */
  record(
    { head, sequence, sequences, first, rows }: HeadShare,
    places: Places,
    weights: Weights,
  ): DenseRecord<HeadBlockField> {
    const count = this.#inputs.x.shape[1];
    const group = this.#group;
    const { x, weight } = { x: 4 * sizeOf(this.#x), weight: 4 * sizeOf(this.#weights) };
    const headStride = 4 * sizeOf(this.#features);
    const own = sequence * count + head;
    const parts = this.#features.padded.rows / this.#x.padded.rows;
    const ofRows = own * x + 4 * first * this.#x.padded.width;
    const ofFeatures = own * group * headStride + 4 * first * parts * this.#features.padded.width;
    const moved = (all: object, offset: (name: string) => number): Record<string, number> =>
      Object.fromEntries(
        (Object.entries(all) as [string, number][]).map(([name, address]) => [name, address + offset(name)]),
      );
    return {
      rows,
      sequences,
      count: group,
      inputStride: count * x,
      headStride,
      headsStride: count * group * headStride,
      ...moved(places, (name) => (name === "heads" || name === "headGradients" ? ofFeatures : ofRows)),
      ...moved(weights, () => head * group * weight),
    };
  }
}

const sizeOf = ({ padded: { rows, width } }: Blocks): number => rows * width;
