/**
 * @file The inner reductions of one tile, s_ij = Σ_d q_id ⊗ k_jd for every segment, and how their gradients return to
 * rows: products by the register tile, signs and places of extremes by loops of their own.
 */
import {
  defineFunction,
  f32x4,
  type FunctionBuilder,
  i32,
  i32x4,
  type Integer,
  type Local,
  type Value,
  type WasmFunction,
} from "../assembler/assembler.ts";
import { type KernelSpec, type Segment, tileKeys } from "./kernel-spec.ts";
import { tileProduct } from "../assembler/micro-kernel.ts";
import { type ScratchLayout } from "./scratch-layout.ts";

/** Functions that fill and pull back the tiles of inner reductions. */
export interface ScoreTile {
  readonly functions: readonly WasmFunction[];
  /**
   * Fills all tiles: rows of queries at `query`, packed keys at `packedKey`. A single row, if `isSingle` says so at the
   * call, is computed alone; its numbers are the same, bit for bit.
   */
  readonly fill: (
    b: FunctionBuilder,
    scratch: Value,
    query: Value,
    packedKey: Value,
    rows: Value,
    columns: Value,
    isSingle?: Value,
  ) => void;
}

export function scoreTile({ segments, rowWidth, relaxed }: KernelSpec, layout: ScratchLayout): ScoreTile {
  const functionsOf = (rows: 1 | 4): readonly WasmFunction[] =>
    segments.map((segment, index) => {
      const suffix = `${index}${rows === 1 ? "OfOne" : ""}`;
      if (segment.inner === "range") return rangeFunction(`range${suffix}`, segment, rowWidth, rows, relaxed);
      return tileProduct(relaxed, {
        name: `${segment.inner}${suffix}`,
        comment: segment.inner === "dot" ? "s_ij = Σ_d q_id·k_jd" : "s_ij = Σ_d |q_id − k_jd|",
        a: { row: rowWidth, step: 1 },
        b: { step: 8, panel: 8 * rowWidth },
        c: { row: tileKeys },
        steps: segment.width,
        columns: "given",
        start: "zero",
        step: segment.inner === "dot" ? "multiply" : "distance",
        rows,
      });
    });
  const [ofFour, ofOne] = [functionsOf(4), functionsOf(1)];
  return {
    functions: [...ofFour, ...ofOne],
    fill(b, scratch, query, packedKey, rows, columns, isSingle) {
      const run = (reduce: readonly WasmFunction[], count: Integer): void =>
        segments.forEach(({ offset }, index) => {
          const from = i32.add(query, 4 * offset);
          const keys = i32.add(packedKey, 32 * offset);
          b.call(reduce[index], from, keys, i32.add(scratch, layout.inner[index]), count, columns, 0, 0);
        });
      if (isSingle === undefined) run(ofFour, rows);
      else {
        b.if(
          isSingle,
          () => run(ofOne, 1),
          () => run(ofFour, rows),
        );
      }
    },
  };
}

/** s_ij = max_d(q_id − k_jd) − min_d(q_id − k_jd), four rows or one and four keys at a time. */
function rangeFunction(
  name: string,
  { width }: Segment,
  rowWidth: number,
  rowsPerTile: 1 | 4,
  relaxed: boolean,
): WasmFunction {
  const comment = "s_ij = max_d(q_id − k_jd) − min_d(q_id − k_jd)";
  const members = [0, 1, 2, 3].slice(0, rowsPerTile);
  const parameters = ["a", "b", "c", "rows", "columns", "steps", "factors"];
  return defineFunction(name, comment, parameters, relaxed, (b, aStart, bStart, cStart, rows, columns) => {
    const [column, row, d] = ["column", "row", "d"].map((local) => b.local("i32", local));
    const [aAt, bAt, aRow] = ["aAt", "bAt", "aRow"].map((local) => b.local("i32", local));
    const high = members.map((m) => b.local("v128", `high${m}`));
    const low = members.map((m) => b.local("v128", `low${m}`));
    const difference = b.local("v128", "difference");
    b.for(column, 0, columns, 4, () => {
      b.set(aRow, aStart);
      b.for(row, 0, rows, rowsPerTile, () => {
        for (const m of members) {
          b.set(high[m], f32x4.constant(-Infinity));
          b.set(low[m], f32x4.constant(Infinity));
        }
        b.set(aAt, aRow);
        const panel = i32.add(bStart, i32.mul(i32.shiftRight(column, 3), 32 * rowWidth));
        b.set(bAt, i32.add(panel, i32.mul(i32.and(column, 4), 4)));
        b.for(d, 0, width, 1, () => {
          const key = b.let("key", f32x4.load(bAt));
          for (const m of members) {
            b.set(difference, f32x4.sub(f32x4.splatAt(aAt, 4 * m * rowWidth), key));
            b.set(high[m], f32x4.max(high[m], difference));
            b.set(low[m], f32x4.min(low[m], difference));
          }
          b.set(aAt, i32.add(aAt, 4));
          b.set(bAt, i32.add(bAt, 32));
        });
        const to = b.let("to", i32.add(cStart, i32.mul(i32.add(i32.mul(row, tileKeys), column), 4)));
        for (const m of members) b.store(to, f32x4.sub(high[m], low[m]), 4 * tileKeys * m);
        b.set(aRow, i32.add(aRow, 4 * rowsPerTile * rowWidth));
      });
    });
  });
}

