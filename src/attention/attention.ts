/** @file The public attention: a composition of parts, bound to a backend, called on tensors. */
import { DomainError, ShapeError, UnsupportedError } from "../base/errors.ts";
import { didYouMean } from "../base/options.ts";
import { requireFinite, type Tensor, tensor, type Tensor64 } from "../base/tensor.ts";
import {
  type AttentionBackend,
  type AttentionGradients,
  type AttentionResult,
  type ExtraOutput,
  referenceBackend,
} from "./backend.ts";
import { calibrate } from "./calibration.ts";
import { type AttentionSpec, compose, type Composition, parametersOf } from "./composition.ts";
import { type AttentionInputs, type AttentionSizes, checkInputs } from "./inputs.ts";
import { resolveParameters } from "./parameters.ts";
import { printSelector } from "./selector.ts";

/** Inputs beside q, k and v. */
export interface AttentionCall extends Omit<AttentionInputs<Tensor>, "q" | "k" | "v"> {
  /** What to return beside `out`. */
  readonly return?: readonly ExtraOutput[];
  /** Whether k and v may have fewer heads than q (default false, as in PyTorch). */
  readonly enableGqa?: boolean;
  /** A value for the similarity's temperature in place of its own, for every head; not together with its parameter. */
  readonly scale?: number;
}

/** Inputs of a backward call: those of the forward call, what it returned, and the gradient of `out`. */
export interface BackwardCall extends Omit<AttentionCall, "return"> {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  /** What the forward call returned; kernels that keep them need not compute them again. */
  readonly out?: Tensor;
  readonly lse?: Tensor;
  /** Gradient of the output, [B, H, Q, E]. */
  readonly dOut: Tensor;
}

/** An attention, ready to be called. */
export interface Attention {
  /** [B, H, Q, D], [B, G, S, D], [B, G, S, E] → [B, H, Q, E]. */
  (q: Tensor, k: Tensor, v: Tensor, call?: AttentionCall): Promise<AttentionResult>;
  /** Gradients of Σ out·dOut by every input and parameter. */
  backward(call: BackwardCall): Promise<AttentionGradients>;
  readonly composition: Composition;
  /** The attention as a string; `parseSelector` reads it. */
  readonly selector: string;
}

/**
 * Makes an attention from its parts.
 *
 * o_i = aggregation_j(normaliser(score(q_i, k_j)), v_j) over the pairs that pattern and selection keep.
 *
 * @param spec - similarity and pattern, and any of position, selection, normaliser, aggregation
 * @param options - `backend`: what computes it (default the f64 reference)
 * @returns a function on tensors of layout [B, H, N, D], with `backward`
 * @throws UnsupportedError `clash-…` when parts do not fit together; the calls throw ShapeError, DomainError and
 *   NumbersError when inputs do not fit
 * @example
 * ```ts
 * import { attention, causal, l2, softmax, tensor } from "qklab";
 * const attend = attention({ similarity: l2(), pattern: causal(), normaliser: softmax() });
 * const q = tensor([1, 0, 0, 1], [1, 1, 2, 2]);
 * const { out, weights } = await attend(q, q, q, { return: ["weights"] });
 * const { dq } = await attend.backward({ q, k: q, v: q, dOut: out });
 * ```
 */
export function attention(
  spec: AttentionSpec,
  options: { readonly backend?: AttentionBackend } = {},
): Attention {
  const composition = compose(spec);
  const { backend = referenceBackend } = options;
  requirePositionInside(composition);
  let calibrated: Readonly<Record<string, Tensor>> | undefined;

  /** Inputs with every parameter filled in; `auto` is calibrated on the first call and kept. */
  const resolve = (
    inputs: AttentionInputs<Tensor>,
    call: Omit<AttentionCall, "return">,
  ): AttentionInputs<Tensor> => {
    const sizes = checkInputs(inputs);
    requireGqaAllowed(sizes, call.enableGqa ?? false);
    const isAuto = parametersOf(composition).some(({ mode }) => mode === "auto");
    if (isAuto) calibrated ??= rounded(temperaturesOf(composition, calibrate(composition, inputs)));
    const scaled = scaledTemperature(composition, sizes, call.scale);
    requireOneScale(scaled, inputs.parameters);
    const parameters = rounded(
      resolveParameters(composition, sizes, { ...calibrated, ...scaled, ...inputs.parameters }),
    );
    return { ...inputs, parameters };
  };

  const attend = async (
    q: Tensor,
    k: Tensor,
    v: Tensor,
    call: AttentionCall = {},
  ): Promise<AttentionResult> => {
    const { return: extras = [], enableGqa: _, scale: __, ...rest } = call;
    requireKnownExtras(composition, extras);
    const inputs = resolve({ q, k, v, ...rest }, call);
    const result = await backend.forward(composition, inputs, extras);
    requireFinite("the output of the attention", result.out);
    return result;
  };

  const backward = async (call: BackwardCall): Promise<AttentionGradients> => {
    const { dOut, out, lse, enableGqa: _, scale: __, ...rest } = call;
    const inputs = resolve(rest, call);
    requireGradientShape(dOut, inputs);
    const gradients = await backend.backward(
      composition,
      inputs,
      { ...(out === undefined ? {} : { out }), ...(lse === undefined ? {} : { lse }) },
      dOut,
    );
    const { dParameters, ...ofInputs } = gradients;
    for (const [name, gradient] of Object.entries(ofInputs)) requireFinite(name, gradient);
    for (const [name, gradient] of Object.entries(dParameters))
      requireFinite(`the gradient of '${name}'`, gradient);
    return gradients;
  };

  return Object.assign(attend, { backward, composition, selector: printSelector(composition) });
}

