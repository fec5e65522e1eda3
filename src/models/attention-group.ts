/**
 * @file Heads of a layer that share an attention: its operation, and its parameters as the model holds them.
 */
import { numpy as np } from "@jax-js/jax";
import { type Composition, initialParameters, parametersOf } from "../attention/index.ts";
import { attentionOperation, type Operation } from "../autodiff/index.ts";
import { type Parameter } from "../base/parameter.ts";
import { narrow, type Tensor } from "../base/tensor.ts";
import { type RoutingRule, type WasmEngine } from "../kernels/wasm/index.ts";
import { heldName, holdValues, isTrained } from "../nn/attention-parameters.ts";
import { nope } from "../positions/index.ts";
import { type ModelParameter } from "./model.ts";

/** Heads that share an attention. */
export interface LayerGroup {
  readonly composition: Composition;
  readonly heads: number;
  readonly keyValueHeads: number;
}

/** One parameter of a group's attention, as the model holds it. */
export interface HeldParameter {
  readonly parameter: Parameter;
  /** Its full name in the model. */
  readonly held: string;
  /** Its name among a projection's outputs. */
  readonly output: string;
}

/** A group with its operation. */
export interface AttentionGroup extends LayerGroup {
  /** Names of its queries, keys, values and outputs among the values of the layer. */
  readonly names: Readonly<Record<"q" | "k" | "v" | "out", string>>;
  /** The parameters that training moves; the others are constants. */
  readonly trained: readonly HeldParameter[];
  readonly fixed: Readonly<Record<string, Tensor>>;
  readonly operation: Operation;
  /** Of a router: how its scores route tokens to experts. */
  readonly routing?: RoutingRule;
}

/**
 * Makes group number `index` of a layer.
 *
 * @param prefix - where its parameters are
 * @param width - D
 * @param engine - computes the attention; jax-js when absent
 */
export function attentionGroup(
  group: LayerGroup,
  index: number,
  prefix: string,
  width: number,
  engine: WasmEngine | undefined,
): AttentionGroup {
  const { heads } = group;
  // Added to the embeddings by the model: the attention itself does not see it.
  const composition =
    group.composition.position.place === "embedding"
      ? { ...group.composition, position: nope() }
      : group.composition;
  const parameters = parametersOf(composition);
  const values = initialParameters(composition, { heads, width });
  return {
    ...group,
    composition,
    names: { q: `q.${index}`, k: `k.${index}`, v: `v.${index}`, out: `out.${index}` },
    trained: parameters.filter(isTrained).map((parameter) => ({
      parameter,
      held: `${prefix}.${heldName(parameter)}`,
      output: `${parameter.name}.${index}`,
    })),
    fixed: Object.fromEntries(
      parameters.filter((parameter) => !isTrained(parameter)).map(({ name }) => [name, narrow(values[name])]),
    ),
    operation: attentionOperation(composition, { engine }),
  };
}

/** The parameters of a group that training moves, for the model's list. */
export function heldParameters(
  { composition, heads, trained }: AttentionGroup,
  width: number,
): ModelParameter[] {
  const sizes = { heads, width };
  return trained.map(({ parameter, held: name }) => ({
    name,
    shape: parameter.shape(sizes),
    decays: false,
    initial: (seed) =>
      holdValues(parameter, initialParameters(composition, sizes, `${seed}/${name}`)[parameter.name]),
  }));
}

/**
 * The inputs of the group's operation.
 *
 * @param values - what the layer's projection returned
 * @param constant - makes a value of a fixed parameter
 */
export function operationInputs<V>(
  { names, trained, fixed }: AttentionGroup,
  values: Readonly<Record<string, V>>,
  constant: (array: np.Array) => V,
): Record<string, V> {
  return {
    q: values[names.q],
    k: values[names.k],
    v: values[names.v],
    ...Object.fromEntries(trained.map(({ parameter, output }) => [parameter.name, values[output]])),
    ...Object.fromEntries(
      Object.entries(fixed).map(([name, { data, shape }]) => [
        name,
        constant(np.array(data, { shape: [...shape] })),
      ]),
    ),
  };
}
