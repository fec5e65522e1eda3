/**
 * @file A call of a rule in the core's terms, as the kernels take it: in float32. Feature maps that have kernels run there;
 * whatever else a rule does to its inputs it does in f64.
 */
import { narrow, type Tensor, type Tensor64, widen, zeros64 } from "../../../base/tensor.ts";
import { type CoreInputs } from "../../../recurrence/core.ts";
import {
  type Lifted,
  type RecurrentRule,
  type RuleCall,
  type RuleFeatureMap,
  type RuleGradients,
  stateGradient,
  stateOf,
} from "../../../recurrence/rule.ts";
import { type WasmEngine } from "../engine/engine.ts";
import { fusedFeatureMap, fusedFeatureMapBackward } from "./fused-feature-map.ts";
import { type FusedRecurrenceGradients } from "./read-gradients.ts";

/** As `Lifted`, with inputs and their gradients in float32. */
export interface EngineLift extends Pick<Lifted, "core" | "close" | "open"> {
  readonly inputs: CoreInputs<Tensor>;
  readonly pullBack: (
    gradients: FusedRecurrenceGradients,
    ending: { readonly last: Tensor64; readonly dState: Tensor64 } | undefined,
  ) => RuleGradients;
}

/** A call of a rule that has a lift. */
export function liftOnEngine(engine: WasmEngine, rule: RecurrentRule, call: RuleCall): EngineLift {
  if (rule.featureMap !== undefined) return mapOnEngine(engine, rule.featureMap, call);
  const { inputs, pullBack, ...lifted } = rule.lift!(call);
  return {
    ...lifted,
    inputs: mapInputs(inputs, narrow),
    pullBack: (gradients, ending) => pullBack(mapInputs(gradients, widen), ending),
  };
}

function mapOnEngine(
  engine: WasmEngine,
  { name, core, weight: learned }: RuleFeatureMap,
  call: RuleCall,
): EngineLift {
  const { q, k, v } = call.inputs;
  const weight = learned === undefined ? undefined : narrow(call.parameters[learned]);
  const [ofQueries, ofKeys] = [q, k].map((rows) => mapped(engine, name, narrow(rows), weight));
  return {
    core,
    inputs: { q: ofQueries.features, k: ofKeys.features, ...mapInputs({ v, ...stateOf(call) }, narrow) },
    pullBack: (gradients) => {
      const [dq, dk] = [ofQueries.pullBack(gradients.q), ofKeys.pullBack(gradients.k)];
      return {
        inputs: {
          q: widen(dq.x),
          k: widen(dk.x),
          v: widen(gradients.v),
          ...stateGradient(call, widen(gradients.state)),
        },
        parameters: learned === undefined ? {} : { [learned]: sumOf(dq.weight!, dk.weight!) },
      };
    },
  };
}

/** Features of rows, and the way back. */
interface MappedTensor {
  readonly features: Tensor;
  readonly pullBack: (gradient: Tensor) => { readonly x: Tensor; readonly weight?: Tensor };
}

function mapped(
  engine: WasmEngine,
  map: RuleFeatureMap["name"],
  x: Tensor,
  weight: Tensor | undefined,
): MappedTensor {
  if (map === "identity") return { features: x, pullBack: (gradient) => ({ x: gradient }) };
  const inputs = { x, ...(weight === undefined ? {} : { weight }) };
  const features = fusedFeatureMap(engine, map, inputs);
  return {
    features,
    pullBack: (gradient) => fusedFeatureMapBackward(engine, map, inputs, features, gradient),
  };
}

function sumOf(one: Tensor, other: Tensor): Tensor64 {
  const sum = zeros64(one.shape);
  for (let place = 0; place < sum.data.length; place++) sum.data[place] = one.data[place] + other.data[place];
  return sum;
}

/** Inputs of the core, each changed. */
export function mapInputs<Inputs extends object, To>(
  inputs: Inputs,
  change: (tensor: Exclude<Inputs[keyof Inputs], undefined>) => To,
): { readonly [Name in keyof Inputs]: To } {
  const entries = Object.entries(inputs) as [string, Exclude<Inputs[keyof Inputs], undefined>][];
  return Object.fromEntries(entries.map(([name, tensor]) => [name, change(tensor)])) as {
    readonly [Name in keyof Inputs]: To;
  };
}
