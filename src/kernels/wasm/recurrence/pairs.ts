/**
 * @file The pairs of a chunk, P_ij = Σ_d x_i y_j e^{L_i − L_j} for j before i, and the gradients that go back through them.
 *
 * Without decay a chunk's pairs are one product. With decay the lower triangle is halved until blocks of eight are left:
 * rows of a later half are scaled by the decays since its start, those of the earlier half by the decays until there, and
 * their pairs are a product again. On the diagonal a factor of its own follows every pair.
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
import { packRows, transposed } from "../attention/preparation-kernel.ts";
import { type Products } from "./products.ts";
import { clear, decayAt, decayRowBytes, decayStep, type Scalings } from "./scaling.ts";
import {
  blockTokens,
  chunkTokens,
  extentsOf,
  type PairName,
  type RecurrenceScratch,
  type RecurrenceSpec,
} from "./spec.ts";

/** Whether row i sees what token i itself has written. */
export type PairSight = "after" | "before";

/** Rows that read the state. */
export interface Reader {
  readonly name: "q" | "b";
  readonly rows: Local;
  readonly sight: PairSight;
  readonly gradient?: Local;
}

/** Rows that write it. */
export interface Writer {
  readonly name: "k" | "a";
  readonly rows: Local;
  readonly gradient?: Local;
}

/** What tasks emit pairs with. */
export interface PairCode {
  readonly spec: RecurrenceSpec;
  readonly layout: RecurrenceScratch;
  readonly products: Products;
  readonly scalings: Scalings;
  readonly pack: { readonly keys: WasmFunction; readonly values: WasmFunction };
  readonly blocks: Readonly<Record<PairSight, BlockCode>>;
  readonly own: { readonly weights: WasmFunction; readonly gradients: WasmFunction };
}

/** What is done on the diagonal. */
interface BlockCode {
  /** Without decay: `mask(pairs)` sets what is no pair to 0. */
  readonly mask: WasmFunction;
  /** With decay: `weigh(x, y, decay, pairs)` and `pull(x, y, decay, pairs, dx, dy)` of one block. */
  readonly weigh: WasmFunction;
  readonly pull: WasmFunction;
}

const pairRow = 4 * chunkTokens;
const places = Array.from({ length: blockTokens }, (_, place) => place);

/** `pack(from, to, rows)` */
export function packing(name: string, width: number, relaxed: boolean): WasmFunction {
  return defineFunction(
    name,
    "eight rows side by side",
    ["from", "to", "rows"],
    relaxed,
    (b, from, to, rows) => packRows(b, width, { from, to, rows }),
  );
}

export const blockCode = (spec: RecurrenceSpec, sight: PairSight): BlockCode => ({
  mask: maskBlocks(spec, sight),
  weigh: weighBlock(spec, sight),
  pull: pullBlock(spec, sight),
});

/** Whether token j is a pair of token i of the same block. */
const isPair = (sight: PairSight, i: number, j: number): boolean => (sight === "after" ? j <= i : j < i);

