/**
 * @file The three phases of a recurrence over chunks: what a chunk writes into a state (all chunks at once), the scan of
 * states over chunks (columns of a head at once), and what a chunk reads from its state and from itself.
 *
 *     W = (I − A)⁻¹ b̂,  Y = (I − A)⁻¹ P_bk v,   c = W·M + Y,   M' = Γ⊙M + ǎᵀc + ǩᵀv,   o = q̂·M + P_qa c + P_qk v
 */
import {
  defineFunction,
  f32x4,
  type FunctionBuilder,
  i32,
  type Local,
  type Value,
  type WasmFunction,
} from "../assembler/assembler.ts";
import { type Reader, type Writer, weighPairs } from "./pairs.ts";
import { clear, copy, type Sight } from "./scaling.ts";
import { chunkTokens, extentsOf, field, type RecurrenceField } from "./spec.ts";
import { type TaskCode } from "./task-code.ts";

/** Rows scaled by decays into a place, or the rows themselves where there are none. */
export function scaledRows(
  b: FunctionBuilder,
  { spec, scalings }: TaskCode,
  rows: Local,
  { to, decay, sight }: { readonly to: Value; readonly decay: Local; readonly sight: Sight },
): Local {
  if (spec.core.decay === "none") return rows;
  const target = b.let("scaledRows", to);
  b.call(scalings.set[sight], rows, target, decay, chunkTokens);
  return target;
}

/** Reads fields of a record once. */
export const fieldsOf =
  (b: FunctionBuilder, record: Local) =>
  (name: RecurrenceField): Local =>
    b.let(name, field(record, name));

export function forwardTasks(code: TaskCode): readonly WasmFunction[] {
  return [writeChunk(code), scan(code), readChunk(code)];
}

function writeChunk(code: TaskCode): WasmFunction {
  const { spec, layout, products, scalings, solve } = code;
  const { width, columns, state } = extentsOf(spec);
  const { core, relaxed } = spec;
  const comment = "M' = ǩᵀv of a chunk, and its readers, writers and corrections of an empty state";
  return defineFunction("writeChunk", comment, ["record", "scratch"], relaxed, (b, record, scratch) => {
    const get = fieldsOf(b, record);
    const [k, v, decay, to] = [get("k"), get("v"), get("decay"), get("state")];
    const scaled = scaledRows(b, code, k, { to: i32.add(scratch, layout.scaled.k), decay, sight: "until" });
    clear(b, to, 4 * state);
    b.call(products.writeState, scaled, v, to, width, columns, chunkTokens, 0);
    if (!core.correction) return;
    const [a, reads] = [get("a"), get("b")];
    const reader: Reader = { name: "b", rows: reads, sight: "before" };
    const writers: readonly Writer[] = [
      { name: "k", rows: k },
      { name: "a", rows: a },
    ];
    weighPairs(b, code, { readers: [reader], writers, decay }, scratch);
    const corrections = get("corrections");
    clear(b, corrections, 4 * chunkTokens * columns);
    b.call(products.values.lower, i32.add(scratch, layout.pairs.bk), v, corrections);
    const kept = get("reader");
    if (core.decay === "none") copy(b, reads, kept, 4 * chunkTokens * width);
    else {
      b.call(scalings.set.before, reads, kept, decay, chunkTokens);
      b.call(scalings.set.until, a, get("writer"), decay, chunkTokens);
    }
    const pairs = b.let("system", i32.add(scratch, layout.pairs.ba));
    b.call(solve.values, pairs, corrections);
    b.call(solve.keys, pairs, kept);
  });
}

