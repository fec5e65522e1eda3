/**
 * @file Rotary positions: pairs of coordinates turn by place × frequency, so that a rotation-invariant score depends on
 * the distance of places only; with the scalings that stretch it beyond the trained length.
 */
import { DomainError, ShapeError } from "../base/errors.ts";
import { integerOption, numberOption, wordOption } from "../base/options.ts";
import { definePart, type PartFactory } from "../base/part.ts";
import { type RotaryPosition } from "./position.ts";

/** Options of {@link rope}. */
export interface RopeOptions {
  /** Base of the frequencies (default 10000). */
  readonly theta?: number;
  /** Which coordinates form a pair: (m, m + dims/2), as Hugging Face does, or (2m, 2m+1). */
  readonly layout?: "half" | "interleaved";
  readonly scaling?: "none" | "pi" | "ntk" | "yarn" | "llama3" | "xpos";
  /** How many times longer the sequences are than those trained on; for pi, ntk, yarn and llama3. */
  readonly factor?: number;
  /** The length trained on, in places; for yarn and llama3. */
  readonly original?: number;
  /** Partial rotation: how many leading coordinates turn (default all). */
  readonly dims?: number;
}

/** Rotations within the trained length above which YaRN keeps a frequency, and below which it interpolates it. */
const yarnFast = 32;
const yarnSlow = 1;
/** The same two of Llama 3.1. */
const llama3Fast = 4;
const llama3Slow = 1;
const xposScaleBase = 512;

/**
 * Rotary position embedding: the pair m of a query or key at place i turns by i·θ^{−2m/dims}. `scaling`:
 * `pi` divides places by `factor`; `ntk` uses θ·factor^{d/(d−2)}; `yarn` interpolates only slow pairs and multiplies q and k
 * by 0.1·ln(factor) + 1; `llama3` interpolates only slow pairs too, by the number of their turns within the trained length;
 * `xpos` scales pairs by ζ^{±(place − length/2)/512}, ζ = (2m + 0.4d)/(1.4d).
 *
 * @param options - see {@link RopeOptions}
 * @throws DomainError `rope-factor` when pi, ntk, yarn or llama3 lack `factor`, or the last two `original`
 * @example
 * ```ts
 * import { attention, causal, dot, rope } from "qklab";
 * const attend = attention({ similarity: dot(), position: rope({ theta: 10000 }), pattern: causal() });
 * ```
 */
export const rope: PartFactory<RotaryPosition, RopeOptions> = definePart<RotaryPosition, RopeOptions>(
  {
    kind: "position",
    selector: "rope",
    formula: "pair m of place i turned by i·θ^{−2m/D}",
    source:
      "Su et al. 2021, RoFormer, eq. 34; pi: Chen et al. 2023; ntk: bloc97 2023; yarn: Peng et al. 2023, eq. 23; llama3: Hugging Face, modeling_rope_utils.py; xpos: Sun et al. 2022",
    rules: {
      theta: numberOption("positive"),
      layout: wordOption("half", "interleaved"),
      scaling: wordOption("none", "pi", "ntk", "yarn", "llama3", "xpos"),
      factor: numberOption("positive"),
      original: integerOption(1),
      dims: integerOption(2),
    },
  },
  (options) => {
    const { theta = 10_000, layout = "half", scaling = "none", dims } = options;
    requireScalingOptions(options);
    const factor = options.factor ?? 1;
    const turned = (width: number): number => requireTurnable(dims ?? width, width);
    return {
      place: "rotation",
      layout,
      pairs: (width) => {
        const half = turned(width) / 2;
        return Array.from({ length: half }, (_, m) =>
          layout === "half" ? ([m, m + half] as const) : ([2 * m, 2 * m + 1] as const),
        );
      },
      frequencies: (width) => {
        const count = turned(width);
        const base = scaling === "ntk" ? theta * factor ** (count / (count - 2)) : theta;
        const plain = new Float64Array(count / 2).map((_, m) => base ** ((-2 * m) / count));
        if (scaling === "pi") return plain.map((frequency) => frequency / factor);
        if (scaling === "llama3") return llama3Frequencies(plain, factor, options.original ?? 1);
        return scaling === "yarn" ? yarnFrequencies(plain, theta, factor, options.original ?? 1) : plain;
      },
      amplitude: scaling === "yarn" && factor > 1 ? 0.1 * Math.log(factor) + 1 : 1,
      decay:
        scaling === "xpos"
          ? (width) => {
              const count = turned(width);
              return new Float64Array(count / 2).map((_, m) => (2 * m + 0.4 * count) / (1.4 * count));
            }
          : undefined,
    };
  },
);