/** Fills the pairs of all readers and writers. */
export function weighPairs(
  b: FunctionBuilder,
  code: PairCode,
  call: { readonly readers: readonly Reader[]; readonly writers: readonly Writer[]; readonly decay: Local },
  scratch: Value,
): void {
  const { spec, layout, products, pack, blocks } = code;
  const { readers, writers, decay } = call;
  const rowBytes = 4 * extentsOf(spec).width;
  const packed = i32.add(scratch, layout.packedKeys);
  const placeOf = (x: Reader, y: Writer): Value => i32.add(scratch, layout.pairs[`${x.name}${y.name}`]);
  const block = b.local("i32", "block");
  if (spec.core.decay === "none") {
    for (const y of writers) {
      b.call(pack.keys, y.rows, packed, chunkTokens);
      for (const x of readers) {
        const pairs = b.let("pairs", placeOf(x, y));
        b.for(block, 0, chunkTokens, blockTokens, () => {
          const rows = i32.add(x.rows, i32.mul(block, rowBytes));
          const to = i32.add(pairs, i32.mul(block, pairRow));
          b.call(products.pairs, rows, packed, to, blockTokens, i32.add(block, blockTokens), 0, 0);
        });
        b.call(blocks[x.sight].mask, pairs);
      }
    }
    return;
  }
  forHalves(b, spec, decay, (half, at) => {
    scaleHalves(b, code, call, scratch, half, at);
    for (const y of writers) {
      b.call(pack.keys, i32.add(scratch, layout.scaled[y.name]), packed, half);
      for (const x of readers) {
        const to = i32.add(placeOf(x, y), at.pair);
        b.call(products.pairs, i32.add(scratch, layout.scaled[x.name]), packed, to, half, half, 0, 0);
      }
    }
  });
  forBlocks(b, spec, decay, (at) => {
    for (const x of readers) {
      for (const y of writers) {
        b.call(
          blocks[x.sight].weigh,
          i32.add(x.rows, at.row),
          i32.add(y.rows, at.row),
          at.decay,
          i32.add(placeOf(x, y), at.pair),
        );
      }
    }
  });
}

/** Adds the gradients by the rows of all readers and writers, of pairs of two tokens where there are decays. */
export function pullPairs(
  b: FunctionBuilder,
  code: PairCode,
  call: { readonly readers: readonly Reader[]; readonly writers: readonly Writer[]; readonly decay: Local },
  scratch: Value,
): void {
  const { spec, layout, products, scalings, blocks } = code;
  const { readers, writers, decay } = call;
  const { width } = extentsOf(spec);
  const placeOf = (x: Reader, y: Writer): Value =>
    i32.add(scratch, layout.pairGradients[`${x.name}${y.name}` satisfies PairName]);
  if (spec.core.decay === "none") {
    for (const x of readers) {
      for (const y of writers) {
        const pairs = b.let("pairs", placeOf(x, y));
        b.call(blocks[x.sight].mask, pairs);
        b.call(products.keys.lower, pairs, y.rows, x.gradient!);
        b.call(products.keys.upper, pairs, x.rows, y.gradient!);
      }
    }
    return;
  }
  const sum = b.let("sum", i32.add(scratch, layout.sum));
  const scaledOf = (name: "q" | "b" | "k" | "a"): Value => i32.add(scratch, layout.scaled[name]);
  forHalves(b, spec, decay, (half, at) => {
    scaleHalves(b, code, call, scratch, half, at);
    for (const x of readers) {
      clear(b, sum, 4 * half * width);
      for (const y of writers) {
        const pairs = i32.add(placeOf(x, y), at.pair);
        b.call(products.keys.rows, pairs, scaledOf(y.name), sum, half, width, half, 0);
      }
      b.call(scalings.add[x.sight], sum, i32.add(x.gradient!, at.laterRow), at.laterDecay, half);
    }
    for (const y of writers) {
      clear(b, sum, 4 * half * width);
      for (const x of readers) {
        const pairs = i32.add(placeOf(x, y), at.pair);
        b.call(products.keys.transposed, pairs, scaledOf(x.name), sum, half, width, half, 0);
      }
      b.call(scalings.add.until, sum, i32.add(y.gradient!, at.earlierRow), at.earlierDecay, half);
    }
  });
  forBlocks(b, spec, decay, (at) => {
    for (const x of readers) {
      for (const y of writers) {
        const rows = [x.rows, y.rows].map((address) => i32.add(address, at.row));
        const gradients = [x.gradient!, y.gradient!].map((address) => i32.add(address, at.row));
        b.call(blocks[x.sight].pull, ...rows, at.decay, i32.add(placeOf(x, y), at.pair), ...gradients);
      }
    }
  });
}

