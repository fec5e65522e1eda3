/**
 * @file Rows of a table as an operation of a tape, copied and added one by one. jax-js gathers and scatters through products
 * with one-hot rows, which cost V times as much.
 */
import { type Tensor } from "../base/tensor.ts";
import { arrayOf, tensorsOf } from "../kernels/jax/tensors.ts";
import { type Operation } from "./operation.ts";

/** Rows [M, width] of `table` [V, width] at `ids` (int32, [B, N], M = B·N); the table's gradient is summed in their order. */
export function embeddingOperation(): Operation<"table" | "ids", "rows", ArrayLike<number>> {
  return {
    name: "embedding",
    async forward({ table, ids }) {
      const read = await tensorsOf({ table: table.ref, ids: ids.ref });
      const width = read["table"].shape[1];
      const places = read["ids"].data;
      const rows: Tensor = { data: new Float32Array(places.length * width), shape: [places.length, width] };
      places.forEach((id, row) => {
        rows.data.set(read["table"].data.subarray(id * width, (id + 1) * width), row * width);
      });
      return { outputs: { rows: arrayOf(rows) }, state: places };
    },
    async backward({ table }, _saved, { rows }, wanted, places) {
      if (!wanted.has("table")) return {};
      const { rows: gradient } = await tensorsOf({ rows: rows!.ref });
      const [vocabulary, width] = table.shape;
      const sums = new Float32Array(vocabulary * width);
      for (let row = 0; row * width < gradient.data.length; row++) {
        const [to, from] = [places![row] * width, row * width];
        for (let d = 0; d < width; d++) sums[to + d] += gradient.data[from + d];
      }
      return { table: arrayOf({ data: sums, shape: [vocabulary, width] }) };
    },
    dispose() {
      // Nothing was compiled.
    },
  };
}
