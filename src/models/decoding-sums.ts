/**
 * @file What an attention keeps while a decoder generates where scores are linear in the key and nothing divides them: the sums
 * Σ kᵀv, which every query reads by a row of its own. That is a recurrence without decay, whatever the similarity is.
 */
import { rotate } from "../attention/lifted-head.ts";
import { type Composition, resolveParameters } from "../attention/index.ts";
import { headValues, pairScore } from "../attention/pair-score.ts";
import { narrow, type Tensor, type Tensor64, widen, zeros64 } from "../base/tensor.ts";
import { type WasmEngine } from "../kernels/wasm/index.ts";
import { longestXpos } from "../kernels/wasm/decoding/lifted-rows.ts";
import { rotaryTable } from "../positions/index.ts";
import { composeRecurrence, linear } from "../recurrence/index.ts";
import { guards } from "../similarities/index.ts";
import { recurrenceState } from "./decoding-recurrence.ts";
import { type GroupState, type TokenTensors } from "./decoding-group.ts";

/**
 * The sums of an attention for which `isLinearInKeys` holds: s(q, k) = g·k with g_d = s(q, e_d), so that Σ_j s(q, k_j)·v_j is
 * g·Σ_j k_jᵀv_j.
 */
export function sumsState(
  composition: Composition,
  parametersOf: (inputs: TokenTensors) => TokenTensors,
  engine: WasmEngine | undefined,
): GroupState {
  const rule = linear({ map: "identity", normaliser: "none" });
  const sums = recurrenceState(composeRecurrence({ rule }), [], engine);
  let length = 0;
  return {
    take(inputs) {
      const { q, k, v } = inputs;
      const turned = {
        q: turnedRows(composition, q, "query", length),
        k: turnedRows(composition, k, "key", length),
      };
      const readers = readersOf(composition, turned.q, parametersOf(inputs));
      length += q.shape[2];
      return sums.take({ q: narrow(readers), k: narrow(turned.k), v });
    },
    get size() {
      return sums.size;
    },
    dispose: () => sums.dispose(),
  };
}

/** Rows of tokens from place `first` on, turned by their places where the position turns rows. */
function turnedRows({ position }: Composition, rows: Tensor, role: "query" | "key", first: number): Tensor64 {
  const [, , count, width] = rows.shape;
  const data = Float64Array.from(rows.data);
  if (position.place === "rotation") {
    const table = rotaryTable(position, width, { first, count, role, length: longestXpos });
    for (let start = 0; start < data.length; start += count * width) {
      rotate(data.subarray(start, start + count * width), width, table, 1);
    }
  }
  return { data, shape: rows.shape };
}

/** g of every query. */
function readersOf(composition: Composition, q: Tensor64, parameters: TokenTensors): Tensor64 {
  const [, heads, count, width] = q.shape;
  const resolved = resolveParameters(composition, { heads, width }, parameters);
  const pairs = pairScore(composition.similarity, width, guards.f32);
  const units = zeros64([width, width]).data;
  for (let d = 0; d < width; d++) units[d * width + d] = 1;
  const rows = { queries: widen(q).data, keys: units };
  const readers = zeros64(q.shape);
  for (let row = 0; row * width < q.data.length; row++) {
    const scalars = headValues(pairs.parameterNames, resolved, Math.floor(row / count) % heads);
    for (let d = 0; d < width; d++) readers.data[row * width + d] = pairs.score(rows, row, d, scalars);
  }
  return readers;
}