/** Byte offsets of a pair of halves: of rows, of decays, and of their pairs. */
interface Halves {
  readonly laterRow: Local;
  readonly laterDecay: Local;
  readonly earlierRow: Local;
  readonly earlierDecay: Local;
  readonly pair: Local;
}

/** Every two halves of 32, 16 and 8 tokens that lie side by side. */
function forHalves(
  b: FunctionBuilder,
  spec: RecurrenceSpec,
  decay: Local,
  body: (half: number, at: Halves) => void,
): void {
  const rowBytes = 4 * extentsOf(spec).width;
  const decayBytes = decayRowBytes(spec);
  const later = b.local("i32", "later");
  for (let half = chunkTokens / 2; half >= blockTokens; half /= 2) {
    b.for(later, half, chunkTokens, 2 * half, () => {
      const earlier = b.let("earlier", i32.sub(later, half));
      body(half, {
        laterRow: b.let("laterRow", i32.mul(later, rowBytes)),
        laterDecay: b.let("laterDecay", i32.add(decay, i32.mul(later, decayBytes))),
        earlierRow: b.let("earlierRow", i32.mul(earlier, rowBytes)),
        earlierDecay: b.let("earlierDecay", i32.add(decay, i32.mul(earlier, decayBytes))),
        pair: b.let("pair", i32.add(i32.mul(later, pairRow), i32.mul(earlier, 4))),
      });
    });
  }
}

function scaleHalves(
  b: FunctionBuilder,
  { layout, scalings }: PairCode,
  { readers, writers }: { readonly readers: readonly Reader[]; readonly writers: readonly Writer[] },
  scratch: Value,
  half: number,
  at: Halves,
): void {
  for (const { name, rows, sight } of readers) {
    const to = i32.add(scratch, layout.scaled[name]);
    b.call(scalings.set[sight], i32.add(rows, at.laterRow), to, at.laterDecay, half);
  }
  for (const { name, rows } of writers) {
    const to = i32.add(scratch, layout.scaled[name]);
    b.call(scalings.set.until, i32.add(rows, at.earlierRow), to, at.earlierDecay, half);
  }
}

/** Every block of the diagonal: byte offsets of its rows and its pairs, and where its decays are. */
function forBlocks(
  b: FunctionBuilder,
  spec: RecurrenceSpec,
  decay: Local,
  body: (at: { readonly row: Local; readonly decay: Local; readonly pair: Local }) => void,
): void {
  const block = b.local("i32", "block");
  b.for(block, 0, chunkTokens, blockTokens, () => {
    body({
      row: b.let("blockRow", i32.mul(block, 4 * extentsOf(spec).width)),
      decay: b.let("blockDecay", i32.add(decay, i32.mul(block, decayRowBytes(spec)))),
      pair: b.let("blockPair", i32.mul(block, pairRow + 4)),
    });
  });
}

function maskBlocks(spec: RecurrenceSpec, sight: PairSight): WasmFunction {
  const name = `mask${sight === "after" ? "After" : "Before"}`;
  return defineFunction(
    name,
    "P_ij = 0 where token i does not see j",
    ["pairs"],
    spec.relaxed,
    (b, pairs) => {
      const block = b.local("i32", "block");
      b.for(block, 0, chunkTokens, blockTokens, () => {
        const at = b.let("at", i32.add(pairs, i32.mul(block, pairRow + 4)));
        for (const i of places) {
          for (const half of [0, 4]) {
            const keeps = [0, 1, 2, 3].map((lane) => (isPair(sight, i, half + lane) ? -1 : 0));
            if (keeps.every((keep) => keep === -1)) continue;
            const offset = pairRow * i + 4 * half;
            const mask = f32x4.lanes(keeps as [number, number, number, number]);
            b.store(at, f32x4.and(f32x4.load(at, offset), mask), offset);
          }
        }
      });
    },
  );
}

