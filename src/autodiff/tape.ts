/**
 * @file The tape: runs operations, remembers what backward needs, and goes backward. It owns all arrays between operations,
 * so that no reference count shows in a model.
 */
import { blockUntilReady, numpy as np, tree } from "@jax-js/jax";
import { DomainError, ShapeError, UnsupportedError } from "../base/errors.ts";
import { sizeOf, type Tensor } from "../base/tensor.ts";
import { addGradients, arrayGradient, disposeGradient, type Gradient, tensorGradient } from "./gradient.ts";
import { type Arrays, type Operation, type TensorForm, type Tensors } from "./operation.ts";
import { isFloat, Value } from "./value.ts";

/** What the tape knows about a value. */
interface Entry {
  /** The parameter's name, for parameters. */
  readonly parameter: string | undefined;
  /** Whether a parameter had influence on it. */
  readonly hasGradient: boolean;
  /** Recorded operations that read it and have not gone backward. */
  readers: number;
  /** Whether nothing will read it any more once `readers` is 0. */
  released: boolean;
}

/** One operation that was run. */
interface Step {
  readonly operation: Operation;
  readonly inputs: Readonly<Record<string, Value>>;
  readonly outputs: Readonly<Record<string, Value>>;
  readonly saved: Arrays | undefined;
  readonly state: unknown;
  readonly wanted: ReadonlySet<string>;
}

/** How a tape works. */
export interface TapeOptions {
  /** Whether backward will be called (default true); without it nothing is kept for it. */
  readonly gradient?: boolean;
}

/**
 * Runs operations one after the other and differentiates the last by the parameters.
 *
 * @example
 * ```ts
 * import { lossStage, stage, startJax, Tape } from "qklab/jax";
 * import { numpy as np } from "@jax-js/jax";
 * await startJax();
 * const scale = stage("scale", ({ x, w }) => ({ y: x.mul(w) }));
 * const square = lossStage("square", ({ y }) => ({ loss: y.ref.mul(y).sum() }));
 * const weight = np.array([2]);
 *
 * const tape = new Tape();
 * const { y } = await tape.run(scale, { x: tape.constant(np.array([3])), w: tape.parameter("w", weight) });
 * const { loss } = await tape.run(square, { y });
 * const { w } = await tape.backward(loss);
 * await w.data(); // [36], the derivative of (3w)² at w = 2
 * tape.dispose();
 * ```
 */
export class Tape {
  readonly #entries = new Map<Value, Entry>();
  readonly #parameters = new Map<string, Value>();
  readonly #steps: Step[] = [];
  readonly #keepsSteps: boolean;
  #state: "running" | "gone backward" | "disposed" = "running";

  constructor({ gradient = true }: TapeOptions = {}) {
    this.#keepsSteps = gradient;
  }

  /**
   * An input without gradient.
   *
   * @param array - given to the tape, which frees it
   */
  constant(array: np.Array): Value {
    this.#requireRunning("add a constant");
    return this.#add(new Value(array), undefined, false);
  }

  /**
   * An input with gradient. The caller keeps the array, which outlives the tape.
   *
   * @param name - its name in the result of {@link backward}
   * @param array - of float type
   * @throws DomainError `parameter-name` when the name is taken, ShapeError `parameter-type` for integers
   */
  parameter(name: string, array: np.Array): Value {
    this.#requireRunning("add a parameter");
    if (this.#parameters.has(name)) {
      throw new DomainError(
        "parameter-name",
        `Cannot add a parameter as every name must be used once: '${name}'. Pass the first one's value to all that use it`,
      );
    }
    if (!isFloat(array.dtype)) {
      throw new ShapeError(
        "parameter-type",
        `Cannot add '${name}' as a parameter as only floats have gradients: ${array.dtype}. Use constant()`,
      );
    }
    const value = this.#add(new Value(array.ref), name, this.#keepsSteps);
    this.#parameters.set(name, value);
    return value;
  }

