/** @file The rows of experts: records of their tasks, and what moves rows between tokens, blocks and lanes. */
import {
  defineFunction,
  f32x4,
  i32,
  type Local,
  type Value,
  type WasmFunction,
} from "../assembler/assembler.ts";
import { transposed } from "../attention/preparation-kernel.ts";

/** Fields of a task's record, each an i32. */
export const expertFields = [
  "task",
  /** Rows of the block, a multiple of 8. */
  "rows",
  /** The token of every row, and its weight. */
  "tokens",
  "weights",
  /** Rows of tokens, [M + 1, width], the last of zeros. */
  "input",
  "outGradient",
  /** Rows sorted by expert, [rows + 1, width], the last of zeros. */
  "out",
  "inputGradient",
  /** Weights of the expert, [out, in]. */
  "gate",
  "up",
  "down",
  /** Their gradients; that of `down` is turned, [hidden, width]. */
  "gateGradient",
  "upGradient",
  "downGradient",
  /** For what is copied and added. */
  "from",
  "to",
  "bytes",
  "count",
  "stride",
  /** The rows and weights of every token's choices, [M, k], and the gradients of the weights. */
  "places",
  "gates",
  "gatesGradient",
] as const;
export type ExpertField = (typeof expertFields)[number];

/** The field of a record, read. */
export const expertField = (record: Local, name: ExpertField): Value =>
  i32.load(record, 4 * expertFields.indexOf(name));

/** `name(tokens, from, to, rows, weights)`: row m of `to` ← row tokens[m] of `from`, times weights[m] where they are weighed. */
export function gatherFunction(
  name: string,
  width: number,
  isWeighed: boolean,
  relaxed: boolean,
): WasmFunction {
  const comment = isWeighed ? "the rows of some tokens, each times its weight" : "the rows of some tokens";
  return defineFunction(
    name,
    comment,
    ["tokens", "from", "to", "rows", "weights"],
    relaxed,
    (b, tokens, from, to, rows, weights) => {
      const [row, at] = ["row", "at"].map((local) => b.local("i32", local));
      const target = b.let("target", to);
      b.for(row, 0, i32.mul(rows, 4), 4, () => {
        const source = b.let("source", i32.add(from, i32.mul(i32.load(i32.add(tokens, row)), 4 * width)));
        const weight = isWeighed ? b.let("weight", f32x4.splatAt(i32.add(weights, row))) : undefined;
        b.for(at, 0, 4 * width, 16, () => {
          const value = f32x4.load(i32.add(source, at));
          b.store(i32.add(target, at), weight === undefined ? value : f32x4.mul(weight, value));
        });
        b.set(target, i32.add(target, 4 * width));
      });
    },
  );
}

/** `panels(from, to, rows)`: rows × width to panels [width, 8]. */
export function panelFunction(width: number, relaxed: boolean): WasmFunction {
  const comment = "eight rows side by side, so that one load reads one coordinate of four of them";
  return defineFunction("panels", comment, ["from", "to", "rows"], relaxed, (b, from, to, rows) => {
    const [row, at] = ["row", "at"].map((local) => b.local("i32", local));
    const [source, target] = [b.let("source", from), b.let("target", to)];
    b.for(row, 0, rows, 8, () => {
      b.for(at, 0, 4 * width, 16, () => {
        const place = b.let("place", i32.add(source, at));
        const panel = b.let("panel", i32.add(target, i32.mul(at, 8)));
        for (const half of [0, 4]) {
          const lines = [0, 1, 2, 3].map((m) => b.let("line", f32x4.load(place, 4 * width * (half + m))));
          transposed(b, lines).forEach((column, d) => b.store(panel, column, 32 * d + 4 * half));
        }
      });
      b.set(source, i32.add(source, 32 * width));
      b.set(target, i32.add(target, 32 * width));
    });
  });
}

/** `transpose(from, to, rows, columns, fromStride, toStride)`: to[c, r] = from[r, c]; counts are multiples of 4, strides bytes. */
export function transposeFunction(relaxed: boolean): WasmFunction {
  return defineFunction(
    "transpose",
    "columns to rows",
    ["from", "to", "rows", "columns", "fromStride", "toStride"],
    relaxed,
    (b, from, to, rows, columns, fromStride, toStride) => {
      const [row, column] = ["row", "column"].map((local) => b.local("i32", local));
      const lineOf = (start: Value, step: Local): Local[] => {
        const lines = [b.let("line", start)];
        for (let m = 1; m < 4; m++) lines.push(b.let("line", i32.add(lines[m - 1], step)));
        return lines;
      };
      b.for(row, 0, rows, 4, () => {
        const source = b.let("source", i32.add(from, i32.mul(row, fromStride)));
        const target = b.let("target", i32.add(to, i32.mul(row, 4)));
        b.for(column, 0, columns, 4, () => {
          const lines = lineOf(i32.add(source, i32.mul(column, 4)), fromStride);
          const values = lines.map((line) => b.let("value", f32x4.load(line)));
          const targets = lineOf(i32.add(target, i32.mul(column, toStride)), toStride);
          transposed(b, values).forEach((value, m) => b.store(targets[m], value));
        });
      });
    },
  );
}

