/**
 * @file The parameters of an attention as a model holds them: free numbers that a step may move anywhere. One that must
 * stay positive is held as its logarithm, and its value is cut at the parameter's maximum.
 */
import { numpy as np } from "@jax-js/jax";
import { type Parameter } from "../base/parameter.ts";
import { type Tensor, tensor, type Tensor64 } from "../base/tensor.ts";

/** The name under which a parameter is held: `log_beta` for a positive `beta`. */
export function heldName({ name, domain }: Parameter): string {
  return domain === "positive" ? `log_${name}` : name;
}

/** Whether steps move the parameter. */
export function isTrained({ mode }: Parameter): boolean {
  return mode !== "fixed";
}

/** A parameter's values as they are held. */
export function holdValues({ domain }: Parameter, { data, shape }: Tensor64): Tensor {
  return tensor(domain === "positive" ? data.map(Math.log) : data, shape);
}

/** The values of a parameter, given as it is held; the way back, in plain numbers. */
export function heldValues(
  { domain, maximum = Infinity }: Parameter,
  { data, shape }: Tensor | Tensor64,
): Tensor64 {
  const values = Float64Array.from(data, (held) =>
    domain === "positive" ? Math.exp(Math.min(held, Math.log(maximum))) : held,
  );
  return { data: values, shape };
}

/**
 * The values of a parameter inside a stage: e^min(ℓ, ln maximum) for a positive one.
 *
 * @param held - consumed
 */
export function valuesOf({ domain, maximum }: Parameter, held: np.Array): np.Array {
  if (domain !== "positive") return held;
  return np.exp(maximum === undefined ? held : np.minimum(held, Math.log(maximum)));
}
