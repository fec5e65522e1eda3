/** @file A value on a tape: an array of jax-js, plain numbers, or both once somebody has asked for the other form. */
import { numpy as np } from "@jax-js/jax";
import { UnsupportedError } from "../base/errors.ts";
import { type Tensor } from "../base/tensor.ts";
import { arrayOf, tensorOf } from "../kernels/jax/tensors.ts";

/** Numbers of an array, in row-major order. */
export type Numbers = Awaited<ReturnType<np.Array["data"]>>;

/** A value on a tape: an input, or the output of an operation. */
export class Value {
  readonly shape: readonly number[];
  readonly dtype: np.DType;
  #array: np.Array | undefined;
  #tensor: Tensor | undefined;

  /** Made by a tape only. */
  constructor(content: np.Array | Tensor) {
    this.shape = [...content.shape];
    if (isTensor(content)) {
      this.dtype = np.float32;
      this.#tensor = content;
    } else {
      this.dtype = content.dtype;
      this.#array = content;
    }
  }

  /** The tape's array, to look at and not to consume (`.ref` keeps a copy beyond the tape). */
  get array(): np.Array {
    if (this.#array === undefined && this.#tensor !== undefined) this.#array = arrayOf(this.#tensor);
    return this.#array ?? this.#refuse();
  }

  /** The tape's plain numbers, to look at and not to change. */
  async tensor(): Promise<Tensor> {
    if (this.#tensor === undefined) this.#tensor = await tensorOf((this.#array ?? this.#refuse()).ref);
    return this.#tensor;
  }

  /** The numbers, row-major. */
  async read(): Promise<Numbers> {
    return this.#array === undefined ? (await this.tensor()).data.slice() : this.#array.ref.data();
  }

  /** Whether its numbers were dropped. */
  get isFree(): boolean {
    return this.#array === undefined && this.#tensor === undefined;
  }

  /** Drops the numbers; a second call does nothing. */
  free(): void {
    this.#array?.dispose();
    this.#array = undefined;
    this.#tensor = undefined;
  }

  #refuse(): never {
    throw new UnsupportedError(
      "freed-value",
      `Cannot read a value as its tape has freed it: shape [${this.shape.join(", ")}]. ` +
        "Read it before backward() or release(), which free what no operation needs any more",
    );
  }
}

/** Whether these are plain numbers, and not an array of jax-js. */
export function isTensor(content: np.Array | Tensor): content is Tensor {
  return ArrayBuffer.isView(content.data);
}

/** Whether numbers of a type have gradients. */
export function isFloat(dtype: np.DType): boolean {
  return dtype === np.float32 || dtype === np.float64 || dtype === np.float16;
}
