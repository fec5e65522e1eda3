/** @file The devices of `attend`, with one signature: tensors in, named tensors out. */
import {
  attention,
  type AttentionBackend,
  type AttentionInputs,
  type AttentionSpec,
  compose,
  type ExtraOutput,
  narrow,
  referenceBackward,
  referenceForward,
  requireFinite,
  type Tensor,
  type Tensor64,
  widen,
} from "../../index.ts";
import { requireGradientShape } from "../../attention/attention.ts";

type AnyTensor = Tensor | Tensor64;

/** What a device computes. */
export interface Job {
  readonly spec: AttentionSpec;
  /** With a value for every parameter. */
  readonly inputs: AttentionInputs<AnyTensor>;
  readonly dOut: AnyTensor | undefined;
  readonly extras: readonly ExtraOutput[];
  /** Whether results stay F64; F32 devices ignore it, as their inputs are rounded before. */
  readonly isDouble: boolean;
}

/** Results by their name in the output file. */
export type Results = Record<string, AnyTensor>;

/** A device: computes the job. */
export type Device = (job: Job) => Promise<Results>;

/** A pair that does not take part has the score −∞, a row without keys that log-sum-exp. */
const mayBeInfinite: ReadonlySet<string> = new Set(["scores", "lse"]);

/** The f64 reference; the only device that keeps F64. */
export const onReference: Device = ({ spec, inputs, dOut, extras, isDouble }) => {
  const composition = compose(spec);
  const forward = referenceForward(composition, inputs);
  const results: Results = { out: forward.out };
  for (const extra of extras) {
    const value = forward[extra];
    if (value !== undefined) results[extra] = value;
  }
  if (dOut !== undefined) {
    requireGradientShape(dOut, inputs);
    const { dParameters, dBias, ...ofInputs } = referenceBackward(composition, inputs, widen(dOut));
    Object.assign(results, gradients(ofInputs, dBias, dParameters));
  }
  const rounded = Object.entries(results).map(
    ([name, value]) => [name, isDouble ? value : narrow(value)] as const,
  );
  for (const [name, value] of rounded) {
    if (!mayBeInfinite.has(name)) requireFinite(name, value);
  }
  return Promise.resolve(Object.fromEntries(rounded));
};

/** A backend of the public `attention()`, in F32. */
export function onBackend(backend: AttentionBackend): Device {
  return async ({ spec, inputs, dOut, extras }) => {
    const attend = attention(spec, { backend });
    const { q, k, v, bias, parameters = {}, ...rest } = inputs;
    const call = {
      ...rest,
      ...(bias === undefined ? {} : { bias: narrow(bias) }),
      parameters: narrowAll(parameters),
      enableGqa: true,
    };
    const tensors = { q: narrow(q), k: narrow(k), v: narrow(v) };
    const result = await attend(tensors.q, tensors.k, tensors.v, { ...call, return: extras });
    if (dOut === undefined) return { ...result };
    const { out, lse } = result;
    const kept = lse === undefined ? { out } : { out, lse };
    const { dParameters, dBias, ...ofInputs } = await attend.backward({
      ...tensors,
      ...call,
      ...kept,
      dOut: narrow(dOut),
    });
    return { ...result, ...gradients(ofInputs, dBias, dParameters) };
  };
}

function gradients(
  { dq, dk, dv }: Readonly<Record<"dq" | "dk" | "dv", AnyTensor>>,
  dBias: AnyTensor | undefined,
  dParameters: Readonly<Record<string, AnyTensor>>,
): Results {
  const named: Results = { dq, dk, dv, ...(dBias === undefined ? {} : { dbias: dBias }) };
  for (const [name, gradient] of Object.entries(dParameters)) named[`dparam.${name}`] = gradient;
  return named;
}

function narrowAll(tensors: Readonly<Record<string, AnyTensor>>): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(tensors).map(([name, value]) => [name, narrow(value)]));
}

/** jax-js, started. */
export async function openJax(): Promise<AttentionBackend> {
  const { startJax } = await import("../../kernels/jax/start.ts");
  await startJax();
  const { jaxBackend } = await import("../../kernels/jax/index.ts");
  return jaxBackend;
}

/** The fused kernels on all cores. Their threads keep no process alive. */
export async function openWasm(): Promise<AttentionBackend> {
  const { nodeEngine } = await import("../../kernels/wasm/engine/pool.node.ts");
  const { wasmBackend } = await import("../../kernels/wasm/index.ts");
  return wasmBackend(nodeEngine());
}
