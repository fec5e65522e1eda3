/** @file What a backend is: something that computes an attention. The reference is one; kernels are others. */
import { narrow, type Tensor, tensor64 } from "../base/tensor.ts";
import { type Composition } from "./composition.ts";
import { type AttentionInputs } from "./inputs.ts";
import { referenceBackward, referenceForward } from "./reference.ts";

/** What a forward call may return beside `out`. */
export type ExtraOutput = "scores" | "weights" | "lse";

/** The result of a forward call; extras are there when asked for (`lse` only under softmax). */
export interface AttentionResult {
  /** [B, H, Q, E] */
  readonly out: Tensor;
  /** [B, H, Q, S]; −∞ where a pair does not take part. */
  readonly scores?: Tensor;
  /** [B, H, Q, S] */
  readonly weights?: Tensor;
  /** [B, H, Q]; −∞ for a row without keys. */
  readonly lse?: Tensor;
}

/** Gradients of a call, each of the shape of its input. */
export interface AttentionGradients {
  readonly dq: Tensor;
  readonly dk: Tensor;
  readonly dv: Tensor;
  readonly dBias?: Tensor;
  readonly dParameters: Readonly<Record<string, Tensor>>;
}

/** Computes attentions, forward and backward. Inputs are checked before they come here. */
export interface AttentionBackend {
  readonly name: string;
  forward(
    composition: Composition,
    inputs: AttentionInputs<Tensor>,
    extras: readonly ExtraOutput[],
  ): Promise<AttentionResult>;
  backward(
    composition: Composition,
    inputs: AttentionInputs<Tensor>,
    result: { readonly out?: Tensor; readonly lse?: Tensor },
    dOut: Tensor,
  ): Promise<AttentionGradients>;
}

/** The f64 reference, rounded to f32 at its surface. */
export const referenceBackend: AttentionBackend = {
  name: "reference",
  async forward(composition, inputs, extras) {
    const { out, scores, weights, lse } = referenceForward(composition, inputs);
    return {
      out: narrow(out),
      ...(extras.includes("scores") ? { scores: narrow(scores) } : {}),
      ...(extras.includes("weights") ? { weights: narrow(weights) } : {}),
      ...(extras.includes("lse") && lse !== undefined ? { lse: narrow(lse) } : {}),
    };
  },
  async backward(composition, inputs, _result, dOut) {
    const { dq, dk, dv, dBias, dParameters } = referenceBackward(
      composition,
      inputs,
      tensor64(dOut.data, dOut.shape),
    );
    return {
      dq: narrow(dq),
      dk: narrow(dk),
      dv: narrow(dv),
      ...(dBias === undefined ? {} : { dBias: narrow(dBias) }),
      dParameters: Object.fromEntries(
        Object.entries(dParameters).map(([name, gradient]) => [name, narrow(gradient)]),
      ),
    };
  },
};
