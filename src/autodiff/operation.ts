/**
 * @file What a tape can run: something with a forward and a backward over named arrays. Stages are jax-js functions;
 * fused kernels take the same place.
 */
import { type numpy as np } from "@jax-js/jax";

/** Arrays by name. */
export type Arrays<Names extends string = string> = Readonly<Record<Names, np.Array>>;

/** What a forward call gives: outputs, and what backward needs beside the inputs. All of it is the caller's. */
export interface ForwardResult<Out extends string = string> {
  readonly outputs: Arrays<Out>;
  readonly saved?: Arrays;
}

/** A differentiable step. It never consumes what it is given, and everything that it returns is the caller's to dispose. */
export interface Operation<In extends string = string, Out extends string = string> {
  readonly name: string;
  /**
   * @param inputs - by name
   * @param wanted - inputs whose gradients will be asked for; empty when backward will not be called
   */
  forward(inputs: Arrays<In>, wanted: ReadonlySet<In>): ForwardResult<Out> | Promise<ForwardResult<Out>>;
  /**
   * Gradients by the wanted inputs.
   *
   * @param inputs - those of the forward call
   * @param saved - what the forward call saved
   * @param gradients - of the outputs; those that nobody used are absent, one at least is there
   */
  backward(
    inputs: Arrays<In>,
    saved: Arrays | undefined,
    gradients: Partial<Arrays<Out>>,
    wanted: ReadonlySet<In>,
  ): Partial<Arrays<In>> | Promise<Partial<Arrays<In>>>;
  /** Frees compiled functions and their constants. */
  dispose(): void;
}
