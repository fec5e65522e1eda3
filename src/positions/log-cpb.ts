/** @file Log-spaced continuous position bias: a small network from the logarithm of the distance to a bias per head. */
import { integerOption } from "../base/options.ts";
import { type Parameter } from "../base/parameter.ts";
import { definePart, type PartFactory } from "../base/part.ts";
import { type BiasPosition, type ParameterValues } from "./position.ts";

/** Options of {@link logCpb}. */
export interface LogCpbOptions {
  /** W, the number of places whose distances span [−1, 1] of the network's input before the logarithm (default 64). */
  readonly window?: number;
  /** Width of the network's hidden layer (default 512). */
  readonly hidden?: number;
}

const largestBias = 16;

/**
 * Adds 16·σ(MLP(x)) to the score, x = sign(Δ)·log2(1 + |Δ|·8/(W−1))/log2 8, MLP = one hidden layer with ReLU.
 *
 * @param options - `window`: W ≥ 2 places (default 64); `hidden`: width (default 512)
 * @example
 * ```ts
 * import { attention, causal, cosine, logCpb } from "qklab";
 * const attend = attention({ similarity: cosine(), position: logCpb({ window: 64 }), pattern: causal() });
 * ```
 */
export const logCpb: PartFactory<BiasPosition, LogCpbOptions> = definePart<BiasPosition, LogCpbOptions>(
  {
    kind: "position",
    selector: "log-cpb",
    formula: "s_ij + 16·σ(MLP(sign(Δ)·log2(1+|Δ|·8/(W−1))/log2 8))",
    source: "Liu et al. 2022, Swin Transformer V2, eq. 3–4",
    rules: { window: integerOption(2), hidden: integerOption(1) },
  },
  ({ window = 64, hidden = 512 }) => ({
    place: "bias",
    parameters: parametersOf(hidden),
    table: (heads, deltas, parameters) => forward(heads, deltas, parameters, window, hidden).bias,
    tableGradient(heads, deltas, parameters, gradient) {
      const { activations, bias, inputs } = forward(heads, deltas, parameters, window, hidden);
      const outWeight = parameters["log-cpb.outWeight"];
      const byHiddenWeight = new Float64Array(hidden);
      const byHiddenBias = new Float64Array(hidden);
      const byOutWeight = new Float64Array(heads * hidden);
      for (let place = 0; place < deltas.length; place++) {
        for (let head = 0; head < heads; head++) {
          const value = bias[head * deltas.length + place];
          const byLogit = gradient[head * deltas.length + place] * value * (1 - value / largestBias);
          for (let unit = 0; unit < hidden; unit++) {
            const activation = activations[place * hidden + unit];
            if (activation === 0) continue;
            const byUnit = byLogit * outWeight[head * hidden + unit];
            byOutWeight[head * hidden + unit] += byLogit * activation;
            byHiddenBias[unit] += byUnit;
            byHiddenWeight[unit] += byUnit * inputs[place];
          }
        }
      }
      return {
        "log-cpb.hiddenWeight": byHiddenWeight,
        "log-cpb.hiddenBias": byHiddenBias,
        "log-cpb.outWeight": byOutWeight,
      };
    },
  }),
);

/** The network's input for a distance: log-spaced, ±1 at about a whole window. */
export function logSpacedDistance(delta: number, window: number): number {
  return (Math.sign(delta) * Math.log2(1 + (Math.abs(delta) * 8) / (window - 1))) / Math.log2(8);
}

function parametersOf(hidden: number): readonly Parameter[] {
  const common = { mode: "learned", domain: "real" } as const;
  const hiddenShape = (): readonly number[] => [hidden];
  return [
    {
      ...common,
      name: "log-cpb.hiddenWeight",
      shape: hiddenShape,
      initial: (_, random) => Float64Array.from(random.normals(hidden)),
    },
    {
      ...common,
      name: "log-cpb.hiddenBias",
      shape: hiddenShape,
      initial: (_, random) => Float64Array.from(random.normals(hidden)),
    },
    {
      ...common,
      name: "log-cpb.outWeight",
      shape: ({ heads }) => [heads, hidden],
      initial: ({ heads }, random) => Float64Array.from(random.normals(heads * hidden, hidden ** -0.5)),
    },
  ];
}

function forward(
  heads: number,
  deltas: Int32Array,
  parameters: ParameterValues,
  window: number,
  hidden: number,
): { inputs: Float64Array; activations: Float64Array; bias: Float64Array } {
  const hiddenWeight = parameters["log-cpb.hiddenWeight"];
  const hiddenBias = parameters["log-cpb.hiddenBias"];
  const outWeight = parameters["log-cpb.outWeight"];
  const inputs = Float64Array.from(deltas, (delta) => logSpacedDistance(delta, window));
  const activations = new Float64Array(deltas.length * hidden).map((_, flat) => {
    const unit = flat % hidden;
    return Math.max(hiddenWeight[unit] * inputs[Math.floor(flat / hidden)] + hiddenBias[unit], 0);
  });
  const bias = new Float64Array(heads * deltas.length).map((_, flat) => {
    const [head, place] = [Math.floor(flat / deltas.length), flat % deltas.length];
    let logit = 0;
    for (let unit = 0; unit < hidden; unit++) {
      logit += outWeight[head * hidden + unit] * activations[place * hidden + unit];
    }
    return largestBias / (1 + Math.exp(-logit));
  });
  return { inputs, activations, bias };
}
