/**
 * @file Rows of tokens to groups of one expert and back, as operations of a tape. jax-js has static shapes: rows lie in as many
 * blocks as any routing may need, each of one expert, filled up with zeros. A block has as many rows as an expert gets on
 * average, so that zeros are about as much work as the chosen rows, and never more than a block for each expert.
 */
import { numpy as np } from "@jax-js/jax";
import { type Tensor } from "../base/tensor.ts";
import { arrayOf, tensorsOf } from "../kernels/jax/tensors.ts";
import { sortByExpert, type SortedRows } from "../kernels/javascript/expert-routing.ts";
import { type Arrays, type Operation } from "./operation.ts";

/** Blocks of the rows of `pairs` choices: as many rows as an expert has on average, and as many blocks as they may fill. */
function blocksOf(pairs: number, experts: number): { readonly rows: number; readonly count: number } {
  const rows = 8 * Math.ceil(pairs / experts / 8);
  return { rows, count: Math.min(pairs, Math.floor(pairs / rows) + experts) };
}

/** What the backward call needs of the forward call. */
interface GroupState {
  readonly sorted: SortedRows;
  readonly choices: number;
}

/**
 * Inputs `x` [M, width], `chosen` and `places` [M, k] of a `routingOperation`; outputs `grouped` [blocks, rows, width], and
 * `owners`, the expert of every block.
 *
 * @param experts - E
 */
export function groupRowsOperation(experts: number): Operation<string, "grouped" | "owners", GroupState> {
  return {
    name: "group rows by expert",
    async forward(arrays) {
      const { x, ...places } = await read(arrays);
      const [tokens, width] = x.shape;
      const choices = places["chosen"].shape[1];
      const blocks = blocksOf(tokens * choices, experts);
      const sorted = sortedRows(places, experts, blocks.rows);
      const data = new Float32Array(blocks.count * blocks.rows * width);
      sorted.rows.forEach((row, at) => {
        if (row < 0) return;
        const from = Math.floor(at / choices) * width;
        data.set(x.data.subarray(from, from + width), row * width);
      });
      const owners = new Int32Array(blocks.count);
      sorted.taken.forEach((taken, expert) => {
        const first = sorted.starts[expert] / blocks.rows;
        owners.fill(expert, first, first + Math.ceil(taken / blocks.rows));
      });
      const outputs = {
        grouped: arrayOf({ data, shape: [blocks.count, blocks.rows, width] }),
        owners: np.array(owners),
      };
      return { outputs, state: { sorted, choices } };
    },
    async backward({ x }, _saved, { grouped }, wanted, state) {
      if (!wanted.has("x")) return {};
      const { sorted, choices } = state!;
      const { grouped: gradient } = await tensorsOf({ grouped: grouped!.ref });
      const width = x.shape[1];
      const sums = new Float32Array(x.shape[0] * width);
      sorted.rows.forEach((row, at) => {
        if (row < 0) return;
        const [to, from] = [Math.floor(at / choices) * width, row * width];
        for (let d = 0; d < width; d++) sums[to + d] += gradient.data[from + d];
      });
      return { x: arrayOf({ data: sums, shape: x.shape }) };
    },
    dispose() {
      // Nothing was compiled.
    },
  };
}

/** What the backward call of a join needs of its forward call. */
interface JoinState extends GroupState {
  readonly rows: Tensor;
  readonly gates: Tensor;
}

/**
 * out_m = Σ_j g_mj·row_mj: inputs `rows` [blocks, rows, width], `gates`, `chosen` and `places` [M, k]; output `out` [M, width].
 *
 * @param experts - E
 */
export function joinRowsOperation(experts: number): Operation<string, "out", JoinState> {
  return {
    name: "join rows of experts",
    async forward(arrays) {
      const { rows, gates, ...places } = await read(arrays);
      const [, blockRows, width] = rows.shape;
      const [tokens, choices] = gates.shape;
      const sorted = sortedRows(places, experts, blockRows);
      const data = new Float32Array(tokens * width);
      sorted.rows.forEach((row, at) => {
        if (row < 0) return;
        const [to, from] = [Math.floor(at / choices) * width, row * width];
        for (let d = 0; d < width; d++) data[to + d] += gates.data[at] * rows.data[from + d];
      });
      const outputs = { out: arrayOf({ data, shape: [tokens, width] }) };
      return { outputs, state: { sorted, choices, rows, gates } };
    },
    async backward(_inputs, _saved, { out }, wanted, state) {
      const { sorted, choices, rows, gates } = state!;
      const { out: gradient } = await tensorsOf({ out: out!.ref });
      const width = gradient.shape[1];
      const byRows = new Float32Array(rows.data.length);
      const byGates = new Float32Array(gates.data.length);
      sorted.rows.forEach((row, at) => {
        if (row < 0) return;
        const [to, from] = [row * width, Math.floor(at / choices) * width];
        let sum = 0;
        for (let d = 0; d < width; d++) {
          byRows[to + d] = gates.data[at] * gradient.data[from + d];
          sum += rows.data[to + d] * gradient.data[from + d];
        }
        byGates[at] = sum;
      });
      return {
        ...(wanted.has("rows") ? { rows: arrayOf({ data: byRows, shape: rows.shape }) } : {}),
        ...(wanted.has("gates") ? { gates: arrayOf({ data: byGates, shape: gates.shape }) } : {}),
      };
    },
    dispose() {
      // Nothing was compiled.
    },
  };
}

function read(arrays: Arrays): Promise<Record<string, Tensor>> {
  return tensorsOf(Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, array.ref])));
}

function sortedRows(
  { chosen, places }: Readonly<Record<string, Tensor>>,
  experts: number,
  multiple: number,
): SortedRows {
  const routing = {
    experts,
    choices: chosen.shape[1],
    chosen: Int32Array.from(chosen.data),
    places: Int32Array.from(places.data),
  };
  return sortByExpert(routing, multiple);
}