  /**
   * Runs an operation.
   *
   * @param operation - a stage, a loss, an attention…
   * @param inputs - values of this tape, by the operation's names
   * @returns its outputs
   */
  async run<In extends string, Out extends string>(
    operation: Operation<In, Out>,
    inputs: Readonly<Record<In, Value>>,
  ): Promise<Record<Out, Value>> {
    this.#requireRunning(`run '${operation.name}'`);
    const names = Object.keys(inputs) as In[];
    const wanted = new Set(
      names.filter((name) => this.#entryOf(operation.name, name, inputs[name]).hasGradient),
    );
    const { outputs, saved, state } =
      operation.tensors === undefined
        ? await runOnArrays(operation, inputs, wanted)
        : await runOnTensors(operation.tensors, inputs, wanted);
    const isRecorded = wanted.size > 0;
    const values = Object.fromEntries(
      Object.entries<Value>(outputs).map(([name, value]) => [
        name,
        this.#add(value, undefined, isRecorded && isFloat(value.dtype)),
      ]),
    ) as Record<Out, Value>;
    if (isRecorded) {
      for (const name of names) this.#entries.get(inputs[name])!.readers++;
      this.#steps.push({
        operation,
        inputs,
        outputs: values,
        saved,
        state,
        wanted,
      });
    } else if (saved !== undefined) {
      tree.dispose(saved);
    }
    return values;
  }

  /**
   * Says that no further operation will read these values: each is freed as soon as backward does not need it, which is
   * now on a tape without gradient.
   */
  release(...values: readonly Value[]): void {
    for (const value of values) {
      const entry = this.#entries.get(value);
      if (entry === undefined) continue;
      entry.released = true;
      if (entry.readers === 0) value.free();
    }
  }

  /**
   * How many numbers it keeps now: its values but for parameters, and what operations saved as arrays. What an engine keeps
   * in its own memory is not among them.
   */
  get keptNumbers(): number {
    const values = [...this.#entries]
      .filter(([value, { parameter }]) => parameter === undefined && !value.isFree)
      .map(([{ shape }]) => sizeOf(shape));
    const saved = this.#steps.flatMap((step) => Object.values(step.saved ?? {}).map(({ size }) => size));
    return [...values, ...saved].reduce((sum, size) => sum + size, 0);
  }

  /**
   * Gradients of the loss by all parameters. Values that only operations read are freed on the way; those that none has
   * read (the loss, measurements) stay until {@link dispose}.
   *
   * @param loss - a scalar that depends on a parameter; any such value where `gradient` is given
   * @param gradient - of what is made of the value elsewhere, by it, of its shape; it stays the caller's
   * @returns one array per parameter, owned by the caller; zeros for one without influence on the loss
   * @throws ShapeError `loss-shape`, UnsupportedError `no-gradient`, `tape-state`
   */
  async backward(loss: Value, gradient?: np.Array): Promise<Record<string, np.Array>> {
    this.#requireRunning("go backward");
    this.#requireLoss(loss, gradient?.shape ?? []);
    this.#state = "gone backward";
    const gradients = new Map<Value, Gradient>([[loss, gradient?.ref ?? np.ones([], { dtype: loss.dtype })]]);
    try {
      for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
        await this.#stepBackward(step, gradients);
      }
      const results = [...this.#parameters].map(([name, value]) => {
        const gradient = gradients.get(value) ?? np.zeros([...value.shape], { dtype: value.dtype });
        gradients.delete(value);
        return [name, arrayGradient(gradient)] as const;
      });
      return Object.fromEntries(results);
    } finally {
      for (const gradient of gradients.values()) disposeGradient(gradient);
    }
  }

  /** Frees everything that the tape holds. Parameters stay their owner's. */
  dispose(): void {
    this.#state = "disposed";
    for (const step of this.#steps.splice(0)) dropSaved(step);
    for (const value of this.#entries.keys()) value.free();
    this.#entries.clear();
    this.#parameters.clear();
  }

  async #stepBackward(step: Step, gradients: Map<Value, Gradient>): Promise<void> {
    const { inputs, outputs } = step;
    const known = Object.entries(outputs).filter(([, value]) => gradients.has(value));
    try {
      if (known.length > 0) {
        for (const [name, gradient] of Object.entries(await pullBack(step, known, gradients))) {
          if (gradient === undefined) continue;
          const value = inputs[name];
          const before = gradients.get(value);
          gradients.set(value, before === undefined ? gradient : addGradients(before, gradient));
        }
      }
    } finally {
      for (const [, value] of known) {
        const gradient = gradients.get(value);
        if (gradient !== undefined) disposeGradient(gradient);
        gradients.delete(value);
      }
      dropSaved(step);
      for (const value of Object.values(inputs)) this.#hasGoneBackward(value);
    }
  }

  #hasGoneBackward(value: Value): void {
    const entry = this.#entries.get(value);
    if (entry === undefined) return;
    entry.readers--;
    if (entry.readers === 0 && (entry.parameter === undefined || entry.released)) value.free();
  }

  #add(value: Value, parameter: string | undefined, hasGradient: boolean): Value {
    this.#entries.set(value, { parameter, hasGradient, readers: 0, released: false });
    return value;
  }

  #entryOf(operation: string, name: string, value: Value): Entry {
    const entry = this.#entries.get(value);
    if (entry !== undefined) return entry;
    throw new UnsupportedError(
      "foreign-value",
      `Cannot run '${operation}' as its input '${name}' must be a value of this tape: ${describe(value)}. ` +
        "Add it by constant() or parameter()",
    );
  }

  #requireRunning(action: string): void {
    if (this.#state === "running") return;
    throw new UnsupportedError(
      "tape-state",
      `Cannot ${action} as the tape must be running: it is ${this.#state}. Make a new Tape for every step`,
    );
  }

  #requireLoss(loss: Value, shape: readonly number[]): void {
    const entry = this.#entryOf("backward", "loss", loss);
    const written = loss.shape.join(", ");
    if (written !== shape.join(", ")) {
      throw new ShapeError(
        "loss-shape",
        shape.length === 0
          ? `Cannot go backward as the loss must be a scalar: shape [${written}]. Sum or average it in a stage`
          : `Cannot go backward as a value and its gradient must have one shape: [${written}] and [${shape.join(", ")}]. ` +
              "Pass the gradient by this value",
      );
    }
    if (entry.hasGradient) return;
    throw new UnsupportedError(
      "no-gradient",
      "Cannot go backward as the loss must depend on a parameter: " +
        (this.#keepsSteps
          ? "it comes from constants alone. Add weights by parameter()"
          : "the tape was made without gradient. Use new Tape()"),
    );
  }
}

