/** @file The values of an attention's parameters: initial ones, and those of a call checked against their domains. */
import { DomainError, ShapeError } from "../base/errors.ts";
import { didYouMean } from "../base/options.ts";
import { type Parameter, type ParameterSizes } from "../base/parameter.ts";
import { random } from "../base/random.ts";
import { requireFinite, sizeOf, type Tensor, type Tensor64, tensor64 } from "../base/tensor.ts";
import { type Composition, parametersOf } from "./composition.ts";

/** Parameters before training: their declared values; networks are drawn from `seed`. */
export function initialParameters(
  composition: Composition,
  sizes: ParameterSizes,
  seed: number | string = 0,
): Record<string, Tensor64> {
  return initialValues(parametersOf(composition), sizes, seed);
}

/** Declared parameters before training. */
export function initialValues(
  declared: readonly Parameter[],
  sizes: ParameterSizes,
  seed: number | string = 0,
): Record<string, Tensor64> {
  return Object.fromEntries(
    declared.map((parameter) => [
      parameter.name,
      tensor64(parameter.initial(sizes, random(seed, "parameter", parameter.name)), parameter.shape(sizes)),
    ]),
  );
}

/**
 * The values that a call uses: those given, widened to f64, and initial ones for the rest.
 *
 * @throws DomainError `unknown-parameter` or `parameter-domain`, ShapeError `parameter-shape`, NumbersError for NaN
 */
export function resolveParameters(
  composition: Composition,
  sizes: ParameterSizes,
  given: Readonly<Record<string, Tensor | Tensor64>> = {},
): Record<string, Tensor64> {
  return resolveValues(parametersOf(composition), sizes, given);
}

/** As {@link resolveParameters}, of declared parameters. */
export function resolveValues(
  declared: readonly Parameter[],
  sizes: ParameterSizes,
  given: Readonly<Record<string, Tensor | Tensor64>>,
): Record<string, Tensor64> {
  const names = declared.map(({ name }) => name);
  for (const name of Object.keys(given)) {
    if (names.includes(name)) continue;
    throw new DomainError(
      "unknown-parameter",
      `Cannot set '${name}' as this attention has no such parameter: it has ${names.join(", ") || "none"}. ${didYouMean(name, names)}`,
    );
  }
  const values = initialValues(declared, sizes);
  for (const parameter of declared) {
    const value = given[parameter.name];
    if (value === undefined) continue;
    requireFitting(parameter, value, sizes);
    values[parameter.name] = tensor64(value.data, parameter.shape(sizes));
  }
  return values;
}

function requireFitting(parameter: Parameter, value: Tensor | Tensor64, sizes: ParameterSizes): void {
  const { name, domain } = parameter;
  const wanted = parameter.shape(sizes);
  if (sizeOf(wanted) !== value.data.length || wanted.some((extent, axis) => extent !== value.shape[axis])) {
    throw new ShapeError(
      "parameter-shape",
      `Cannot set '${name}' as its shape must be [${wanted.join(", ")}]: [${value.shape.join(", ")}]. ` +
        "Heads come first, then coordinates",
    );
  }
  requireFinite(name, value);
  const bad = domain === "positive" ? value.data.find((number) => number <= 0) : undefined;
  if (bad === undefined) return;
  throw new DomainError(
    "parameter-domain",
    `Cannot set '${name}' as it must be above zero: ${bad}. Pass the value itself, not its logarithm`,
  );
}
