/** @file The code that moves rows between themselves and their copies: [rows, width] in the virtual order, itself first. */
import {
  defineFunction,
  f32x4,
  type FunctionBuilder,
  i32,
  i32x4,
  type Local,
  type Value,
  type WasmFunction,
  type WasmModule,
} from "../assembler/assembler.ts";
import { expOfNonPositive, vectorOperations } from "../assembler/vector-math.ts";
import { mostPages } from "../engine/tasks.ts";

/** Fields of a task's record, each an i32: addresses, and numbers of rows. */
export const copyFields = [
  "task",
  "data",
  "rowBytes",
  /** The first row that the task writes, and how many. */
  "first",
  "rows",
  /** The row of every virtual row. */
  "order",
  /** Copies of row r: copies[starts[r] … starts[r + 1]). */
  "starts",
  "copies",
  /** Log-sum-exp of every virtual row, by which rows are joined, and the sink that is part of each; −∞ where there is none. */
  "logSumExp",
  "sink",
  /** By what every virtual row is multiplied, room for one number each. */
  "factors",
] as const;
export type CopyField = (typeof copyFields)[number];

const field = (record: Local, name: CopyField): Value => i32.load(record, 4 * copyFields.indexOf(name));

/** The module: tasks `copyRows`, `addCopies` and `joinCopies`, for rows of a multiple of four numbers, and `copyNumbers`. */
export function copyModule(shared: boolean): WasmModule {
  return {
    header: ["qklab rows and their copies"],
    functions: [
      copyFunction(),
      numbersFunction(),
      sumFunction("addCopies", "x_r = Σ over r and its copies"),
      sumFunction("joinCopies", "x_r = Σ f_p·x_p over r and its copies, f_p = e^(lse_p − lse)", findFactors),
    ],
    exports: ["copyRows", "copyNumbers", "addCopies", "joinCopies"],
    memory: { minimum: 1, maximum: mostPages, shared },
  };
}

function copyFunction(): WasmFunction {
  return defineFunction("copyRows", "x_v = x of v's row", ["record", "scratch"], false, (b, record) => {
    const { data, rowBytes, forRows } = placesOf(b, record);
    const at = b.local("i32", "at");
    const order = b.let("order", field(record, "order"));
    forRows((row) => {
      const to = b.let("to", i32.add(data, i32.mul(row, rowBytes)));
      const own = i32.load(i32.add(order, i32.mul(row, 4)));
      const from = b.let("from", i32.add(data, i32.mul(own, rowBytes)));
      b.for(at, 0, rowBytes, 16, () => b.store(i32.add(to, at), f32x4.load(i32.add(from, at))));
    });
  });
}

function numbersFunction(): WasmFunction {
  return defineFunction("copyNumbers", "x_v = x of v's row", ["record", "scratch"], false, (b, record) => {
    const { data, forRows } = placesOf(b, record);
    const order = b.let("order", field(record, "order"));
    forRows((row) => {
      const own = i32.load(i32.add(order, i32.mul(row, 4)));
      b.store(i32.add(data, i32.mul(row, 4)), i32.load(i32.add(data, i32.mul(own, 4))));
    });
  });
}

/** The copies of a row: from `first` to `stop` their numbers lie one after the other. */
type Copies = Readonly<Record<"row" | "first" | "stop" | "factors", Local>>;