/** Locals of the loop over four channels at a time: where x, y and w of a block's first token lie. */
function forChannels(
  b: FunctionBuilder,
  spec: RecurrenceSpec,
  starts: readonly Local[],
  decay: Local,
  body: (at: readonly Local[], w: (row: number) => Value) => void,
): void {
  const column = b.local("i32", "column");
  b.for(column, 0, 4 * extentsOf(spec).width, 16, () => {
    const at = starts.map((start) => b.let("at", i32.add(start, column)));
    const decays = decayStep(spec) === 0 ? decay : b.let("decays", i32.add(decay, column));
    body(at, (row) => decayAt(spec, decays, decayRowBytes(spec) * row));
  });
}

function weighBlock(spec: RecurrenceSpec, sight: PairSight): WasmFunction {
  const rowBytes = 4 * extentsOf(spec).width;
  const name = `weighBlock${sight === "after" ? "After" : "Before"}`;
  const comment = "P_ij = Σ_d x_i y_j Π w of the tokens between, of a block on the diagonal";
  return defineFunction(
    name,
    comment,
    ["x", "y", "decay", "pairs"],
    spec.relaxed,
    (b, x, y, decay, pairs) => {
      const sums = places.map((i) =>
        places.map((j) => (isPair(sight, i, j) ? b.local("v128", `sum${i}${j}`) : undefined)),
      );
      const keys = places.map((j) => b.local("v128", `y${j}`));
      for (const sum of sums.flat()) if (sum !== undefined) b.set(sum, f32x4.constant(0));
      forChannels(b, spec, [x, y], decay, ([xAt, yAt], w) => {
        for (const i of places) {
          const row = b.let("x", f32x4.load(xAt, rowBytes * i));
          const wOfRow = b.let("w", w(i));
          const decayKeys = (): void => {
            for (let j = 0; j < i; j++) b.set(keys[j], f32x4.mul(keys[j], wOfRow));
          };
          if (sight === "after") {
            decayKeys();
            b.set(keys[i], f32x4.load(yAt, rowBytes * i));
          }
          for (const j of places) {
            const sum = sums[i][j];
            if (sum !== undefined) b.set(sum, b.madd(row, keys[j], sum));
          }
          if (sight === "before") {
            decayKeys();
            b.set(keys[i], f32x4.load(yAt, rowBytes * i));
          }
        }
      });
      const zero = b.let("zero", f32x4.constant(0));
      for (const i of places) {
        for (const half of [0, 4]) {
          const four = sums[i].slice(half, half + 4).map((sum) => sum ?? zero);
          const lanes = four.every((sum) => sum === zero) ? [zero] : transposed(b, four);
          b.store(
            pairs,
            lanes.reduce((a, other) => f32x4.add(a, other)),
            pairRow * i + 4 * half,
          );
        }
      }
    },
  );
}

function pullBlock(spec: RecurrenceSpec, sight: PairSight): WasmFunction {
  const rowBytes = 4 * extentsOf(spec).width;
  const name = `pullBlock${sight === "after" ? "After" : "Before"}`;
  const comment = "dx_i += dP_ij y_j Π w and dy_j += dP_ij x_i Π w, j < i, of a block on the diagonal";
  const parameters = ["x", "y", "decay", "pairs", "dx", "dy"];
  return defineFunction(name, comment, parameters, spec.relaxed, (b, x, y, decay, pairs, dx, dy) => {
    const factors = places.map((j) => b.local("v128", `factor${j}`));
    const keyGradients = places.map((j) => b.local("v128", `dy${j}`));
    const rowGradient = b.local("v128", "dxOfRow");
    forChannels(b, spec, [x, y, dx, dy], decay, ([xAt, yAt, dxAt, dyAt], w) => {
      for (const j of places) b.set(keyGradients[j], f32x4.load(dyAt, rowBytes * j));
      for (const i of places) {
        const row = b.let("x", f32x4.load(xAt, rowBytes * i));
        const wOfRow = b.let("w", w(i));
        const decayFactors = (): void => {
          for (let j = 0; j < i; j++) b.set(factors[j], f32x4.mul(factors[j], wOfRow));
        };
        if (sight === "after") decayFactors();
        b.set(rowGradient, f32x4.load(dxAt, rowBytes * i));
        for (let j = 0; j < i; j++) {
          const weight = f32x4.splatAt(pairs, pairRow * i + 4 * j);
          const scaled = b.let("scaled", f32x4.mul(weight, factors[j]));
          b.set(rowGradient, b.madd(scaled, f32x4.load(yAt, rowBytes * j), rowGradient));
          b.set(keyGradients[j], b.madd(scaled, row, keyGradients[j]));
        }
        b.store(dxAt, rowGradient, rowBytes * i);
        if (sight === "before") decayFactors();
        b.set(factors[i], f32x4.constant(1));
      }
      for (const j of places) b.store(dyAt, keyGradients[j], rowBytes * j);
    });
  });
}

