/**
 * @file Stages: pure jax-js functions as operations of a tape. The forward is `jit(fn)`; the backward is a `jit` of its
 * `vjp` that computes the forward again, as an eager `vjp` traces anew every time.
 */
import { jit, type numpy as np, type OwnedFunction, tree, valueAndGrad, vjp } from "@jax-js/jax";
import { ShapeError, UnsupportedError } from "../base/errors.ts";
import { type Arrays, type Operation } from "./operation.ts";

type MutableArrays = Record<string, np.Array>;
type PlainFunction = (inputs: MutableArrays) => MutableArrays;
type Compiled<Input, Output> = OwnedFunction<(input: Input) => Output>;

/** A stage's function. As in all of jax-js it owns its arguments: `x.ref` for every use of `x` but one. */
export type StageFunction<In extends string, Out extends string> = (inputs: Arrays<In>) => Arrays<Out>;

/**
 * A pure jax-js function as an operation. It is compiled once for every set of shapes.
 *
 * @param name - for errors
 * @param fn - named arrays to named arrays; every input of float type is differentiable
 * @param differentiated - the form of `fn` that backward differentiates, where a cheaper one serves forward
 * @example
 * ```ts
 * import { stage, startJax } from "qklab/jax";
 * await startJax();
 * const double = stage("double", ({ x }) => ({ y: x.mul(2) }));
 * double.name; // "double"
 * ```
 */
export function stage<In extends string, Out extends string>(
  name: string,
  fn: StageFunction<In, Out>,
  differentiated: StageFunction<In, Out> = fn,
): Operation<In, Out> {
  const forward = compile(fn as unknown as PlainFunction);
  const pullbacks = new Map<string, Compiled<PullbackInput, MutableArrays>>();
  return {
    name,
    forward: (inputs) => ({ outputs: forward(borrowed(inputs)) as Arrays<Out> }),
    backward(inputs, _saved, gradients, wanted) {
      const [chosen, others] = partition(inputs, wanted);
      const key = JSON.stringify([Object.keys(chosen), Object.keys(gradients)]);
      let pullback = pullbacks.get(key);
      if (pullback === undefined) {
        pullback = compile(pullbackOf(differentiated as unknown as PlainFunction));
        pullbacks.set(key, pullback);
      }
      return pullback({ chosen, others, gradients: borrowed(gradients as MutableArrays) }) as Partial<
        Arrays<In>
      >;
    },
    dispose: () => [forward, ...pullbacks.values()].forEach((compiled) => compiled.dispose()),
  };
}

/**
 * A function that ends in a scalar `loss`, as an operation. With gradient its forward computes value and gradients in one
 * compiled function, so nothing is computed twice; outputs beside `loss` are measurements and have no gradient.
 *
 * @param name - for errors
 * @param fn - named arrays to `loss`, a scalar, and further named arrays
 * @throws ShapeError `loss-shape` in forward, when the loss is not a scalar
 * @example
 * ```ts
 * import { lossStage, startJax } from "qklab/jax";
 * await startJax();
 * const meanSquare = lossStage("mean square", ({ x }) => ({ loss: x.ref.mul(x).mean() }));
 * meanSquare.name; // "mean square"
 * ```
 */
export function lossStage<In extends string, Out extends string = "loss">(
  name: string,
  fn: StageFunction<In, Out | "loss">,
): Operation<In, Out | "loss"> {
  const checked: PlainFunction = (inputs) => {
    const outputs = (fn as unknown as PlainFunction)(inputs);
    requireScalar(name, outputs["loss"]);
    return outputs;
  };
  const measure = compile(checked);
  const differentiate = compile(lossAndGradients(checked));
  const scale = compile(({ by, gradients }: { by: np.Array; gradients: MutableArrays }) => {
    const scaled = Object.entries(gradients).map(
      ([input, gradient]) => [input, gradient.mul(by.ref)] as const,
    );
    by.dispose();
    return Object.fromEntries(scaled);
  });
  return {
    name,
    forward(inputs, wanted) {
      if (wanted.size === 0) return { outputs: measure(borrowed(inputs)) as Arrays<Out | "loss"> };
      const [chosen, others] = partition(inputs, wanted);
      const { outputs, gradients } = differentiate({ chosen, others });
      return { outputs: outputs as Arrays<Out | "loss">, saved: gradients };
    },
    backward(_inputs, saved, { loss, ...others }) {
      requireLossOnly(name, Object.keys(others));
      const gradients = borrowed(saved ?? {});
      return scale({ by: (loss as np.Array).ref, gradients }) as Partial<Arrays<In>>;
    },
    dispose: () => [measure, differentiate, scale].forEach((compiled) => compiled.dispose()),
  };
}

