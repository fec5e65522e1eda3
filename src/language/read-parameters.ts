/**
 * @file Reads the parameters of a model from weights of any format, by its layout: every shape is checked before anything is read, and
 * no tensor is left over that the layout has no meaning for.
 */
import { DomainError, MissingError, ShapeError } from "../base/errors.ts";
import { requireFinite, type Tensor } from "../base/tensor.ts";
import { type QuantisedMatrix, type WeightSource } from "../checkpoints/index.ts";
import { type ModelParameter } from "../models/index.ts";
import { type ModelLayout, type TensorPlace } from "./layouts/index.ts";

/** A parameter and the tensor that it lies in. */
interface FoundPlace extends TensorPlace {
  readonly name: string;
}

type AnyLayout = ModelLayout<unknown>;

/**
 * Checks that weights are those of a layout's own configuration.
 *
 * @param parameters - of the model as the layout describes it, its attention included
 * @throws MissingError `weights-missing` for a parameter without a tensor, ShapeError `weights-shape` for a tensor of another shape,
 *   DomainError `weights-foreign` for a tensor that has no place in the model
 */
export function requireFittingWeights(
  source: WeightSource,
  layout: AnyLayout,
  parameters: readonly ModelParameter[],
): void {
  const used = new Set<string>();
  for (const parameter of parameters) {
    const place = layout.placeOf(parameter.name);
    if (place === undefined) continue;
    used.add(findPlace(source, layout, parameter, place).name);
  }
  const foreign = [...source.tensors.keys()].filter((name) => !used.has(name) && !layout.isSpare(name));
  if (foreign.length === 0) return;
  throw new DomainError(
    "weights-foreign",
    `Cannot make a ${layout.name} model of ${source.source} as each of its tensors must have a place in the model that its config ` +
      `describes: ${foreign.length} have none, such as '${foreign[0]}'. Use the config.json that these weights came with`,
  );
}

/**
 * Reads parameters; those that only a swapped attention has begin as they do in a new model.
 *
 * @param parameters - of the model that is made
 * @param seed - of what is not among the weights
 * @throws as {@link requireFittingWeights} for what is read, and NumbersError `not-finite`
 */
export async function readParameters(
  source: WeightSource,
  layout: AnyLayout,
  parameters: readonly ModelParameter[],
  seed: number,
): Promise<Record<string, Tensor>> {
  const tensors: Record<string, Tensor> = {};
  // Parameters that lie in one tensor follow each other: it is read once.
  let last: { readonly name: string; readonly tensor: Tensor } | undefined;
  for (const parameter of parameters) {
    const place = layout.placeOf(parameter.name);
    if (place === undefined) {
      tensors[parameter.name] = parameter.initial(seed);
      continue;
    }
    const found = findPlace(source, layout, parameter, place);
    if (last?.name !== found.name) {
      const tensor = await source.read(found.name);
      requireFinite(`'${found.name}' of ${source.source}`, tensor);
      last = { name: found.name, tensor };
    }
    tensors[parameter.name] = takeOut(last.tensor, parameter.shape, found);
  }
  return tensors;
}

/**
 * Reads those matrices that are stored as 8-bit numbers, each in a tensor of its own and as [out, in], as they are.
 *
 * @throws as {@link requireFittingWeights}
 */
export async function readStoredParameters(
  source: WeightSource,
  layout: AnyLayout,
  parameters: readonly ModelParameter[],
): Promise<Record<string, QuantisedMatrix>> {
  const matrices: Record<string, QuantisedMatrix> = {};
  for (const parameter of parameters) {
    const place = layout.placeOf(parameter.name);
    if (place === undefined || place.stored === "in-out" || place.part !== undefined) continue;
    if (parameter.shape.length !== 2) continue;
    const matrix = await source.readQuantised(findPlace(source, layout, parameter, place).name);
    if (matrix !== undefined) matrices[parameter.name] = matrix;
  }
  return matrices;
}

function findPlace(
  { source, tensors }: WeightSource,
  layout: AnyLayout,
  { name: parameter, shape: own }: ModelParameter,
  place: TensorPlace,
): FoundPlace {
  const name = place.names.find((candidate) => tensors.has(candidate));
  if (name === undefined) {
    throw new MissingError(
      "weights-missing",
      `Cannot make a ${layout.name} model of ${source} as a tensor is missing: '${place.names[0]}', for ${parameter}. ` +
        "Use all files of the model, and the config.json that these weights came with",
    );
  }
  const { shape } = tensors.get(name)!;
  const expected = storedShape(own, place);
  if (shape.length !== expected.length || shape.some((extent, axis) => extent !== expected[axis])) {
    throw new ShapeError(
      "weights-shape",
      `Cannot make a ${layout.name} model of ${source} as its tensors must have the shapes that its config says: ` +
        `'${name}' must be [${expected.join(", ")}] and is [${shape.join(", ")}]. ` +
        "Use the config.json that these weights came with",
    );
  }
  return { ...place, name };
}

function storedShape([out, ...rest]: readonly number[], { stored, part }: TensorPlace): readonly number[] {
  const all = out * (part?.count ?? 1);
  return stored === "in-out" ? [...rest, all] : [all, ...rest];
}

/** The part of a stored tensor that a parameter of this shape is, as [out, in]. */
function takeOut({ data }: Tensor, shape: readonly number[], { stored, part }: TensorPlace): Tensor {
  const [out, inner = 1] = shape;
  const first = out * (part?.index ?? 0);
  if (stored !== "in-out" || shape.length === 1) {
    const size = out * inner;
    return { data: part === undefined ? data : data.slice(first * inner, first * inner + size), shape };
  }
  const columns = out * (part?.count ?? 1);
  const turned = new Float32Array(out * inner);
  for (let row = 0; row < out; row++) {
    for (let column = 0; column < inner; column++) {
      turned[row * inner + column] = data[column * columns + first + row];
    }
  }
  return { data: turned, shape };
}
