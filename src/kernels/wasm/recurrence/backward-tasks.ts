/**
 * @file The phases of the backward pass around its scan: what a chunk's outputs ask of its state, and, once the gradients
 * of all states are there, the gradients of everything that a chunk was given. Pairs are computed again.
 *
 *     V = (I − Aᵀ)⁻¹ ǎ,   dc = V·G + (I − Aᵀ)⁻¹ P_qaᵀ dO,   G' = Γ⊙G + b̂ᵀdc + q̂ᵀdO
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
import { decayGradients } from "./decay-gradient.ts";
import { fieldsOf, scaledRows } from "./forward-tasks.ts";
import { pullPairs, type Reader, weighPairs, type Writer } from "./pairs.ts";
import { clear, copy, decayRowBytes, type Sight } from "./scaling.ts";
import { blockTokens, chunkTokens, extentsOf, type PairName } from "./spec.ts";
import { type TaskCode } from "./task-code.ts";

export function backwardTasks(code: TaskCode): readonly WasmFunction[] {
  return [chunkStateGradient(code), chunkGradients(code)];
}

const readSight = ({ spec }: TaskCode): "after" | "before" =>
  spec.core.read === "after" ? "after" : "before";

function chunkStateGradient(code: TaskCode): WasmFunction {
  const { spec, layout, products, scalings, solve } = code;
  const { width, columns, state } = extentsOf(spec);
  const { core, relaxed } = spec;
  const sight = readSight(code);
  const comment = "q̂ᵀdO of a chunk, and its readers, writers and gradients of corrections of an empty state";
  return defineFunction(
    "chunkStateGradient",
    comment,
    ["record", "scratch"],
    relaxed,
    (b, record, scratch) => {
      const get = fieldsOf(b, record);
      const [q, decay, outGradient, to] = [get("q"), get("decay"), get("outGradient"), get("state")];
      if (core.normalised) pullDivision(b, code, outGradient, get("out"), get("rows"));
      const scaled = scaledRows(b, code, q, { to: i32.add(scratch, layout.scaled.q), decay, sight });
      clear(b, to, 4 * state);
      b.call(products.writeState, scaled, outGradient, to, width, columns, chunkTokens, 0);
      if (!core.correction) return;
      const [a, reads] = [get("a"), get("b")];
      const readers: readonly Reader[] = [
        { name: "q", rows: q, sight },
        { name: "b", rows: reads, sight: "before" },
      ];
      weighPairs(b, code, { readers, writers: [{ name: "a", rows: a }], decay }, scratch);
      const gradient = get("correctionGradient");
      clear(b, gradient, 4 * chunkTokens * columns);
      b.call(products.values.upper, i32.add(scratch, layout.pairs.qa), outGradient, gradient);
      const kept = get("reader");
      if (core.decay === "none") copy(b, a, kept, 4 * chunkTokens * width);
      else {
        b.call(scalings.set.until, a, kept, decay, chunkTokens);
        b.call(scalings.set.before, reads, get("writer"), decay, chunkTokens);
      }
      const pairs = b.let("system", i32.add(scratch, layout.pairs.ba));
      b.call(solve.valuesBack, pairs, gradient);
      b.call(solve.keysBack, pairs, kept);
    },
  );
}

/** The gradient by numerators and their sum, from the rows that were divided and their divisor beside them. */
function pullDivision(
  b: FunctionBuilder,
  { spec }: TaskCode,
  gradient: Local,
  out: Local,
  rows: Local,
): void {
  const { columns } = extentsOf(spec);
  const [row, column] = [b.local("i32", "row"), b.local("i32", "column")];
  const along = b.local("v128", "along");
  const [gradientAt, outAt] = [b.let("gradientAt", gradient), b.let("outAt", out)];
  const divisorPlace = 4 * spec.valueWidth;
  b.for(row, 0, rows, 1, () => {
    const divisor = b.let("divisor", f32x4.splatAt(outAt, divisorPlace));
    b.set(along, f32x4.constant(0));
    b.for(column, 0, 4 * columns, 16, () => {
      const place = b.let("place", i32.add(gradientAt, column));
      const share = b.let("share", f32x4.div(f32x4.load(place), divisor));
      b.store(place, share);
      b.set(along, b.madd(share, f32x4.load(i32.add(outAt, column)), along));
    });
    b.storeLane(gradientAt, f32x4.neg(b.sumLanes(along)), 0, divisorPlace);
    b.set(gradientAt, i32.add(gradientAt, 4 * columns));
    b.set(outAt, i32.add(outAt, 4 * columns));
  });
}