/** What a forward call gave, its outputs as values. */
interface Run<Out extends string> {
  readonly outputs: Readonly<Record<Out, Value>>;
  readonly saved: Arrays | undefined;
  readonly state: unknown;
}

async function runOnArrays<In extends string, Out extends string>(
  operation: Operation<In, Out>,
  inputs: Readonly<Record<In, Value>>,
  wanted: ReadonlySet<In>,
): Promise<Run<Out>> {
  const { outputs, saved, state } = await operation.forward(arraysOf(inputs), wanted);
  // Until a kernel has run, jax-js holds its inputs: running them now lets go of all intermediate arrays.
  await blockUntilReady([...Object.values(outputs), ...Object.values(saved ?? {})] as np.Array[]);
  return { outputs: mapped(outputs, (array: np.Array) => new Value(array)), saved, state };
}

async function runOnTensors<In extends string, Out extends string>(
  form: TensorForm<In, Out>,
  inputs: Readonly<Record<In, Value>>,
  wanted: ReadonlySet<In>,
): Promise<Run<Out>> {
  const { outputs, state } = form.forward(await tensorsOf(inputs), wanted);
  return { outputs: mapped(outputs, (tensor: Tensor) => new Value(tensor)), saved: undefined, state };
}

/** Gradients by the inputs of a step, from those of its outputs that have one. */
async function pullBack(
  { operation, inputs, saved, wanted, state }: Step,
  known: readonly (readonly [name: string, value: Value])[],
  gradients: Map<Value, Gradient>,
): Promise<Partial<Readonly<Record<string, Gradient>>>> {
  if (operation.tensors !== undefined) {
    const ofOutputs: Record<string, Tensor> = {};
    for (const [name, value] of known) ofOutputs[name] = await tensorGradient(gradients.get(value)!);
    return operation.tensors.backward(await tensorsOf(inputs), ofOutputs, wanted, state);
  }
  const ofOutputs: Record<string, np.Array> = {};
  for (const [name, value] of known) {
    ofOutputs[name] = arrayGradient(gradients.get(value)!);
    gradients.set(value, ofOutputs[name]);
  }
  const results = await operation.backward(arraysOf(inputs), saved, ofOutputs, wanted, state);
  await blockUntilReady(Object.values(results) as np.Array[]);
  return results;
}

function arraysOf<Names extends string>(values: Readonly<Record<Names, Value>>): Arrays<Names> {
  return mapped(values, ({ array }: Value) => array);
}

async function tensorsOf<Names extends string>(
  values: Readonly<Record<Names, Value>>,
): Promise<Tensors<Names>> {
  const tensors: Record<string, Tensor> = {};
  for (const [name, value] of Object.entries<Value>(values)) tensors[name] = await value.tensor();
  return tensors as Tensors<Names>;
}

function mapped<Names extends string, From, To>(
  record: Readonly<Record<Names, From>>,
  change: (value: From) => To,
): Record<Names, To> {
  const entries = Object.entries<From>(record).map(([name, value]) => [name, change(value)]);
  return Object.fromEntries(entries) as Record<Names, To>;
}

function dropSaved({ operation, saved, state }: Step): void {
  if (saved !== undefined) tree.dispose(saved);
  if (state !== undefined) operation.tensors?.free?.(state);
}

function describe(value: unknown): string {
  return value instanceof Value ? "it comes from another tape, or its tape is disposed" : String(value);
}