/** `ownWeights(q, k, u, pairs)`: P_ii = q_i·diag(u)·k_iᵀ */
export function ownWeights(spec: RecurrenceSpec): WasmFunction {
  const rowBytes = 4 * extentsOf(spec).width;
  const parameters = ["x", "y", "u", "pairs"];
  return defineFunction(
    "ownWeights",
    "P_ii = Σ_d q_i u k_i",
    parameters,
    spec.relaxed,
    (b, x, y, u, pairs) => {
      const [row, column] = [b.local("i32", "row"), b.local("i32", "column")];
      const sum = b.local("v128", "sum");
      b.for(row, 0, chunkTokens, 1, () => {
        b.set(sum, f32x4.constant(0));
        b.for(column, 0, rowBytes, 16, () => {
          const product = f32x4.mul(f32x4.load(i32.add(x, column)), f32x4.load(i32.add(u, column)));
          b.set(sum, b.madd(product, f32x4.load(i32.add(y, column)), sum));
        });
        b.storeLane(pairs, b.sumLanes(sum), 0);
        b.set(x, i32.add(x, rowBytes));
        b.set(y, i32.add(y, rowBytes));
        b.set(pairs, i32.add(pairs, pairRow + 4));
      });
    },
  );
}

/** `ownGradients(x, y, pairs, dx, dy, u, du)`: through P_ii; u and du where there is a bonus. */
export function ownGradients(spec: RecurrenceSpec): WasmFunction {
  const rowBytes = 4 * extentsOf(spec).width;
  const hasBonus = spec.core.read === "bonus";
  const parameters = ["x", "y", "pairs", "dx", "dy", "u", "du"];
  const comment = `dx_i += dP_ii ${hasBonus ? "u " : ""}y_i, dy_i += dP_ii ${hasBonus ? "u " : ""}x_i`;
  return defineFunction("ownGradients", comment, parameters, spec.relaxed, (b, ...given) => {
    const [x, y, pairs, dx, dy, u, du] = given;
    const [row, column] = [b.local("i32", "row"), b.local("i32", "column")];
    b.for(row, 0, chunkTokens, 1, () => {
      const weight = b.let("weight", f32x4.splatAt(pairs));
      b.for(column, 0, rowBytes, 16, () => {
        const rows = [x, y].map((start) => b.let("row", f32x4.load(i32.add(start, column))));
        const scaled = hasBonus ? b.let("scaled", f32x4.mul(weight, f32x4.load(i32.add(u, column)))) : weight;
        [dx, dy].forEach((start, index) => {
          const to = b.let("to", i32.add(start, column));
          b.store(to, b.madd(scaled, rows[1 - index], f32x4.load(to)));
        });
        if (!hasBonus) return;
        const to = b.let("to", i32.add(du, column));
        b.store(to, b.madd(f32x4.mul(weight, rows[0]), rows[1], f32x4.load(to)));
      });
      for (const place of [x, y, dx, dy]) b.set(place, i32.add(place, rowBytes));
      b.set(pairs, i32.add(pairs, pairRow + 4));
    });
  });
}