function chunkGradients(code: TaskCode): WasmFunction {
  const { spec, layout, products, pack, own } = code;
  const { width, columns, state } = extentsOf(spec);
  const { core, relaxed } = spec;
  const sight = readSight(code);
  const hasDecay = core.decay !== "none";
  const comment = "the gradients of everything that a chunk was given";
  return defineFunction("chunkGradients", comment, ["record", "scratch"], relaxed, (b, record, scratch) => {
    const get = fieldsOf(b, record);
    const [q, k, v, decay, outGradient] = (["q", "k", "v", "decay", "outGradient"] as const).map(get);
    const [state0, stateGradient, vGradient] = (["state", "stateGradient", "vGradient"] as const).map(get);
    const readers: Reader[] = [{ name: "q", rows: q, sight, gradient: get("qGradient") }];
    const writers: Writer[] = [{ name: "k", rows: k, gradient: get("kGradient") }];
    const [corrections, correctionGradient] = core.correction
      ? [get("corrections"), get("correctionGradient")]
      : [];
    if (core.correction) {
      readers.push({ name: "b", rows: get("b"), sight: "before", gradient: get("bGradient") });
      writers.push({ name: "a", rows: get("a"), gradient: get("aGradient") });
    }
    const gradientOf = { q: outGradient, b: correctionGradient };
    const valueOf = { k: v, a: corrections };
    const placeOf = (name: PairName): Value => i32.add(scratch, layout.pairs[name]);
    const gradientPlaceOf = (name: PairName): Value => i32.add(scratch, layout.pairGradients[name]);

    b.comment("dv = P_qkᵀ dO + P_bkᵀ dc + ǩ·G");
    weighPairs(b, code, { readers, writers: writers.slice(0, 1), decay }, scratch);
    if (core.read === "bonus") b.call(own.weights, q, k, get("u"), placeOf("qk"));
    clear(b, vGradient, 4 * chunkTokens * columns);
    for (const { name } of readers) {
      b.call(products.values.upper, placeOf(`${name}k`), gradientOf[name]!, vGradient);
    }
    const scaled = scaledRows(b, code, k, { to: i32.add(scratch, layout.scaled.k), decay, sight: "until" });
    b.call(products.readState, scaled, stateGradient, vGradient, chunkTokens, columns, 0, 0);

    b.comment("dP = dO·vᵀ, dO·cᵀ, dc·vᵀ, dc·cᵀ");
    const packed = b.let("packed", i32.add(scratch, layout.packedValues));
    const block = b.local("i32", "block");
    for (const writer of writers) {
      b.call(pack.values, valueOf[writer.name]!, packed, chunkTokens);
      for (const reader of readers) {
        const to = b.let("to", gradientPlaceOf(`${reader.name}${writer.name}`));
        b.for(block, 0, chunkTokens, blockTokens, () => {
          b.call(
            products.valuePairs,
            i32.add(gradientOf[reader.name]!, i32.mul(block, 4 * columns)),
            packed,
            i32.add(to, i32.mul(block, 4 * chunkTokens)),
            blockTokens,
            i32.add(block, blockTokens),
            0,
            0,
          );
        });
      }
    }

    b.comment("through the state before the chunk, and through the one after it");
    const packedState = b.let("packedState", i32.add(scratch, layout.packedState));
    const sum = b.let("sum", i32.add(scratch, layout.sum));
    const pull = (rows: Local, to: Local, through: Sight): void => {
      const target = hasDecay ? sum : to;
      b.call(products.pullState, rows, packedState, target, chunkTokens, width, 0, 0);
      if (hasDecay) b.call(code.scalings.set[through], sum, to, decay, chunkTokens);
    };
    b.call(pack.values, state0, packedState, width);
    for (const { name, gradient, sight: through } of readers) pull(gradientOf[name]!, gradient!, through);
    b.call(pack.values, stateGradient, packedState, width);
    for (const { name, gradient } of writers) pull(valueOf[name]!, gradient!, "until");

    const ownPairs = (): void => {
      const bonus = core.read === "bonus" ? [get("u"), get("uGradient")] : [0, 0];
      if (core.read === "bonus") clear(b, bonus[1] as Local, 4 * width);
      for (const writer of core.read === "bonus" ? writers.slice(0, 1) : writers) {
        const pairs = gradientPlaceOf(`q${writer.name}`);
        b.call(own.gradients, q, writer.rows, pairs, readers[0].gradient!, writer.gradient!, ...bonus);
      }
    };
    if (!hasDecay && core.read === "bonus") ownPairs();
    pullPairs(b, code, { readers, writers, decay }, scratch);
    const note = (): void => {
      for (const { gradient } of [...readers, ...writers]) {
        b.call(code.noteFinite, gradient!, 4 * chunkTokens * width, get("to"));
      }
      b.call(code.noteFinite, vGradient, 4 * chunkTokens * columns, get("to"));
    };
    if (!hasDecay) {
      note();
      return;
    }
    const next = b.let("nextState", i32.add(state0, 4 * state));
    decayGradients(b, code, {
      readers,
      writers,
      state: next,
      stateGradient,
      to: get("decayGradient"),
      scratch,
    });
    ownPairs();
    b.call(code.noteFinite, get("decayGradient"), chunkTokens * decayRowBytes(spec), get("to"));
    note();
  });
}
