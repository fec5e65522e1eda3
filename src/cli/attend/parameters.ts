/** @file The parameter values of one `attend`: initial ones, calibrated where the spec says `auto`, then `--scale`, then the file's. */
import {
  type AttentionInputs,
  type AttentionSizes,
  calibrate,
  checkInputs,
  type Composition,
  initialParameters,
  narrow,
  parametersOf,
  resolveParameters,
  type Tensor,
  type Tensor64,
  tensor64,
} from "../../index.ts";
import { requireOneScale, scaledTemperature } from "../../attention/attention.ts";

/** In F64, as `attention()` itself takes the scale for F32 devices only. */
function scaledParameters(
  composition: Composition,
  sizes: AttentionSizes,
  scale: number | undefined,
): Record<string, Tensor64> {
  const names = Object.keys(scaledTemperature(composition, sizes, scale));
  const { heads } = sizes;
  return Object.fromEntries(
    names.map((name) => [name, tensor64(new Float64Array(heads).fill(scale ?? 0), [heads])]),
  );
}

/** What decides parameters beside the file. */
export interface ParameterChoice {
  readonly scale: number | undefined;
  readonly seed: number;
  /** Whether values stay F64, or are rounded to what an F32 device computes with. */
  readonly isDouble: boolean;
}

/**
 * Every parameter of the composition by name.
 *
 * @throws DomainError, ShapeError, NumbersError, UnsupportedError for values and inputs that do not fit
 */
export function chooseParameters(
  composition: Composition,
  inputs: AttentionInputs,
  { scale, seed, isDouble }: ParameterChoice,
): Record<string, Tensor | Tensor64> {
  const sizes: AttentionSizes = checkInputs(inputs);
  const given = inputs.parameters ?? {};
  const scaled = scaledParameters(composition, sizes, scale);
  requireOneScale(scaled, given);
  const drawn = initialParameters(composition, sizes, seed);
  const explicit = { ...scaled, ...given };
  const isCalibrated = parametersOf(composition).some(
    ({ name, mode }) => mode === "auto" && !Object.hasOwn(explicit, name),
  );
  const start = isCalibrated
    ? calibrate(composition, { ...inputs, parameters: { ...drawn, ...explicit } })
    : drawn;
  const resolved = resolveParameters(composition, sizes, { ...start, ...explicit });
  return isDouble
    ? resolved
    : Object.fromEntries(Object.entries(resolved).map(([name, value]) => [name, narrow(value)]));
}
