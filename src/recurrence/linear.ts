/** @file Linear attention: a kernel that is a product of feature maps, so that keys and values join in one matrix. */
import { wordOption } from "../base/options.ts";
import { type Parameter } from "../base/parameter.ts";
import { type PartFactory } from "../base/part.ts";
import { UnsupportedError } from "../base/errors.ts";
import { type Tensor64 } from "../base/tensor.ts";
import { type Core } from "./core.ts";
import {
  elu1,
  type FeatureMap,
  type FeatureMapName,
  hedgehog,
  identity,
  mapRows,
  relu,
  taylor2,
} from "./feature-map.ts";
import { liftLogs, logState, logStateInput } from "./log-features.ts";
import { keyInputs, queryInput, stateInput } from "./rule-inputs.ts";
import {
  type ChunkOption,
  coreOf,
  defineLifted,
  type Lifted,
  type LiftedRule,
  type RecurrentRule,
  type RuleCall,
  type RuleSizes,
  stateGradient,
  stateOf,
} from "./rule.ts";

/** What `linear` takes. */
export interface LinearOptions extends ChunkOption {
  /** φ (default elu1). */
  readonly map?: FeatureMapName | "exp";
  /** Whether outputs are divided by φ(q)·Σ φ(k) + 1e-6 (`sum`, the default), or not at all. */
  readonly normaliser?: "sum" | "none";
}

const maps: Readonly<Record<FeatureMapName, FeatureMap>> = {
  elu1,
  relu,
  taylor2,
  hedgehog,
  identity,
};

/** Keeps the division away from zero where maps can give zero. */
const epsilon = 1e-6;

/**
 * M_t = M_{t−1} + φ(k_t)ᵀv_t, z_t = z_{t−1} + φ(k_t), o_t = φ(q_t)·M_t/(φ(q_t)·z_t + 1e-6).
 *
 * φ is elu(x) + 1, max(x, 0), e^x, [1, x/D^¼, vec(xxᵀ)/√(2D)] (taylor2), [softmax(Wx), softmax(−Wx)] with a learned W
 * of each head (hedgehog), or x. `exp` is carried in logarithms and divided without the 1e-6, as its features never
 * vanish. With `full()` every query sees all tokens.
 *
 * @param options - `map`, `normaliser`, and `chunk`: tokens of a chunk, which must divide N
 * @throws DomainError `bad-option`; UnsupportedError `clash-normaliser` for map exp without a normaliser
 * @example
 * ```ts
 * import { linear, recurrence, tensor } from "qklab";
 * const attend = recurrence({ rule: linear({ map: "elu1" }) });
 * const q = tensor([1, 0, 0, 1], [1, 1, 2, 2]); // [B, H, N, D]
 * const { out, state } = await attend({ q, k: q, v: q });
 * const next = await attend.step({ q: tensor([1, 1], [1, 1, 1, 2]), k: tensor([0, 1], [1, 1, 1, 2]), v: tensor([2, 2], [1, 1, 1, 2]), state });
 * ```
 */
export const linear: PartFactory<RecurrentRule, LinearOptions> = defineLifted<LinearOptions>(
  {
    selector: "linear",
    formula: "M_t = M_{t−1} + φ(k_t)ᵀv_t, z_t = z_{t−1} + φ(k_t), o_t = φ(q_t)·M_t/(φ(q_t)·z_t + 1e-6)",
    source:
      "Katharopoulos et al. 2020, Transformers are RNNs, equation 18 (elu1); Arora et al. 2024, Based (taylor2); " +
      "Zhang et al. 2024, The Hedgehog and the Porcupine (hedgehog)",
    rules: {
      map: wordOption("elu1", "relu", "exp", "taylor2", "hedgehog", "identity"),
      normaliser: wordOption("sum", "none"),
    },
  },
  ({ map = "elu1", normaliser = "sum" }) => {
    const normalised = normaliser === "sum";
    if (map === "exp") {
      requireNormalised(normalised);
      return {
        inputs: [queryInput, ...keyInputs, logStateInput(identity.features)],
        hasWhole: true,
        stateShape: logState(identity.features),
        hasLogScales: true,
        lift: (call) => liftLogs(identity, call),
      };
    }
    return mappedRule(map, map === "hedgehog" ? projection : undefined, normalised);
  },
);

/** W of each head, the identity before training. */
const projection: Parameter = {
  name: "projection",
  mode: "learned",
  domain: "real",
  shape: ({ heads, width }) => [heads, width, width],
  initial: ({ heads, width }) =>
    Float64Array.from({ length: heads * width * width }, (_, place) =>
      Math.floor(place / width) % width === place % width ? 1 : 0,
    ),
};

function mappedRule(name: FeatureMapName, learned: Parameter | undefined, normalised: boolean): LiftedRule {
  const map = maps[name];
  const core = coreOf({ normalised, epsilon: normalised ? epsilon : 0 });
  const stateShape = ({ batch, heads, width, valueWidth }: RuleSizes): readonly number[] => [
    batch,
    heads,
    map.features(width),
    valueWidth + (normalised ? 1 : 0),
  ];
  return {
    inputs: [queryInput, ...keyInputs, stateInput(stateShape, "features", normalised ? "E + 1" : "E")],
    parameters: learned === undefined ? [] : [learned],
    hasWhole: true,
    stateShape,
    lift: (call) => liftMap(map, call, core),
    featureMap: { name, core, ...(learned === undefined ? {} : { weight: learned.name }) },
  };
}

function liftMap(map: FeatureMap, call: RuleCall, core: Core): Lifted {
  const { q, k, v } = call.inputs;
  const { heads, keyHeads } = call.sizes;
  const weight = (call.parameters as { readonly projection?: Tensor64 }).projection;
  const ofQueries = mapRows(map, q, heads, weight);
  const ofKeys = mapRows(map, k, weight === undefined ? keyHeads : heads, weight);
  return {
    core,
    inputs: { q: ofQueries.rows, k: ofKeys.rows, v, ...stateOf(call) },
    pullBack: (gradients) => {
      const [dq, dk] = [ofQueries.pullBack(gradients.q), ofKeys.pullBack(gradients.k)];
      const dWeight = dq.weight;
      dWeight?.data.forEach((_, place) => (dWeight.data[place] += dk.weight?.data[place] ?? 0));
      return {
        inputs: {
          q: dq.gradient,
          k: dk.gradient,
          v: gradients.v,
          ...stateGradient(call, gradients.state),
        },
        parameters: dWeight === undefined ? {} : { projection: dWeight },
      };
    },
  };
}

function requireNormalised(normalised: boolean): void {
  if (normalised) return;
  throw new UnsupportedError(
    "clash-normaliser",
    "Cannot use 'linear:map=exp' without a normaliser as its features are carried in logarithms, whose scale only a " +
      "division cancels: normaliser is none. Leave normaliser out, or use another map",
  );
}
