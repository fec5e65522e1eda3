/** @file What tests of decoders share: the logits and gradients of a decoder held against its f64 form. */
import { type numpy as np } from "@jax-js/jax";
import { Tape } from "../autodiff/index.ts";
import { type Decoder } from "./decoder.ts";
import { referenceLogits, type Tensors, toArrays } from "./model-fixtures.ts";
import { type TokenBatch, type TokenModel } from "./token-model.ts";

/** Logits of size 10 after two layers of f32 sums of up to 16 terms: some 100 roundings of 2⁻²⁴ of 10. */
const logitTolerance = 1e-4;
/** Gradients of size 1 are sums of some thousand f32 products: 1000·2⁻²⁴, and the f64 difference is off by 1e-10/1e-5. */
const slopeTolerance = 1e-4;

export async function withArrays<Result>(
  tensors: Tensors,
  use: (arrays: Record<string, np.Array>) => Promise<Result>,
): Promise<Result> {
  const arrays = toArrays(tensors);
  try {
    return await use(arrays);
  } finally {
    for (const array of Object.values(arrays)) array.dispose();
  }
}

/**
 * What of a decoder differs from its f64 form: `logits`, or parameters by name whose gradient along one direction does; nothing
 * where all is well.
 */
export async function differencesFromF64(
  model: Decoder,
  tensors: Tensors,
  batch: TokenBatch,
): Promise<readonly string[]> {
  return differencesFrom(model, tensors, batch, (moved, tokens) => referenceLogits(model, moved, tokens));
}

/** The f64 form of a model: logits of one sequence, [N][V]. */
type ReferenceForm = (tensors: Tensors, tokens: Int32Array) => readonly Float64Array[];

/** What of a model differs from an f64 form of it, as {@link differencesFromF64}. */
export async function differencesFrom(
  model: TokenModel & { readonly config: { readonly vocabulary: number } },
  tensors: Tensors,
  batch: TokenBatch,
  form: ReferenceForm,
): Promise<readonly string[]> {
  const { data, shape } = await withArrays(tensors, (arrays) =>
    model.logits(arrays, batch.tokens, batch.batch),
  );
  const expected = logitsInF64(form, tensors, batch).flatMap((row) => [...row]);
  const wantedShape = [batch.batch, batch.tokens.length / batch.batch, model.config.vocabulary];
  const worst = expected.reduce((largest, value, at) => Math.max(largest, Math.abs(value - data[at])), 0);
  const areEqual =
    String(shape) === String(wantedShape) &&
    worst < logitTolerance * expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  const gradients = await gradientsOf(model, tensors, batch);
  const wrong = model.parameters.filter(({ name }) => {
    const gradient = gradients[name];
    if (gradient === undefined) return true;
    const along = directionOf(gradient);
    const slope = slopeAlong(form, tensors, name, along, batch);
    const found = gradient.reduce((sum, value, at) => sum + value * along[at], 0);
    return !(Math.abs(slope - found) < slopeTolerance * Math.max(1, Math.abs(slope)));
  });
  return [...(areEqual ? [] : ["logits"]), ...wrong.map(({ name }) => name)];
}

async function gradientsOf(
  model: TokenModel,
  tensors: Tensors,
  batch: TokenBatch,
): Promise<Partial<Record<string, Float32Array>>> {
  return withArrays(tensors, async (arrays) => {
    const tape = new Tape();
    const gradients = await tape.backward(await model.loss(tape, arrays, batch));
    tape.dispose();
    const entries = Object.entries(gradients).map(async ([name, array]) => [
      name,
      (await array.data()) as Float32Array,
    ]);
    return Object.fromEntries(await Promise.all(entries)) as Record<string, Float32Array>;
  });
}

/** A direction that no symmetry hides: the signs of the gradient, some of them turned. */
function directionOf(gradient: Float32Array): Float64Array {
  const along = Float64Array.from(gradient, (value, at) => (value < 0 ? -1 : 1) * (at % 3 === 0 ? -0.5 : 1));
  const norm = Math.hypot(...along);
  return along.map((value) => value / norm);
}

function logitsInF64(
  form: ReferenceForm,
  tensors: Tensors,
  { tokens, batch }: TokenBatch,
): readonly Float64Array[] {
  const length = tokens.length / batch;
  return Array.from({ length: batch }, (_, sequence) =>
    form(tensors, tokens.slice(sequence * length, (sequence + 1) * length)),
  ).flat();
}

/** The slope of the mean loss, by a central difference in f64. */
function slopeAlong(
  form: ReferenceForm,
  tensors: Tensors,
  name: string,
  along: Float64Array,
  batch: TokenBatch,
): number {
  const step = 1e-5;
  const [up, down] = [step, -step].map((by) => {
    const { data, shape } = tensors[name];
    const moved = { data: Float64Array.from(data, (value, at) => value + by * along[at]), shape };
    const losses = logitsInF64(form, { ...tensors, [name]: moved }, batch).map((row, place) => {
      const mass = row.reduce((sum, logit) => sum + Math.exp(logit), 0);
      return Math.log(mass) - row[batch.targets[place]];
    });
    return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  });
  return (up - down) / (2 * step);
}
