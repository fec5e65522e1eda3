/** @file Some of the tokens of a tensor. */
import { type Tensor } from "../../../base/tensor.ts";

/** Tokens [first, stop) of [B, heads, N, D]. */
export function rowsBetween({ data, shape }: Tensor, first: number, stop: number): Tensor {
  const [batch, heads, count, width] = shape;
  const size = (stop - first) * width;
  const rows = new Float32Array(batch * heads * size);
  for (let head = 0; head < batch * heads; head++) {
    const from = (head * count + first) * width;
    rows.set(data.subarray(from, from + size), head * size);
  }
  return { data: rows, shape: [batch, heads, stop - first, width] };
}