function rounded(
  parameters: Readonly<Record<string, { data: ArrayLike<number>; shape: readonly number[] }>>,
): Record<string, Tensor> {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, { data, shape }]) => [name, tensor(data, shape)]),
  );
}

/** Calibration keeps the temperature alone: what else the first call passed is that call's own. */
function temperaturesOf(
  { similarity }: Composition,
  parameters: Readonly<Record<string, Tensor64>>,
): Record<string, Tensor64> {
  const names = similarity.temperature?.parameters ?? [];
  return Object.fromEntries(names.map((name) => [name, parameters[name]]));
}

/** The temperature's parameter at one value for every head; nothing without a scale. */
export function scaledTemperature(
  { similarity }: Composition,
  { heads }: AttentionSizes,
  scale: number | undefined,
): Record<string, Tensor> {
  if (scale === undefined) return {};
  const names = similarity.temperature?.power === 1 ? similarity.temperature.parameters : [];
  if (names.length === 1) return { [names[0]]: tensor(new Float32Array(heads).fill(scale), [heads]) };
  throw new UnsupportedError(
    "scale",
    `Cannot set the scale of '${similarity.name}' as it has no single factor on its score: scale ${scale}. ` +
      "Pass its parameters by name in `parameters`",
  );
}

/** Refuses a scale beside the parameter that it sets. */
export function requireOneScale(
  scaled: Readonly<Record<string, unknown>>,
  parameters: Readonly<Record<string, unknown>> = {},
): void {
  const twice = Object.keys(scaled).find((name) => Object.hasOwn(parameters, name));
  if (twice === undefined) return;
  throw new DomainError(
    "scale-twice",
    `Cannot attend as \`scale\` is the parameter '${twice}' for every head: both were given. Leave one out`,
  );
}

const extraOutputs: readonly ExtraOutput[] = ["scores", "weights", "lse"];

function requireKnownExtras({ normaliser }: Composition, extras: readonly ExtraOutput[]): void {
  const unknown = extras.find((extra) => !extraOutputs.includes(extra));
  if (unknown !== undefined) {
    throw new DomainError(
      "unknown-extra",
      `Cannot return '${unknown}' as an attention returns ${extraOutputs.join(", ")} beside out. ` +
        didYouMean(unknown, extraOutputs),
    );
  }
  if (!extras.includes("lse") || normaliser.name === "softmax") return;
  throw new UnsupportedError(
    "lse",
    `Cannot return 'lse' as only softmax has a log-sum-exp: the normaliser is '${normaliser.name}'. Ask for scores or weights`,
  );
}

/** Refuses positions that are added before attention. */
export function requirePositionInside({ position }: Composition): void {
  if (position.place !== "embedding") return;
  throw new UnsupportedError(
    "position-outside",
    `Cannot attend with '${position.name}' as it is added to token embeddings, which an attention never sees. ` +
      "Use it in a model, or use rope, alibi or log-cpb here",
  );
}

function requireGqaAllowed({ heads, keyHeads }: AttentionSizes, enableGqa: boolean): void {
  if (heads === keyHeads || enableGqa) return;
  throw new ShapeError(
    "gqa",
    `Cannot attend as k and v must have as many heads as q: ${keyHeads} and ${heads}. Pass enableGqa: true to share keys ` +
      "among groups of query heads",
  );
}

/** Refuses a gradient that is not of the output's shape, or not finite. */
export function requireGradientShape(dOut: Tensor | Tensor64, { q, v }: AttentionInputs): void {
  const wanted = [...q.shape.slice(0, 3), v.shape[3]];
  if (dOut.shape.length === 4 && wanted.every((extent, axis) => extent === dOut.shape[axis])) {
    requireFinite("dOut", dOut);
    return;
  }
  throw new ShapeError(
    "gradient-shape",
    `Cannot go backward as dOut must have the shape of the output [${wanted.join(", ")}]: [${dOut.shape.join(", ")}]. ` +
      "Pass the gradient of the loss by out",
  );
}
