/**
 * @file What a tape can run: something with a forward and a backward over named arrays. Stages are jax-js functions;
 * fused kernels take the same place.
 */
import { type numpy as np } from "@jax-js/jax";
import { type Tensor } from "../base/tensor.ts";

/** Arrays by name. */
export type Arrays<Names extends string = string> = Readonly<Record<Names, np.Array>>;

/** What a forward call gives: outputs, and what backward needs beside the inputs. All of it is the caller's. */
export interface ForwardResult<Out extends string = string, State = unknown> {
  readonly outputs: Arrays<Out>;
  readonly saved?: Arrays;
  /** What backward needs and jax-js does not hold; nobody frees it. */
  readonly state?: State;
}

/** Tensors by name. */
export type Tensors<Names extends string = string> = Readonly<Record<Names, Tensor>>;

/**
 * How an operation runs on plain numbers: what an engine computes need not pass through jax-js on its way to what the engine
 * computes next. Tensors are never changed once they are made; inputs of integers have integers in their `data`.
 */
export interface TensorForm<In extends string = string, Out extends string = string, State = unknown> {
  /** As {@link Operation.forward}. */
  forward(
    inputs: Tensors<In>,
    wanted: ReadonlySet<In>,
  ): { readonly outputs: Tensors<Out>; readonly state?: State };
  /** As {@link Operation.backward}. */
  backward(
    inputs: Tensors<In>,
    gradients: Partial<Tensors<Out>>,
    wanted: ReadonlySet<In>,
    state: State | undefined,
  ): Partial<Tensors<In>>;
  /** Frees what a state holds outside of JavaScript; backward can do without the state of such a form. */
  free?(state: State): void;
}

/** A differentiable step. It never consumes what it is given, and everything that it returns is the caller's to dispose. */
export interface Operation<In extends string = string, Out extends string = string, State = unknown> {
  readonly name: string;
  /** The same on plain numbers, where that is how it is computed. */
  readonly tensors?: TensorForm<In, Out, State>;
  /**
   * @param inputs - by name
   * @param wanted - inputs whose gradients will be asked for; empty when backward will not be called
   */
  forward(
    inputs: Arrays<In>,
    wanted: ReadonlySet<In>,
  ): ForwardResult<Out, State> | Promise<ForwardResult<Out, State>>;
  /**
   * Gradients by the wanted inputs.
   *
   * @param inputs - those of the forward call
   * @param saved - what the forward call saved
   * @param gradients - of the outputs; those that nobody used are absent, one at least is there
   * @param state - what the forward call returned as such
   */
  backward(
    inputs: Arrays<In>,
    saved: Arrays | undefined,
    gradients: Partial<Arrays<Out>>,
    wanted: ReadonlySet<In>,
    state?: State,
  ): Partial<Arrays<In>> | Promise<Partial<Arrays<In>>>;
  /** Frees compiled functions and their constants. */
  dispose(): void;
}