/** Pulls the gradients G of one segment's tile back to queries and keys. */
export interface PullBack {
  readonly functions: readonly WasmFunction[];
  /** Adds to dq (rows) and dk (columns), which lie as lifted rows do. */
  readonly emit: (
    b: FunctionBuilder,
    gradient: Value,
    places: {
      readonly query: Value;
      readonly key: Value;
      readonly queryGradient: Value;
      readonly keyGradient: Value;
    },
    rows: Value,
    columns: Value,
  ) => void;
}

export function pullBack(segment: Segment, index: number, { rowWidth, relaxed }: KernelSpec): PullBack {
  if (segment.inner === "range") return rangePullBack(segment, index, rowWidth, relaxed);
  const toQuery = { a: { row: tileKeys, step: 1 }, c: { row: rowWidth } };
  const toKey = { a: { row: 1, step: tileKeys }, c: { row: rowWidth } };
  const at = 4 * segment.offset;
  if (segment.inner === "l1") {
    const byQuery = signFunction(
      `signQuery${index}`,
      "dq_i += Σ_j G_ij·sign(q_i − k_j)",
      segment,
      toQuery.a,
      rowWidth,
      relaxed,
    );
    const byKey = signFunction(
      `signKey${index}`,
      "dk_j += Σ_i G_ij·sign(k_j − q_i)",
      segment,
      toKey.a,
      rowWidth,
      relaxed,
    );
    return {
      functions: [byQuery, byKey],
      emit(b, gradient, { query, key, queryGradient, keyGradient }, rows, columns) {
        b.call(
          byQuery,
          gradient,
          i32.add(key, at),
          i32.add(queryGradient, at),
          i32.add(query, at),
          rows,
          columns,
        );
        b.call(
          byKey,
          gradient,
          i32.add(query, at),
          i32.add(keyGradient, at),
          i32.add(key, at),
          columns,
          rows,
        );
      },
    };
  }
  const shape = {
    b: { step: rowWidth, panel: 8 },
    steps: "given",
    columns: segment.paddedWidth,
    start: "add",
    step: "multiply",
  } as const;
  const byQuery = tileProduct(relaxed, {
    name: `queryGradient${index}`,
    comment: "dq_i += Σ_j G_ij·k_j",
    ...toQuery,
    ...shape,
  });
  const byKey = tileProduct(relaxed, {
    name: `keyGradient${index}`,
    comment: "dk_j += Σ_i G_ij·q_i",
    ...toKey,
    ...shape,
  });
  return {
    functions: [byQuery, byKey],
    emit(b, gradient, { query, key, queryGradient, keyGradient }, rows, columns) {
      b.call(byQuery, gradient, i32.add(key, at), i32.add(queryGradient, at), rows, 0, columns, 0);
      b.call(byKey, gradient, i32.add(query, at), i32.add(keyGradient, at), columns, 0, rows, 0);
    },
  };
}

/** `name(g, others, c, own, rows, steps)`: c_m += Σ_k g_mk·sign(own_m − others_k), sign(0) = 0; eight coordinates at a time. */
function signFunction(
  name: string,
  comment: string,
  { paddedWidth }: Segment,
  gradient: { readonly row: number; readonly step: number },
  rowWidth: number,
  relaxed: boolean,
): WasmFunction {
  return defineFunction(
    name,
    comment,
    ["g", "others", "c", "own", "rows", "steps"],
    relaxed,
    (b, g, others, c, own, rows, steps) => {
      const [d, row, k, gAt, otherAt] = ["d", "row", "k", "gAt", "otherAt"].map((local) =>
        b.local("i32", local),
      );
      const sums = [0, 1, 2, 3].map((m) => b.local("v128", `sum${m}`));
      const held = [0, 1, 2, 3].map((m) => b.local("v128", `own${m}`));
      const difference = b.local("v128", "difference");
      b.for(d, 0, 4 * paddedWidth, 16, () => {
        b.for(row, 0, rows, 4, () => {
          const place = b.let("place", i32.add(i32.mul(row, 4 * rowWidth), d));
          const to = b.let("to", i32.add(c, place));
          const from = b.let("from", i32.add(own, place));
          for (let m = 0; m < 4; m++) {
            b.set(sums[m], f32x4.load(to, 4 * m * rowWidth));
            b.set(held[m], f32x4.load(from, 4 * m * rowWidth));
          }
          b.set(gAt, i32.add(g, i32.mul(row, 4 * gradient.row)));
          b.set(otherAt, i32.add(others, d));
          b.for(k, 0, steps, 1, () => {
            const other = b.let("other", f32x4.load(otherAt));
            for (let m = 0; m < 4; m++) {
              b.set(difference, f32x4.sub(held[m], other));
              const signed = f32x4.xor(
                f32x4.splatAt(gAt, 4 * m * gradient.row),
                f32x4.and(difference, f32x4.bits(0x80000000)),
              );
              b.set(
                sums[m],
                f32x4.add(sums[m], f32x4.and(signed, f32x4.notEqual(difference, f32x4.constant(0)))),
              );
            }
            b.set(gAt, i32.add(gAt, 4 * gradient.step));
            b.set(otherAt, i32.add(otherAt, 4 * rowWidth));
          });
          for (let m = 0; m < 4; m++) b.store(to, sums[m], 4 * m * rowWidth);
        });
      });
    },
  );
}