/** Pairs that turn often keep their frequency, those that turn less than once are interpolated, a ramp lies between. */
function yarnFrequencies(plain: Float64Array, theta: number, factor: number, original: number): Float64Array {
  const count = plain.length * 2;
  const pairThatTurns = (times: number): number =>
    (count * Math.log(original / (2 * Math.PI * times))) / (2 * Math.log(theta));
  const low = Math.max(Math.floor(pairThatTurns(yarnFast)), 0);
  const high = Math.min(Math.ceil(pairThatTurns(yarnSlow)), count - 1);
  return plain.map((frequency, m) => {
    const interpolated = Math.min(Math.max((m - low) / Math.max(high - low, 1e-3), 0), 1);
    return frequency * (1 - interpolated) + (frequency / factor) * interpolated;
  });
}

/** f·(s + (1 − s)/factor): s goes from 0 at one turn within the trained length to 1 at four. */
function llama3Frequencies(plain: Float64Array, factor: number, original: number): Float64Array {
  return plain.map((frequency) => {
    const turns = (original * frequency) / (2 * Math.PI);
    const kept = Math.min(Math.max((turns - llama3Slow) / (llama3Fast - llama3Slow), 0), 1);
    return frequency * (kept + (1 - kept) / factor);
  });
}

function requireScalingOptions({ scaling = "none", factor, original }: RopeOptions): void {
  const needsOriginal = scaling === "yarn" || scaling === "llama3";
  const needsFactor = needsOriginal || scaling === "pi" || scaling === "ntk";
  const missing =
    needsFactor && factor === undefined
      ? "factor"
      : needsOriginal && original === undefined
        ? "original"
        : undefined;
  if (missing !== undefined) {
    throw new DomainError(
      "rope-scaling",
      `Cannot scale 'rope' by ${scaling} as it needs '${missing}': nothing was given. ` +
        `Write rope:scaling=${scaling},factor=4${needsOriginal ? ",original=2048" : ""}`,
    );
  }
  const unused =
    factor !== undefined && !needsFactor
      ? "factor"
      : original !== undefined && !needsOriginal
        ? "original"
        : undefined;
  if (unused === undefined) return;
  throw new DomainError(
    "rope-scaling",
    `Cannot make 'rope' as '${unused}' has no effect with scaling=${scaling}: ${unused}=${factor ?? original}. ` +
      "Choose scaling=pi, ntk, yarn or llama3 (original: only the last two), or leave it out",
  );
}

function requireTurnable(dims: number, width: number): number {
  if (dims % 2 === 0 && dims <= width) return dims;
  throw new ShapeError(
    "rope-width",
    `Cannot turn coordinates in pairs as their number must be even and at most the head width: ${dims} of ${width}. ` +
      "Use an even head width, or an even rope:dims=… up to it",
  );
}

/** Cosines and sines of one side of the attention, [count, pairs], with amplitude and xPos scale multiplied in. */
export interface RotaryTable {
  readonly cos: Float64Array;
  readonly sin: Float64Array;
  readonly pairs: readonly (readonly [number, number])[];
}

/**
 * The rotation of `count` successive places: x_a' = cos·x_a − sin·x_b, x_b' = cos·x_b + sin·x_a for the pair (a, b).
 *
 * @param position - a rotary position
 * @param width - D
 * @param places - the first place, how many, whose they are, and the length that centres xPos (any shared number gives the
 *   same scores)
 */
export function rotaryTable(
  position: RotaryPosition,
  width: number,
  places: {
    readonly first: number;
    readonly count: number;
    readonly role: "query" | "key";
    readonly length: number;
  },
): RotaryTable {
  const pairs = position.pairs(width);
  const frequencies = position.frequencies(width);
  const decay = position.decay?.(width);
  const cos = new Float64Array(places.count * pairs.length);
  const sin = new Float64Array(cos.length);
  for (let index = 0; index < cos.length; index++) {
    const m = index % pairs.length;
    const place = places.first + Math.floor(index / pairs.length);
    const power = (places.role === "query" ? 1 : -1) * ((place - places.length / 2) / xposScaleBase);
    const scale = position.amplitude * (decay === undefined ? 1 : decay[m] ** power);
    cos[index] = scale * Math.cos(place * frequencies[m]);
    sin[index] = scale * Math.sin(place * frequencies[m]);
  }
  return { cos, sin, pairs };
}
