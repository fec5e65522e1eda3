/**
 * @file Rows of a table as an operation of a tape, copied and added one by one. jax-js gathers and scatters through products
 * with one-hot rows, which cost V times as much.
 */
import { type Operation } from "./operation.ts";
import { tensorOperation } from "./tensor-operation.ts";

/** Rows [B, N, width] of `table` [V, width] at `ids` (int32, [B, N]); the table's gradient is summed in their order. */
export function embeddingOperation(): Operation<"table" | "ids", "rows"> {
  return tensorOperation("embedding", {
    forward({ table, ids }) {
      const width = table.shape[1];
      const data = new Float32Array(ids.data.length * width);
      ids.data.forEach((id, row) => {
        data.set(table.data.subarray(id * width, (id + 1) * width), row * width);
      });
      return { outputs: { rows: { data, shape: [...ids.shape, width] } } };
    },
    backward({ table, ids }, { rows }, wanted) {
      if (!wanted.has("table")) return {};
      const width = table.shape[1];
      const data = new Float32Array(table.data.length);
      const gradient = rows!.data;
      ids.data.forEach((id, row) => {
        const [to, from] = [id * width, row * width];
        for (let d = 0; d < width; d++) data[to + d] += gradient[from + d];
      });
      return { table: { data, shape: table.shape } };
    },
  });
}