function sumFunction(
  name: string,
  comment: string,
  prepare?: (b: FunctionBuilder, record: Local, copies: Copies) => void,
): WasmFunction {
  return defineFunction(name, comment, ["record", "scratch"], false, (b, record) => {
    const { data, rowBytes, forRows } = placesOf(b, record);
    const [at, copyAt] = ["at", "copyAt"].map((local) => b.local("i32", local));
    const starts = b.let("starts", field(record, "starts"));
    const copies = b.let("copies", field(record, "copies"));
    const factors = b.let("factors", field(record, "factors"));
    const sum = b.local("v128", "sum");
    const scaled = (row: Local, numbers: Value): Value =>
      prepare === undefined ? numbers : f32x4.mul(f32x4.splatAt(i32.add(factors, i32.mul(row, 4))), numbers);
    forRows((row) => {
      const to = b.let("to", i32.add(data, i32.mul(row, rowBytes)));
      const line = b.let("line", i32.add(starts, i32.mul(row, 4)));
      const first = b.let("first", i32.add(copies, i32.mul(i32.load(line), 4)));
      const stop = b.let("stop", i32.add(copies, i32.mul(i32.load(line, 4), 4)));
      prepare?.(b, record, { row, first, stop, factors });
      b.for(at, 0, rowBytes, 16, () => {
        b.set(sum, scaled(row, f32x4.load(i32.add(to, at))));
        b.for(copyAt, first, stop, 4, () => {
          const copy = b.let("copy", i32.load(copyAt));
          const from = i32.add(data, i32.add(i32.mul(copy, rowBytes), at));
          b.set(sum, f32x4.add(sum, scaled(copy, f32x4.load(from))));
        });
        b.store(i32.add(to, at), sum);
      });
    });
  });
}

/**
 * The share that every copy of a row has in its softmax, as copies see different keys: e^lse = Σ_p e^{lse_p},
 * f_p = e^{lse_p − lse}. A copy without keys has lse −∞ and weighs nothing. A sink is part of every e^{lse_p}, and stays in
 * the sum once. The lse of the row becomes that of all its copies.
 */
function findFactors(b: FunctionBuilder, record: Local, { row, first, stop, factors }: Copies): void {
  const logSumExp = b.let("logSumExp", field(record, "logSumExp"));
  const sink = b.let("sink", f32x4.splatInteger(field(record, "sink")));
  const [copyAt, place] = ["copyAt", "place"].map((local) => b.local("i32", local));
  const [top, mass] = ["top", "mass"].map((local) => b.local("v128", local));
  const minusInfinity = f32x4.constant(-Infinity);
  const forEach = (body: (place: Local) => void): void => {
    b.set(place, i32.mul(row, 4));
    body(place);
    b.for(copyAt, first, stop, 4, () => {
      b.set(place, i32.mul(i32.load(copyAt), 4));
      body(place);
    });
  };
  b.set(top, minusInfinity);
  forEach((at) => b.set(top, f32x4.max(top, f32x4.splatAt(i32.add(logSumExp, at)))));
  b.set(mass, f32x4.constant(0));
  const ofSink = b.let("ofSink", expOfNonPositive(b, f32x4.sub(sink, top)));
  forEach((at) => {
    const lse = b.let("lse", f32x4.splatAt(i32.add(logSumExp, at)));
    const to = b.let("factorAt", i32.add(factors, at));
    b.if(
      i32x4.bitmask(f32x4.greater(lse, minusInfinity)),
      () => {
        const share = b.let("share", expOfNonPositive(b, f32x4.sub(lse, top)));
        b.storeLane(to, share, 0);
        const isFirst = f32x4.equal(mass, f32x4.constant(0));
        b.set(mass, f32x4.add(mass, f32x4.sub(share, f32x4.andNot(ofSink, isFirst))));
      },
      () => b.storeLane(to, f32x4.constant(0), 0),
    );
  });
  b.if(i32x4.bitmask(f32x4.greater(mass, f32x4.constant(0))), () => {
    forEach((at) => {
      const to = b.let("factorAt", i32.add(factors, at));
      b.storeLane(to, f32x4.div(f32x4.splatAt(to), mass), 0);
    });
    const lse = f32x4.add(top, vectorOperations.log(b, mass, mass));
    b.storeLane(i32.add(logSumExp, i32.mul(row, 4)), lse, 0);
  });
}

function placesOf(
  b: FunctionBuilder,
  record: Local,
): {
  readonly data: Local;
  readonly rowBytes: Local;
  readonly forRows: (body: (row: Local) => void) => void;
} {
  const row = b.local("i32", "row");
  const first = b.let("firstRow", field(record, "first"));
  return {
    data: b.let("data", field(record, "data")),
    rowBytes: b.let("rowBytes", field(record, "rowBytes")),
    forRows: (body) => b.for(row, first, i32.add(first, field(record, "rows")), 1, () => body(row)),
  };
}