/** Adds to the numbers at `to` those of `count` parts from `from` on, in their order. */
export function addPartsTask(relaxed: boolean): WasmFunction {
  const comment = "the gradients of a weight, Σ over parts";
  return defineFunction("addExpertParts", comment, ["record", "scratch"], relaxed, (b, record) => {
    const [at, part, place] = ["at", "part", "place"].map((local) => b.local("i32", local));
    const sum = b.local("v128", "sum");
    const [to, from] = [b.let("to", expertField(record, "to")), b.let("from", expertField(record, "from"))];
    const [count, step] = [
      b.let("count", expertField(record, "count")),
      b.let("step", expertField(record, "stride")),
    ];
    b.for(at, 0, expertField(record, "bytes"), 16, () => {
      b.set(sum, f32x4.load(i32.add(to, at)));
      b.set(place, i32.add(from, at));
      b.for(part, 0, count, 1, () => {
        b.set(sum, f32x4.add(sum, f32x4.load(place)));
        b.set(place, i32.add(place, step));
      });
      b.store(i32.add(to, at), sum);
    });
  });
}

/** out_m = Σ_j g_mj·y[place_mj], in the order of choices. */
export function joinTask(width: number, relaxed: boolean): WasmFunction {
  const comment = "tokens from the rows of their choices";
  return defineFunction("joinExperts", comment, ["record", "scratch"], relaxed, (b, record) => {
    const [row, at, choice] = ["row", "at", "choice"].map((local) => b.local("i32", local));
    const from = b.let("from", expertField(record, "from"));
    const to = b.let("to", expertField(record, "to"));
    const [places, gates] = [
      b.let("places", expertField(record, "places")),
      b.let("gates", expertField(record, "gates")),
    ];
    const count = b.let("count", expertField(record, "count"));
    b.for(row, 0, expertField(record, "rows"), 1, () => {
      b.for(choice, 0, count, 1, () => {
        const source = b.let("source", i32.add(from, i32.mul(i32.load(places), 4 * width)));
        const gate = b.let("gate", f32x4.splatAt(gates));
        const each = (value: (at: Value, target: Value) => Value): void =>
          b.for(at, 0, 4 * width, 16, () => {
            const target = b.let("target", i32.add(to, at));
            b.store(target, value(f32x4.load(i32.add(source, at)), target));
          });
        b.if(
          i32.equal(choice, 0),
          () => each((value) => f32x4.mul(gate, value)),
          () => each((value, target) => b.madd(gate, value, f32x4.load(target))),
        );
        b.set(places, i32.add(places, 4));
        b.set(gates, i32.add(gates, 4));
      });
      b.set(to, i32.add(to, 4 * width));
    });
  });
}

/** dg_mj = dOut_m·y[place_mj]. */
export function pullGatesTask(width: number, relaxed: boolean): WasmFunction {
  const comment = "the gradients of the weights of choices";
  return defineFunction("pullGates", comment, ["record", "scratch"], relaxed, (b, record) => {
    const [row, at, choice] = ["row", "at", "choice"].map((local) => b.local("i32", local));
    const sum = b.local("v128", "sum");
    const from = b.let("from", expertField(record, "from"));
    const gradient = b.let("gradient", expertField(record, "outGradient"));
    const places = b.let("places", expertField(record, "places"));
    const out = b.let("out", expertField(record, "gatesGradient"));
    const count = b.let("count", expertField(record, "count"));
    b.for(row, 0, expertField(record, "rows"), 1, () => {
      b.for(choice, 0, count, 1, () => {
        const source = b.let("source", i32.add(from, i32.mul(i32.load(places), 4 * width)));
        b.set(sum, f32x4.constant(0));
        b.for(at, 0, 4 * width, 16, () => {
          b.set(sum, b.madd(f32x4.load(i32.add(gradient, at)), f32x4.load(i32.add(source, at)), sum));
        });
        b.storeLane(out, b.sumLanes(sum), 0);
        b.set(places, i32.add(places, 4));
        b.set(out, i32.add(out, 4));
      });
      b.set(gradient, i32.add(gradient, 4 * width));
    });
  });
}
