/**
 * @file Reversible residual layers as one operation: of all their activations it keeps the last two streams, from which backward
 * computes those of every layer before.
 */
import { blockUntilReady, numpy as np } from "@jax-js/jax";
import { ShapeError } from "../base/errors.ts";
import { type Arrays, type Operation } from "./operation.ts";
import { Tape } from "./tape.ts";
import { type Value } from "./value.ts";

/** A residual block, x + F(x), on whatever tape it is given. */
export interface ResidualBlock {
  /** Names of the parameters that it reads. */
  readonly reads: readonly string[];
  /**
   * @param x - it may be released
   * @param values - the parameters that `reads` names
   * @returns x + F(x), of the shape of x, for the same x and parameters the same to the bit
   */
  run(tape: Tape, x: Value, values: Readonly<Record<string, Value>>): Promise<Value>;
}

/**
 * Residual blocks x + F_l(x), taken two by two over two streams:
 *
 * ```
 * y₁ = x₁ + F₁(x₂)    y₂ = x₂ + F₂(y₁)    and back    x₂ = y₂ − F₂(y₁)    x₁ = y₁ − F₁(x₂)
 * ```
 *
 * Inputs `x1` and `x2`, which have one shape, and all parameters that blocks read; outputs `y1` and `y2`. Each block runs on a
 * tape of its own, forward and once more in backward, so that no more than one block's activations are ever kept. Streams that
 * are computed back differ from those of forward by roundings.
 *
 * Gomez et al. 2017, The Reversible Residual Network; Kitaev et al. 2020, Reformer, section 3.
 *
 * @param name - for errors
 * @param blocks - an even number of them
 * @throws ShapeError `reversible-blocks` for an odd number
 */
export function reversibleOperation(
  name: string,
  blocks: readonly ResidualBlock[],
): Operation<string, "y1" | "y2"> {
  if (blocks.length % 2 === 1) {
    throw new ShapeError(
      "reversible-blocks",
      `Cannot make '${name}' reversible as its blocks must take turns over two streams: ${blocks.length} blocks. ` +
        "Pass an even number of them",
    );
  }
  return {
    name,
    async forward(inputs, wanted) {
      // The stream that a block adds to comes first; then they change places.
      let [to, from] = [inputs["x1"].ref, inputs["x2"].ref];
      for (const block of blocks) {
        const { change } = await runBlock(block, from, inputs);
        [to, from] = [from, await ready(to.add(change))];
      }
      const outputs = { y1: to, y2: from };
      return wanted.size === 0 ? { outputs } : { outputs, saved: { y1: to.ref, y2: from.ref } };
    },
    async backward(inputs, saved, gradients, wanted) {
      const [y1, y2] = [saved!["y1"], saved!["y2"]];
      let [to, from] = [y1.ref, y2.ref];
      const gradientOf = (gradient: np.Array | undefined): np.Array =>
        gradient?.ref ?? np.zeros([...y1.shape]);
      let [toGradient, fromGradient] = [gradientOf(gradients.y1), gradientOf(gradients.y2)];
      const results: Record<string, np.Array> = {};
      for (const block of blocks.toReversed()) {
        const { change, byStream, byParameters } = await runBlock(block, to, inputs, {
          wanted,
          gradient: fromGradient,
        });
        [to, from] = [await ready(from.sub(change)), to];
        [toGradient, fromGradient] = [fromGradient, await ready(toGradient.add(byStream!))];
        for (const [parameter, gradient] of Object.entries(byParameters)) {
          const before = results[parameter];
          results[parameter] = before === undefined ? gradient : await ready(before.add(gradient));
        }
      }
      to.dispose();
      from.dispose();
      for (const [stream, gradient] of [
        ["x1", toGradient],
        ["x2", fromGradient],
      ] as const) {
        if (wanted.has(stream)) results[stream] = gradient;
        else gradient.dispose();
      }
      return results;
    },
    dispose() {
      // The blocks are the caller's.
    },
  };
}

/** What backward asks of a block. */
interface PulledBack {
  readonly wanted: ReadonlySet<string>;
  /** Of F(x). */
  readonly gradient: np.Array;
}

interface BlockResult {
  /** F(x) */
  readonly change: np.Array;
  /** The gradient of F(x) by x, where it was asked for. */
  readonly byStream?: np.Array;
  readonly byParameters: Readonly<Record<string, np.Array>>;
}

/** Runs a block on a tape of its own; everything given stays the caller's, everything returned is. */
async function runBlock(
  block: ResidualBlock,
  x: np.Array,
  inputs: Arrays,
  back?: PulledBack,
): Promise<BlockResult> {
  const tape = new Tape({ gradient: back !== undefined });
  try {
    const values = block.reads.map((name) => [
      name,
      back?.wanted.has(name) ? tape.parameter(name, inputs[name]) : tape.constant(inputs[name].ref),
    ]);
    const stream = back === undefined ? tape.constant(x.ref) : tape.parameter("x1", x);
    const out = await block.run(tape, stream, Object.fromEntries(values) as Record<string, Value>);
    const change = await ready(out.array.ref.sub(x.ref));
    if (back === undefined) return { change, byParameters: {} };
    const { x1, ...byParameters } = await tape.backward(out, back.gradient);
    // The block's own x is no part of F(x).
    return { change, byStream: await ready(x1.sub(back.gradient.ref)), byParameters };
  } finally {
    tape.dispose();
  }
}

/** Runs what computes an array, so that jax-js lets go of what it is made of. */
async function ready(array: np.Array): Promise<np.Array> {
  await blockUntilReady([array]);
  return array;
}