/** The gradient of a pair goes to the first coordinates that attain the largest and the smallest difference. */
function rangePullBack(
  { offset, width }: Segment,
  index: number,
  rowWidth: number,
  relaxed: boolean,
): PullBack {
  const definition = defineFunction(
    `rangeGradient${index}`,
    "dq_i[d] ± G_ij, dk_j[d] ∓ G_ij at the extremes d of q_i − k_j",
    ["g", "query", "key", "queryGradient", "keyGradient", "rows", "columns"],
    relaxed,
    (b, g, query, key, queryGradient, keyGradient, rows, columns) => {
      const [row, column, d] = ["row", "column", "d"].map((local) => b.local("i32", local));
      const [high, low] = ["high", "low"].map((local) => b.local("v128", local));
      const [highAt, lowAt] = ["highAt", "lowAt"].map((local) => b.local("v128", local));
      const difference = b.local("v128", "difference");
      const better = b.local("v128", "better");
      b.for(row, 0, rows, 1, () => {
        const queryRow = b.let("queryRow", i32.mul(row, 4 * rowWidth));
        b.for(column, 0, columns, 4, () => {
          const keyRow = b.let("keyRow", i32.mul(column, 4 * rowWidth));
          b.set(high, f32x4.constant(-Infinity));
          b.set(low, f32x4.constant(Infinity));
          const queryAt = b.let("queryAt", i32.add(query, queryRow));
          const keyAt = b.let("keyAt", i32.add(key, keyRow));
          b.for(d, 0, width, 1, () => {
            const place = b.let("place", i32.mul(d, 4));
            const at = b.let("at", i32.add(keyAt, place));
            const four = [0, 1, 2, 3].map((lane) =>
              b.let(`key${lane}`, f32x4.splatAt(at, 4 * lane * rowWidth)),
            );
            const keys = f32x4.shuffle(
              f32x4.shuffle(four[0], four[1], [0, 4, 0, 4]),
              f32x4.shuffle(four[2], four[3], [0, 4, 0, 4]),
              [0, 1, 4, 5],
            );
            b.set(difference, f32x4.sub(f32x4.splatAt(i32.add(queryAt, place)), keys));
            const here = b.let("here", f32x4.splatInteger(place));
            b.set(better, f32x4.greater(difference, high));
            b.set(high, f32x4.select(difference, high, better));
            b.set(highAt, f32x4.select(here, highAt, better));
            b.set(better, f32x4.less(difference, low));
            b.set(low, f32x4.select(difference, low, better));
            b.set(lowAt, f32x4.select(here, lowAt, better));
          });
          const gradients = b.let(
            "gradients",
            i32.add(g, i32.mul(i32.add(i32.mul(row, tileKeys), column), 4)),
          );
          for (let lane = 0; lane < 4; lane++) {
            const one = b.let("one", f32x4.splatAt(gradients, 4 * lane));
            const keyLane = b.let("keyLane", i32.add(keyGradient, i32.add(keyRow, 4 * lane * rowWidth)));
            const queryLane = b.let("queryLane", i32.add(queryGradient, queryRow));
            scatter(b, i32.add(queryLane, i32x4.lane(highAt, lane)), one, 1);
            scatter(b, i32.add(queryLane, i32x4.lane(lowAt, lane)), one, -1);
            scatter(b, i32.add(keyLane, i32x4.lane(highAt, lane)), one, -1);
            scatter(b, i32.add(keyLane, i32x4.lane(lowAt, lane)), one, 1);
          }
        });
      });
    },
  );
  return {
    functions: [definition],
    emit(b, gradient, places, rows, columns) {
      const at = (place: Value): Value => i32.add(place, 4 * offset);
      const { query, key, queryGradient, keyGradient } = places;
      b.call(definition, gradient, at(query), at(key), at(queryGradient), at(keyGradient), rows, columns);
    },
  };
}

/** Adds ± the first lane of a vector to one number. */
export function scatter(b: FunctionBuilder, address: Value, amount: Value, sign: 1 | -1): void {
  const to: Local = b.let("to", address);
  const before = f32x4.splatAt(to);
  b.storeLane(to, sign === 1 ? f32x4.add(before, amount) : f32x4.sub(before, amount), 0);
}
