/** @file The matrix products of a recurrence, all on the register tile of attention. */
import { defineFunction, i32, type WasmFunction } from "../assembler/assembler.ts";
import { type TileProduct, tileProduct } from "../assembler/micro-kernel.ts";
import { blockTokens, chunkTokens, type Extents, extentsOf, type RecurrenceSpec } from "./spec.ts";

/** Products by what they are for; parameters (left, right, to, rows, columns, steps, 0) unless said otherwise. */
export interface Products {
  /** to = X·Yᵀ, Y in panels. */
  readonly pairs: WasmFunction;
  /** to = dO·Vᵀ, V in panels. */
  readonly valuePairs: WasmFunction;
  /** to += X·M */
  readonly readState: WasmFunction;
  /** to += Xᵀ·V */
  readonly writeState: WasmFunction;
  /** to = dO·Mᵀ, M in panels of eight of its rows. */
  readonly pullState: WasmFunction;
  /** to += P·V and to += Pᵀ·V, of rows of E'. */
  readonly values: Triangle;
  /** The same of rows of D'. */
  readonly keys: Triangle;
  readonly functions: readonly WasmFunction[];
}

/** Products with pairs, whose upper triangle is nothing. */
export interface Triangle {
  /** to += P·V */
  readonly rows: WasmFunction;
  /** to += Pᵀ·V */
  readonly transposed: WasmFunction;
  /** `(pairs, right, to)`: all of a chunk's rows, of which each block sees those before it and itself. */
  readonly lower: WasmFunction;
  readonly upper: WasmFunction;
}

const pairRow = 4 * chunkTokens;

export function recurrenceProducts(spec: RecurrenceSpec): Products {
  const { relaxed } = spec;
  const extents: Extents = extentsOf(spec);
  const { width, columns } = extents;
  const product = (
    name: string,
    comment: string,
    shape: Pick<TileProduct, "a" | "b" | "steps" | "start"> & { readonly row: number },
  ): WasmFunction =>
    tileProduct(relaxed, {
      name,
      comment,
      ...shape,
      columns: "given",
      c: { row: shape.row },
      step: "multiply",
    });
  const rowsOf = (extent: number): TileProduct["a"] => ({ row: extent, step: 1 });
  const columnsOf = (extent: number): TileProduct["a"] => ({ row: 1, step: extent });
  const panelsOf = (extent: number): TileProduct["b"] => ({ step: 8, panel: 8 * extent });
  const plain = (extent: number): TileProduct["b"] => ({ step: extent, panel: 8 });
  const triangle = (suffix: string, extent: number): Triangle => {
    const shape = { b: plain(extent), steps: "given", start: "add", row: extent } as const;
    const rows = product(`weigh${suffix}`, "to += P·x", { ...shape, a: rowsOf(chunkTokens) });
    const transposed = product(`weighBack${suffix}`, "to += Pᵀ·x", { ...shape, a: columnsOf(chunkTokens) });
    return {
      rows,
      transposed,
      lower: defineFunction(
        `lower${suffix}`,
        "to += P·x, P nothing above its diagonal",
        ["pairs", "right", "to"],
        relaxed,
        (b, pairs, right, to) => {
          const row = b.local("i32", "row");
          b.for(row, 0, chunkTokens, blockTokens, () => {
            b.call(
              rows,
              i32.add(pairs, i32.mul(row, pairRow)),
              right,
              i32.add(to, i32.mul(row, 4 * extent)),
              blockTokens,
              extent,
              i32.add(row, blockTokens),
              0,
            );
          });
        },
      ),
      upper: defineFunction(
        `upper${suffix}`,
        "to += Pᵀ·x, P nothing above its diagonal",
        ["pairs", "right", "to"],
        relaxed,
        (b, pairs, right, to) => {
          const row = b.local("i32", "row");
          b.for(row, 0, chunkTokens, blockTokens, () => {
            const place = b.let("place", i32.mul(row, 4 * extent));
            b.call(
              transposed,
              i32.add(pairs, i32.mul(row, pairRow + 4)),
              i32.add(right, place),
              i32.add(to, place),
              blockTokens,
              extent,
              i32.sub(chunkTokens, row),
              0,
            );
          });
        },
      ),
    };
  };
  const pairs = product("pairs", "P = X·Yᵀ, Y in panels", {
    a: rowsOf(width),
    b: panelsOf(width),
    steps: width,
    start: "zero",
    row: chunkTokens,
  });
  const valuePairs = product("valuePairs", "P = X·Yᵀ of rows of values, Y in panels", {
    a: rowsOf(columns),
    b: panelsOf(columns),
    steps: columns,
    start: "zero",
    row: chunkTokens,
  });
  const readState = product("readState", "o += X·M", {
    a: rowsOf(width),
    b: plain(columns),
    steps: width,
    start: "add",
    row: columns,
  });
  const writeState = product("writeState", "M += Xᵀ·v", {
    a: columnsOf(width),
    b: plain(columns),
    steps: "given",
    start: "add",
    row: columns,
  });
  const pullState = product("pullState", "X = dO·Mᵀ, rows of M in panels", {
    a: rowsOf(columns),
    b: panelsOf(columns),
    steps: columns,
    start: "zero",
    row: width,
  });
  const [values, keys] = [triangle("Values", columns), triangle("Keys", width)];
  return {
    pairs,
    valuePairs,
    readState,
    writeState,
    pullState,
    values,
    keys,
    functions: [
      pairs,
      valuePairs,
      readState,
      writeState,
      pullState,
      ...[values, keys].flatMap(({ rows, transposed, lower, upper }) => [rows, transposed, lower, upper]),
    ],
  };
}