/** Also the scan of gradients, backward: G' = Γ⊙G + b̂ᵀdc + q̂ᵀdo with dc = V·G + what it was. */
function scan(code: TaskCode): WasmFunction {
  const { spec, products } = code;
  const { width, columns, state } = extentsOf(spec);
  const { core, relaxed } = spec;
  const comment = "M' += Γ⊙M + ǎᵀc with c += W·M, chunk after chunk, of some columns";
  return defineFunction("scan", comment, ["record", "scratch"], relaxed, (b, record) => {
    const get = fieldsOf(b, record);
    const [from, total, count, some, direction] = [
      get("state"),
      get("total"),
      get("count"),
      get("columns"),
      get("direction"),
    ];
    const correcting = core.correction
      ? { reader: get("reader"), writer: get("writer"), rows: get("corrections") }
      : undefined;
    const [chunk, row, column] = ["chunk", "row", "column"].map((name) => b.local("i32", name));
    const stateStep = b.let("stateStep", i32.mul(direction, 4 * state));
    const totalStep = b.let("totalStep", i32.mul(direction, 4 * width));
    const bytes = b.let("bytes", i32.mul(some, 4));
    b.for(chunk, 0, count, 1, () => {
      const to = b.let("to", i32.add(from, stateStep));
      if (correcting !== undefined) {
        b.call(products.readState, correcting.reader, from, correcting.rows, chunkTokens, some, 0, 0);
      }
      const [fromRow, toRow, factorAt] = [
        b.let("fromRow", from),
        b.let("toRow", to),
        b.let("factorAt", total),
      ];
      b.for(row, 0, width, 1, () => {
        const factor = core.decay === "none" ? undefined : b.let("factor", f32x4.splatAt(factorAt));
        b.for(column, 0, bytes, 16, () => {
          const place = b.let("place", i32.add(toRow, column));
          const old = f32x4.load(i32.add(fromRow, column));
          const added = f32x4.load(place);
          b.store(place, factor === undefined ? f32x4.add(added, old) : b.madd(factor, old, added));
        });
        b.set(fromRow, i32.add(fromRow, 4 * columns));
        b.set(toRow, i32.add(toRow, 4 * columns));
        b.set(factorAt, i32.add(factorAt, 4));
      });
      if (correcting !== undefined) {
        const { reader, writer, rows } = correcting;
        b.call(products.writeState, writer, rows, to, width, some, chunkTokens, 0);
        for (const [place, extent] of [
          [reader, width],
          [writer, width],
          [rows, columns],
        ] as const) {
          b.set(place, i32.add(place, i32.mul(direction, 4 * chunkTokens * extent)));
        }
      }
      b.set(from, to);
      b.set(total, i32.add(total, totalStep));
    });
  });
}

function readChunk(code: TaskCode): WasmFunction {
  const { spec, layout, products, own } = code;
  const { columns } = extentsOf(spec);
  const { core, relaxed } = spec;
  const sight = core.read === "after" ? "after" : "before";
  const comment = "o = q̂·M + P_qa c + P_qk v of a chunk";
  return defineFunction("readChunk", comment, ["record", "scratch"], relaxed, (b, record, scratch) => {
    const get = fieldsOf(b, record);
    const [q, k, v, decay, state, out] = [
      get("q"),
      get("k"),
      get("v"),
      get("decay"),
      get("state"),
      get("out"),
    ];
    const scaled = scaledRows(b, code, q, { to: i32.add(scratch, layout.scaled.q), decay, sight });
    clear(b, out, 4 * chunkTokens * columns);
    b.call(products.readState, scaled, state, out, chunkTokens, columns, 0, 0);
    const writers: Writer[] = [{ name: "k", rows: k }];
    if (core.correction) writers.push({ name: "a", rows: get("a") });
    weighPairs(b, code, { readers: [{ name: "q", rows: q, sight }], writers, decay }, scratch);
    const pairs = b.let("pairs", i32.add(scratch, layout.pairs.qk));
    if (core.read === "bonus") b.call(own.weights, q, k, get("u"), pairs);
    b.call(products.values.lower, pairs, v, out);
    if (core.correction) {
      b.call(products.values.lower, i32.add(scratch, layout.pairs.qa), get("corrections"), out);
    }
    if (core.normalised) divideRows(b, code, out, get("rows"));
    b.call(code.noteFinite, out, 4 * chunkTokens * columns, get("to"));
  });
}

/** Rows over the sum in their last column, which stays there with epsilon added. */
function divideRows(b: FunctionBuilder, { spec }: TaskCode, out: Local, rows: Local): void {
  const { columns } = extentsOf(spec);
  const { valueWidth, core } = spec;
  const [row, column] = [b.local("i32", "row"), b.local("i32", "column")];
  const at = b.let("at", out);
  b.for(row, 0, rows, 1, () => {
    const sum = f32x4.splatAt(at, 4 * valueWidth);
    const divisor = b.let("divisor", f32x4.add(sum, f32x4.constant(core.epsilon)));
    b.for(column, 0, 4 * columns, 16, () => {
      const place = b.let("place", i32.add(at, column));
      b.store(place, f32x4.div(f32x4.load(place), divisor));
    });
    b.storeLane(at, divisor, 0, 4 * valueWidth);
    b.set(at, i32.add(at, 4 * columns));
  });
}