interface SplitInputs {
  /** Those to differentiate by. */
  readonly chosen: MutableArrays;
  readonly others: MutableArrays;
}

interface PullbackInput extends SplitInputs {
  readonly gradients: MutableArrays;
}

/** The pullback of `fn` for outputs that have gradients, by the chosen inputs. */
function pullbackOf(fn: PlainFunction): (input: PullbackInput) => MutableArrays {
  return ({ chosen, others, gradients }) => {
    const used = (variables: MutableArrays): MutableArrays => {
      const outputs = fn({ ...others, ...variables });
      const [kept, dropped] = split(outputs, (output) => output in gradients);
      tree.dispose(dropped);
      // jax-js cannot transpose a function of which one output is computed from another: each is made an end of its own.
      return Object.fromEntries(
        Object.entries(kept).map(([name, array]) => [name, array.reshape([...array.shape])]),
      );
    };
    const [outputs, pull] = vjp(used, [chosen]);
    tree.dispose(outputs);
    const [result] = pull(gradients) as [MutableArrays];
    pull.dispose();
    return result;
  };
}

function lossAndGradients(
  fn: PlainFunction,
): (input: SplitInputs) => { outputs: MutableArrays; gradients: MutableArrays } {
  return ({ chosen, others }) => {
    const lossFirst = (variables: MutableArrays): [np.Array, MutableArrays] => {
      const { loss, ...measurements } = fn({ ...others, ...variables });
      return [loss, measurements];
    };
    const evaluate = valueAndGrad(lossFirst, { hasAux: true }) as unknown as (
      variables: MutableArrays,
    ) => [[np.Array, MutableArrays], MutableArrays];
    const [[loss, measurements], gradients] = evaluate(chosen);
    return { outputs: { loss, ...measurements }, gradients };
  };
}

function compile<Input, Output>(fn: (input: Input) => Output): Compiled<Input, Output> {
  return jit(fn as never) as unknown as Compiled<Input, Output>;
}

/** The same arrays, each with one more reference for a function that consumes them. */
function borrowed(arrays: Arrays): MutableArrays {
  return Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, array.ref]));
}

function partition(inputs: Arrays, wanted: ReadonlySet<string>): [MutableArrays, MutableArrays] {
  return split(borrowed(inputs), (name) => wanted.has(name));
}

function split(arrays: MutableArrays, isFirst: (name: string) => boolean): [MutableArrays, MutableArrays] {
  const entries = Object.entries(arrays);
  return [
    Object.fromEntries(entries.filter(([name]) => isFirst(name))),
    Object.fromEntries(entries.filter(([name]) => !isFirst(name))),
  ];
}

function requireScalar(name: string, loss: np.Array | undefined): void {
  if (loss?.ndim === 0) return;
  throw new ShapeError(
    "loss-shape",
    `Cannot use '${name}' as a loss as its output 'loss' must be a scalar: ` +
      `${loss === undefined ? "there is none" : `shape [${loss.shape.join(", ")}]`}. Return { loss: x.mean() }`,
  );
}

function requireLossOnly(name: string, others: readonly string[]): void {
  if (others.length === 0) return;
  throw new UnsupportedError(
    "measurement-gradient",
    `Cannot go backward through '${name}' as only its loss has a gradient: '${others[0]}' was used further. ` +
      "Compute it in a stage() of its own",
  );
}
